// Files of named blocks, "-----BEGIN NAME-----", base64, "-----END NAME-----" (RFC 7468): how keys,
// certificates and invites lie on disk. Lines between blocks are for people and are ignored. Any
// thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "tunnel/identity/secret.h"

namespace wow {

inline constexpr std::size_t kArmorBytesMax = 1 << 20;

struct Block {
  std::string name;
  Secret data;
};

// All blocks in order, none if the text has none. Errors: kInvalidArgument for a damaged or cut
// block, or a text longer than kArmorBytesMax.
Result<std::vector<Block>> read_blocks(std::string_view text);
void append_block(SecretText& text, const std::string& name, ByteView data);

// The data of the n-th block of that name, or nothing (an empty view).
ByteView find_block(const std::vector<Block>& blocks, std::string_view name, std::size_t n = 0);

}  // namespace wow
