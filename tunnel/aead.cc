#include "tunnel/aead.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <atomic>
#include <cassert>
#include <memory>
#include <new>

#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

namespace wow {
namespace {

// Fetched once: an implicit fetch costs more than sealing a packet.
const EVP_CIPHER* cipher_of(CipherSuite suite) {
  static const EVP_CIPHER* const aes = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  static const EVP_CIPHER* const chacha = EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr);
  return suite == CipherSuite::kAes256Gcm ? aes : chacha;
}

// OpenSSL fails here only on misuse or lack of memory.
void require([[maybe_unused]] bool ok) { assert(ok); }

}  // namespace

CipherSuite fastest_suite() {
#if defined(__x86_64__)
  const bool has_aes = __builtin_cpu_supports("aes") != 0;
#elif defined(__aarch64__)
  constexpr unsigned long kHwcapAes = 1 << 3;
  const bool has_aes = (getauxval(AT_HWCAP) & kHwcapAes) != 0;
#else
  const bool has_aes = false;
#endif
  return has_aes ? CipherSuite::kAes256Gcm : CipherSuite::kChaCha20Poly1305;
}

Aead::Aead(CipherSuite suite, ByteView key, Use use, Library library) : library_(library) {
  rekey(suite, key, use);
}

void Aead::rekey(CipherSuite suite, ByteView key, Use use) {
  assert(key.size() == kAeadKeyBytes);
  by_vaes_ =
      suite == CipherSuite::kAes256Gcm && library_ == Library::kFastest && VaesGcm::is_available();
  if (by_vaes_) {
    if (vaes_) return vaes_->rekey(key);
    vaes_ = std::make_unique<VaesGcm>(key);
    return;
  }
  if (context_ == nullptr) context_ = EVP_CIPHER_CTX_new();
  if (context_ == nullptr) throw std::bad_alloc();
  const int encrypt = use == Use::kSeal ? 1 : 0;
  require(EVP_CipherInit_ex(context_, cipher_of(suite), nullptr, key.data(), nullptr, encrypt) ==
          1);
}

Aead::~Aead() { EVP_CIPHER_CTX_free(context_); }

void Aead::seal(const AeadNonce& nonce, ByteView additional, ByteView text, std::uint8_t* out,
                std::uint8_t* tag) {
  if (by_vaes_) return vaes_->seal(nonce.data(), additional, text, out, tag);
  int length = 0;
  require(EVP_EncryptInit_ex(context_, nullptr, nullptr, nullptr, nonce.data()) == 1);
  if (!additional.empty()) {
    require(EVP_EncryptUpdate(context_, nullptr, &length, additional.data(),
                              static_cast<int>(additional.size())) == 1);
  }
  require(EVP_EncryptUpdate(context_, out, &length, text.data(), static_cast<int>(text.size())) ==
          1);
  require(EVP_EncryptFinal_ex(context_, tag, &length) == 1);
  require(EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_AEAD_GET_TAG, kAeadTagBytes, tag) == 1);
}

bool Aead::open(const AeadNonce& nonce, ByteView additional, ByteView text, std::uint8_t* out,
                const std::uint8_t* tag) {
  if (by_vaes_) return vaes_->open(nonce.data(), additional, text, out, tag);
  int length = 0;
  require(EVP_DecryptInit_ex(context_, nullptr, nullptr, nullptr, nonce.data()) == 1);
  if (!additional.empty()) {
    require(EVP_DecryptUpdate(context_, nullptr, &length, additional.data(),
                              static_cast<int>(additional.size())) == 1);
  }
  require(EVP_DecryptUpdate(context_, out, &length, text.data(), static_cast<int>(text.size())) ==
          1);
  require(EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_AEAD_SET_TAG, kAeadTagBytes,
                              const_cast<std::uint8_t*>(tag)) == 1);
  std::uint8_t none[kAeadTagBytes];
  if (EVP_DecryptFinal_ex(context_, none, &length) == 1) return true;
  OPENSSL_cleanse(out, text.size());
  return false;
}

Aead& shared_aead(std::uint64_t owner, CipherSuite suite, ByteView key, Aead::Use use) {
  struct Place {
    std::uint64_t owner = 0;
    std::unique_ptr<Aead> aead;
  };
  constexpr std::size_t kPlaces = 64;
  thread_local std::array<Place, kPlaces> places;
  Place& place = places[owner % kPlaces];
  if (place.aead == nullptr) {
    place.aead = std::make_unique<Aead>(suite, key, use);
  } else if (place.owner != owner) {
    place.aead->rekey(suite, key, use);
  }
  place.owner = owner;
  return *place.aead;
}

std::uint64_t new_aead_owner() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

}  // namespace wow
