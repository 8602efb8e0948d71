// Ed25519 keys (RFC 8032) and the address that follows from one. Any thread; draws randomness from
// OpenSSL.
#pragma once

#include <openssl/types.h>

#include <memory>
#include <optional>

#include "base/address.h"
#include "base/bytes.h"
#include "tunnel/identity/secret.h"

namespace wow {

inline constexpr std::size_t kPublicKeyBytes = 32;
inline constexpr std::size_t kSignatureBytes = 64;

// A private key; copies share it, and the last one wipes it.
class PrivateKey {
 public:
  static PrivateKey generate();
  // From PKCS#8 DER; nothing if that is damaged or another kind of key.
  static std::optional<PrivateKey> parse(ByteView pkcs8);

  Secret pkcs8() const;
  const Bytes& public_key() const { return public_key_; }  // 32 raw bytes
  Bytes sign(ByteView message) const;                      // 64 bytes
  EVP_PKEY* handle() const { return key_.get(); }

 private:
  explicit PrivateKey(EVP_PKEY* owned);

  std::shared_ptr<EVP_PKEY> key_;
  Bytes public_key_;
};

// False for a public key or signature of a wrong length, too.
bool verify_signature(ByteView public_key, ByteView message, ByteView signature);

// The first 160 bits of SHA-256 over the SubjectPublicKeyInfo (RFC 8410) of a 32-byte key: nobody
// can answer for another.
Address address_of_public_key(ByteView public_key);

Bytes sha256(ByteView bytes);
Secret random_secret(std::size_t bytes);

}  // namespace wow
