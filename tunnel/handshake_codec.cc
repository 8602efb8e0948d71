#include "tunnel/handshake_codec.h"

#include <algorithm>
#include <cassert>

namespace wow {
namespace {

// The fixed fields of HandshakeBody.
constexpr std::size_t kBodyFixedBytes = 14;
constexpr std::size_t kSealedBytesMin = kHandshakeOuterBytes + kBodyFixedBytes + kAeadTagBytes;
static_assert(kSealedBytesMin + 64 + HandshakeCodec::kPieceBytesMax <= kHandshakeBytesMax);

}  // namespace

HandshakeCodec::HandshakeCodec(ByteView pool_key, Random& random)
    : random_(random), pool_key_(to_bytes(pool_key)) {}

Bytes HandshakeCodec::seal(const HandshakeBody& body, std::size_t bytes_min) {
  constexpr std::size_t kAround = kHandshakeOuterBytes + kAeadTagBytes;
  const Bytes text = body.write(bytes_min > kAround ? bytes_min - kAround : 0);
  Bytes packet(kAround + text.size());
  packet[0] = static_cast<std::uint8_t>(PacketType::kHandshake);
  AeadNonce nonce;
  random_.fill(nonce);
  std::ranges::copy(nonce, packet.begin() + 1);
  std::ranges::copy(text, packet.begin() + kHandshakeOuterBytes);
  const MutableBytes sealed(packet.data() + kHandshakeOuterBytes, text.size());
  shared_aead(sealer_, CipherSuite::kAes256Gcm, pool_key_, Aead::Use::kSeal)
      .seal(nonce, ByteView(packet).first(1), sealed, sealed.data() + sealed.size());
  assert(packet.size() <= kHandshakeBytesMax);
  return packet;
}

HandshakeCodec::Opened HandshakeCodec::open(MutableBytes packet) {
  if (packet.size() < kSealedBytesMin || packet.size() > kHandshakeBytesMax) return {};
  AeadNonce nonce;
  std::copy_n(packet.begin() + 1, nonce.size(), nonce.begin());
  const MutableBytes sealed =
      packet.subspan(kHandshakeOuterBytes, packet.size() - kHandshakeOuterBytes - kAeadTagBytes);
  if (!shared_aead(opener_, CipherSuite::kAes256Gcm, pool_key_, Aead::Use::kOpen)
           .open(nonce, packet.first(1), sealed, sealed.data() + sealed.size())) {
    return {};
  }
  auto body = HandshakeBody::parse(sealed);
  if (body && body->version != kWireVersion) body.reset();
  return {std::move(body), true};
}

}  // namespace wow
