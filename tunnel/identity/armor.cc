#include "tunnel/identity/armor.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include "tunnel/identity/openssl.h"

namespace wow {

Result<std::vector<Block>> read_blocks(std::string_view text) {
  const Error damaged{ErrorCode::kInvalidArgument, "the file is damaged or cut short"};
  if (text.size() > kArmorBytesMax) return damaged;
  OwnedBio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  std::vector<Block> blocks;
  ERR_clear_error();
  char* name = nullptr;
  char* header = nullptr;
  std::uint8_t* data = nullptr;
  long size = 0;
  while (PEM_read_bio(bio.get(), &name, &header, &data, &size) == 1) {
    const bool plain = *header == '\0';
    if (plain) blocks.push_back({name, to_secret({data, static_cast<std::size_t>(size)})});
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_clear_free(data, static_cast<std::size_t>(size));
    if (!plain) return damaged;
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (!at_end) return damaged;
  return blocks;
}

void append_block(SecretText& text, const std::string& name, ByteView data) {
  OwnedBio bio(BIO_new(BIO_s_mem()));
  must(PEM_write_bio(bio.get(), name.c_str(), "", data.data(), static_cast<long>(data.size())) > 0);
  char* at = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &at);
  text.append(at, static_cast<std::size_t>(size));
}

ByteView find_block(const std::vector<Block>& blocks, std::string_view name, std::size_t n) {
  for (const Block& block : blocks)
    if (block.name == name && n-- == 0) return block.data;
  return {};
}

}  // namespace wow
