// Authenticated encryption: one cipher context with its key schedule made once, so that a packet
// costs no allocation. AES by libipsec-mb where the processor has VAES, all else by OpenSSL; both
// give the same bytes. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "proto/headers.h"
#include "tunnel/vaes_gcm.h"

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
  // kOpenSsl is for tests that hold one against the other.
  enum class Library { kFastest, kOpenSsl };
  Aead(CipherSuite suite, ByteView key, Use use, Library library = Library::kFastest);
  ~Aead();
  Aead(const Aead&) = delete;
  // From now on with this key.
  void rekey(CipherSuite suite, ByteView key, Use use);

  // Encrypts `text` into `out` (as many bytes, at the text's own place or apart from it) and writes
  // the tag to `tag` (16 bytes).
  void seal(const AeadNonce& nonce, ByteView additional, ByteView text, std::uint8_t* out,
            std::uint8_t* tag);
  // Decrypts `text` into `out` if `tag` holds; else wipes `out` and returns false.
  bool open(const AeadNonce& nonce, ByteView additional, ByteView text, std::uint8_t* out,
            const std::uint8_t* tag);
  // In place.
  void seal(const AeadNonce& nonce, ByteView additional, MutableBytes text, std::uint8_t* tag) {
    seal(nonce, additional, text, text.data(), tag);
  }
  bool open(const AeadNonce& nonce, ByteView additional, MutableBytes text,
            const std::uint8_t* tag) {
    return open(nonce, additional, text, text.data(), tag);
  }

 private:
  // Whichever the suite and the processor ask for.
  Library library_;
  bool by_vaes_ = false;
  std::unique_ptr<VaesGcm> vaes_;
  evp_cipher_ctx_st* context_ = nullptr;
};

// Contexts for keys that are used now and then. One of a ready context costs a kilobyte, and a node
// keeps dozens of sessions that carry a probe every 25 s: so each thread has a few contexts, and a
// key that finds its place taken is set up anew (0.3 us). `owner`: see new_aead_owner().
Aead& shared_aead(std::uint64_t owner, CipherSuite suite, ByteView key, Aead::Use use);
// A number that no other has; any thread.
std::uint64_t new_aead_owner();

}  // namespace wow
