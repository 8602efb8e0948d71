#include "tunnel/vaes_gcm.h"

#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>

// The functions that libipsec-mb picks on such a processor. By its manager, which names every
// cipher on every processor, they would bring 15 MB of others with them.
extern "C" {
void aes_keyexp_256_enc_avx512(const void* key, void* expanded);
void aes_gcm_precomp_256_vaes_avx512(gcm_key_data* key);
void aes_gcm_enc_256_vaes_avx512(const gcm_key_data* key, gcm_context_data* context,
                                 std::uint8_t* out, const std::uint8_t* in, std::uint64_t bytes,
                                 const std::uint8_t* nonce, const std::uint8_t* additional,
                                 std::uint64_t additional_bytes, std::uint8_t* tag,
                                 std::uint64_t tag_bytes);
void aes_gcm_dec_256_vaes_avx512(const gcm_key_data* key, gcm_context_data* context,
                                 std::uint8_t* out, const std::uint8_t* in, std::uint64_t bytes,
                                 const std::uint8_t* nonce, const std::uint8_t* additional,
                                 std::uint64_t additional_bytes, std::uint8_t* tag,
                                 std::uint64_t tag_bytes);
}

namespace wow {

bool VaesGcm::is_available() {
  static const bool available =
      __builtin_cpu_supports("vaes") && __builtin_cpu_supports("vpclmulqdq") &&
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  return available;
}

void VaesGcm::Free::operator()(gcm_key_data* key) const {
  OPENSSL_cleanse(key, sizeof *key);
  delete key;
}

VaesGcm::VaesGcm(ByteView key) : key_(new gcm_key_data) { rekey(key); }
VaesGcm::~VaesGcm() = default;

void VaesGcm::rekey(ByteView key) {
  aes_keyexp_256_enc_avx512(key.data(), key_->expanded_keys);
  aes_gcm_precomp_256_vaes_avx512(key_.get());
}

void VaesGcm::seal(const std::uint8_t* nonce, ByteView additional, ByteView text, std::uint8_t* out,
                   std::uint8_t* tag) const {
  gcm_context_data context;
  aes_gcm_enc_256_vaes_avx512(key_.get(), &context, out, text.data(), text.size(), nonce,
                              additional.data(), additional.size(), tag, kTagBytes);
}

bool VaesGcm::open(const std::uint8_t* nonce, ByteView additional, ByteView text, std::uint8_t* out,
                   const std::uint8_t* tag) const {
  gcm_context_data context;
  std::uint8_t computed[kTagBytes];
  aes_gcm_dec_256_vaes_avx512(key_.get(), &context, out, text.data(), text.size(), nonce,
                              additional.data(), additional.size(), computed, kTagBytes);
  // The library does not verify: in constant time, or a forger could learn the tag byte by byte.
  if (CRYPTO_memcmp(computed, tag, kTagBytes) == 0) return true;
  OPENSSL_cleanse(out, text.size());
  return false;
}

}  // namespace wow
