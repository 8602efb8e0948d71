#include "tunnel/identity/ed25519.h"

#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include <cassert>

#include "tunnel/identity/openssl.h"

namespace wow {
namespace {

using DigestContext = Owned<EVP_MD_CTX, EVP_MD_CTX_free>;

// What DER puts before the 32 key bytes (RFC 8410, 4).
constexpr std::uint8_t kSpkiPrefix[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                        0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

}  // namespace

PrivateKey::PrivateKey(EVP_PKEY* owned) : key_(owned, EVP_PKEY_free), public_key_(kPublicKeyBytes) {
  std::size_t size = public_key_.size();
  must(EVP_PKEY_get_raw_public_key(owned, public_key_.data(), &size) == 1 &&
       size == kPublicKeyBytes);
}

PrivateKey PrivateKey::generate() {
  EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  must(key != nullptr);
  return PrivateKey(key);
}

std::optional<PrivateKey> PrivateKey::parse(ByteView pkcs8) {
  const std::uint8_t* at = pkcs8.data();
  OwnedKey key(d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(pkcs8.size())));
  const bool whole = key && at == pkcs8.data() + pkcs8.size();
  if (!whole || EVP_PKEY_id(key.get()) != EVP_PKEY_ED25519) return std::nullopt;
  return PrivateKey(key.release());
}

Secret PrivateKey::pkcs8() const {
  using Info = Owned<PKCS8_PRIV_KEY_INFO, PKCS8_PRIV_KEY_INFO_free>;
  Info info(EVP_PKEY2PKCS8(key_.get()));
  must(info != nullptr);
  Secret out(static_cast<std::size_t>(i2d_PKCS8_PRIV_KEY_INFO(info.get(), nullptr)));
  std::uint8_t* at = out.data();
  i2d_PKCS8_PRIV_KEY_INFO(info.get(), &at);
  return out;
}

Bytes PrivateKey::sign(ByteView message) const {
  DigestContext context(EVP_MD_CTX_new());
  Bytes signature(kSignatureBytes);
  std::size_t size = signature.size();
  must(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1 &&
       EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) == 1);
  return signature;
}

bool verify_signature(ByteView public_key, ByteView message, ByteView signature) {
  if (public_key.size() != kPublicKeyBytes || signature.size() != kSignatureBytes) return false;
  OwnedKey key(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, public_key.data(), public_key.size()));
  DigestContext context(EVP_MD_CTX_new());
  return key && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
         EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                          message.size()) == 1;
}

Address address_of_public_key(ByteView public_key) {
  assert(public_key.size() == kPublicKeyBytes);
  return Address::from_bytes(sha256(concat({kSpkiPrefix, public_key})));
}

Bytes sha256(ByteView bytes) {
  Bytes out(SHA256_DIGEST_LENGTH);
  SHA256(bytes.data(), bytes.size(), out.data());
  return out;
}

Secret random_secret(std::size_t bytes) {
  Secret out(bytes);
  must(RAND_priv_bytes(out.data(), static_cast<int>(bytes)) == 1);
  return out;
}

}  // namespace wow
