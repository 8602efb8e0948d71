#include "tunnel/handshake_codec.h"

#include <cassert>

namespace wow {
namespace {

// The fixed fields of HandshakeBody.
constexpr std::size_t kBodyFixedBytes = 14;
constexpr std::size_t kSealedBytesMin = kHandshakeOuterBytes + kBodyFixedBytes + kAeadTagBytes;
static_assert(kSealedBytesMin + 64 + HandshakeCodec::kPieceBytesMax <= kHandshakeBytesMax);

}  // namespace

HandshakeCodec::HandshakeCodec(ByteView pool_key, Random& random) : seal_(pool_key, random) {}

Bytes HandshakeCodec::seal(const HandshakeBody& body, std::size_t bytes_min) {
  constexpr std::size_t kAround = PoolSeal::kAroundBytes;
  Bytes packet =
      seal_.seal(PacketType::kHandshake, body.write(bytes_min > kAround ? bytes_min - kAround : 0));
  assert(packet.size() <= kHandshakeBytesMax);
  return packet;
}

HandshakeCodec::Opened HandshakeCodec::open(MutableBytes packet) {
  if (packet.size() < kSealedBytesMin || packet.size() > kHandshakeBytesMax) return {};
  const auto text = seal_.open(PacketType::kHandshake, packet);
  if (!text) return {};
  auto body = HandshakeBody::parse(*text);
  if (body && body->version != kWireVersion) body.reset();
  return {std::move(body), true};
}

}  // namespace wow
