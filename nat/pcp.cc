#include "nat/pcp.h"

#include <algorithm>

namespace wow {
namespace {

constexpr std::uint8_t kVersion = 2, kMap = 1, kResponse = 0x80, kUdp = 17;

void put(Bytes& out, std::size_t at, ByteView bytes) {
  std::ranges::copy(bytes, out.begin() + static_cast<std::ptrdiff_t>(at));
}
void put16(Bytes& out, std::size_t at, std::uint16_t value) {
  out[at] = static_cast<std::uint8_t>(value >> 8);
  out[at + 1] = static_cast<std::uint8_t>(value);
}
void put32(Bytes& out, std::size_t at, std::uint32_t value) {
  put16(out, at, static_cast<std::uint16_t>(value >> 16));
  put16(out, at + 2, static_cast<std::uint16_t>(value));
}
std::uint16_t get16(ByteView in, std::size_t at) {
  return static_cast<std::uint16_t>(in[at] << 8 | in[at + 1]);
}
std::uint32_t get32(ByteView in, std::size_t at) {
  return static_cast<std::uint32_t>(get16(in, at)) << 16 | get16(in, at + 2);
}

}  // namespace

// | version 1 | opcode 1 | 0 2 | lifetime 4 | client 16 |
// | nonce 12 | protocol 1 | 0 3 | inside port 2 | outside port 2 | outside address 16 |
Bytes PcpMapRequest::write() const {
  Bytes out(kBytes);
  out[0] = kVersion;
  out[1] = kMap;
  put32(out, 4, static_cast<std::uint32_t>(lifetime.count()));
  put(out, 8, client.mapped());
  put(out, 24, nonce);
  out[36] = kUdp;
  put16(out, 40, inside_port);
  put16(out, 42, suggested.port);
  // RFC 6887, 11.1: "any" is all zeros, of the family that the client has.
  const IpAddress any = client.is_v4() ? IpAddress::v4(0) : IpAddress();
  put(out, 44, (suggested.is_set() ? suggested.ip : any).mapped());
  return out;
}

std::optional<PcpMapResponse> PcpMapResponse::parse(ByteView packet) {
  if (packet.size() < PcpMapRequest::kBytes || packet.size() > kBytesMax) return std::nullopt;
  if (packet[0] != kVersion || packet[1] != (kResponse | kMap) || packet[36] != kUdp)
    return std::nullopt;
  PcpMapResponse out;
  out.result = packet[3];
  out.lifetime = std::chrono::seconds(get32(packet, 4));
  std::ranges::copy(packet.subspan(24, out.nonce.size()), out.nonce.begin());
  out.inside_port = get16(packet, 40);
  const ByteView address = packet.subspan(44, 16);
  out.outside = {IpAddress::v6(address), get16(packet, 42)};
  return out;
}

}  // namespace wow
