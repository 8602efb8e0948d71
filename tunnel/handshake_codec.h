// Seals and opens handshake packets under the pool key, which every member has: it sheds strangers
// at the price of one check and hides who talks to whom; it authenticates nobody.
#pragma once

#include <optional>

#include "proto/headers.h"
#include "tunnel/pool_seal.h"

namespace wow {

class HandshakeCodec {
 public:
  // Key-exchange bytes that fit one packet beside the longest token.
  static constexpr std::size_t kPieceBytesMax = 1100;
  static constexpr std::size_t kFragmentsMax = 4;

  HandshakeCodec(ByteView pool_key, Random& random);

  // A packet of at least `bytes_min` bytes.
  Bytes seal(const HandshakeBody& body, std::size_t bytes_min = 0);
  // Opens in place. No body: a stranger's, or of this pool but not understood.
  struct Opened {
    std::optional<HandshakeBody> body;
    bool of_pool = false;
  };
  Opened open(MutableBytes packet);

 private:
  PoolSeal seal_;
};

}  // namespace wow
