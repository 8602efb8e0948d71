// Seals and opens handshake packets under the pool key, which every member has: it sheds strangers
// at the price of one check and hides who talks to whom; it authenticates nobody.
#pragma once

#include <optional>

#include "base/random.h"
#include "proto/headers.h"
#include "tunnel/aead.h"

namespace wow {

class HandshakeCodec {
 public:
  // Key-exchange bytes that fit one packet beside the longest token.
  static constexpr std::size_t kPieceBytesMax = 1100;
  static constexpr std::size_t kFragmentsMax = 4;

  HandshakeCodec(ByteView pool_key, Random& random);

  // A packet of at least `bytes_min` bytes. The nonce is random: under one key that is sound for
  // 2^32 packets (NIST SP 800-38D, 8.3), and beyond that this layer hides less, no more.
  Bytes seal(const HandshakeBody& body, std::size_t bytes_min = 0);
  // Opens in place. No body: a stranger's, or of this pool but not understood.
  struct Opened {
    std::optional<HandshakeBody> body;
    bool of_pool = false;
  };
  Opened open(MutableBytes packet);

 private:
  Random& random_;
  Bytes pool_key_;
  std::uint64_t sealer_ = new_aead_owner(), opener_ = new_aead_owner();
};

}  // namespace wow
