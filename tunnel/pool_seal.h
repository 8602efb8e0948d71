// Packets that every member of the pool can read and nobody else: sealed under the pool key. Sheds
// strangers at the price of one check and hides what is said; authenticates nobody.
// | type 1 | nonce 12 | sealed | tag 16 |, the type being the additional data. Control thread only.
#pragma once

#include <optional>

#include "base/random.h"
#include "tunnel/aead.h"

namespace wow {

class PoolSeal {
 public:
  static constexpr std::size_t kAroundBytes = 1 + kAeadNonceBytes + kAeadTagBytes;

  // `pool_key`: 32 bytes.
  PoolSeal(ByteView pool_key, Random& random);

  // The nonce is random: under one key that is sound for 2^32 packets (NIST SP 800-38D, 8.3), and
  // beyond that this layer hides less, no more.
  Bytes seal(PacketType type, ByteView text);
  // Opens in place; nothing if it is of another type, or not of this pool.
  std::optional<MutableBytes> open(PacketType type, MutableBytes packet);

 private:
  Random& random_;
  Bytes pool_key_;
  std::uint64_t sealer_ = new_aead_owner(), opener_ = new_aead_owner();
};

}  // namespace wow
