#include "tunnel/pool_seal.h"

#include <algorithm>

namespace wow {

PoolSeal::PoolSeal(ByteView pool_key, Random& random)
    : random_(random), pool_key_(to_bytes(pool_key)) {}

Bytes PoolSeal::seal(PacketType type, ByteView text) {
  Bytes packet(kAroundBytes + text.size());
  packet[0] = static_cast<std::uint8_t>(type);
  AeadNonce nonce;
  random_.fill(nonce);
  std::ranges::copy(nonce, packet.begin() + 1);
  std::ranges::copy(text, packet.begin() + 1 + kAeadNonceBytes);
  const MutableBytes sealed(packet.data() + 1 + kAeadNonceBytes, text.size());
  shared_aead(sealer_, CipherSuite::kAes256Gcm, pool_key_, Aead::Use::kSeal)
      .seal(nonce, ByteView(packet).first(1), sealed, sealed.data() + sealed.size());
  return packet;
}

std::optional<MutableBytes> PoolSeal::open(PacketType type, MutableBytes packet) {
  if (packet.size() < kAroundBytes || packet[0] != static_cast<std::uint8_t>(type))
    return std::nullopt;
  AeadNonce nonce;
  std::copy_n(packet.begin() + 1, nonce.size(), nonce.begin());
  const MutableBytes sealed = packet.subspan(1 + kAeadNonceBytes, packet.size() - kAroundBytes);
  if (!shared_aead(opener_, CipherSuite::kAes256Gcm, pool_key_, Aead::Use::kOpen)
           .open(nonce, packet.first(1), sealed, sealed.data() + sealed.size())) {
    return std::nullopt;
  }
  return sealed;
}

}  // namespace wow
