// Authenticated encryption in place, over OpenSSL: one cipher context with its key schedule made
// once, so that a packet costs no allocation. One thread.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "proto/headers.h"

struct evp_cipher_ctx_st;

namespace wow {

enum class CipherSuite : std::uint8_t { kAes256Gcm, kChaCha20Poly1305 };

// AES-256-GCM where the processor has AES instructions; without them ChaCha20 is several times
// faster, and its time does not depend on the key.
CipherSuite fastest_suite();

using AeadNonce = std::array<std::uint8_t, kAeadNonceBytes>;

class Aead {
 public:
  // `key`: 32 bytes. An object either seals or opens.
  enum class Use { kSeal, kOpen };
  Aead(CipherSuite suite, ByteView key, Use use);
  ~Aead();
  Aead(const Aead&) = delete;
  // From now on with this key.
  void rekey(CipherSuite suite, ByteView key, Use use);

  // Encrypts `text` in place and writes the tag to `tag` (16 bytes).
  void seal(const AeadNonce& nonce, ByteView additional, MutableBytes text, std::uint8_t* tag);
  // Decrypts `text` in place if `tag` holds; else wipes it and returns false.
  bool open(const AeadNonce& nonce, ByteView additional, MutableBytes text,
            const std::uint8_t* tag);

 private:
  evp_cipher_ctx_st* context_;
};

// Contexts for keys that are used now and then. One of a ready context costs a kilobyte, and a node
// keeps dozens of sessions that carry a probe every 25 s: so each thread has a few contexts, and a
// key that finds its place taken is set up anew (0.3 us). `owner`: see new_aead_owner().
Aead& shared_aead(std::uint64_t owner, CipherSuite suite, ByteView key, Aead::Use use);
// A number that no other has; any thread.
std::uint64_t new_aead_owner();

}  // namespace wow
