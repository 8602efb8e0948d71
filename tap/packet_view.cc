#include "tap/packet_view.h"

#include <algorithm>
#include <cassert>

namespace wow {
namespace {

constexpr std::uint8_t kTimeToLive = 64;
constexpr std::uint16_t kMoreFragments = 0x2000;
constexpr std::uint16_t kFragmentOffset = 0x1fff;

MacAddress take_mac(Reader& in) {
  MacAddress out{};
  const ByteView bytes = in.take(out.size());
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

}  // namespace

std::optional<EthernetView> EthernetView::parse(ByteView frame) {
  Reader in(frame);
  EthernetView out;
  out.destination = take_mac(in);
  out.source = take_mac(in);
  out.type = EtherType{in.u16()};
  out.payload = in.rest();
  if (!in.ok()) return std::nullopt;
  return out;
}

std::optional<Ipv4View> Ipv4View::parse(ByteView packet) {
  Reader in(packet);
  const std::uint8_t version_and_words = in.u8();
  const std::size_t header_bytes = (version_and_words & 0x0f) * 4u;
  in.u8();  // type of service
  Ipv4View out;
  out.total_bytes = in.u16();
  in.u16();  // identification
  const std::uint16_t fragment = in.u16();
  in.u8();  // time to live
  out.protocol = IpProtocol{in.u8()};
  in.u16();  // header checksum: the kernel's business
  out.source = IpAddress::v4(in.u32());
  out.destination = IpAddress::v4(in.u32());
  if (!in.ok() || version_and_words >> 4 != 4 || header_bytes < kHeaderBytesMin ||
      out.total_bytes < header_bytes || out.total_bytes > packet.size()) {
    return std::nullopt;
  }
  out.fragment = fragment & (kMoreFragments | kFragmentOffset);
  out.first = !(fragment & kFragmentOffset);
  out.payload = packet.subspan(header_bytes, out.total_bytes - header_bytes);
  return out;
}

std::optional<UdpView> UdpView::parse(ByteView segment) {
  Reader in(segment);
  UdpView out;
  out.source_port = in.u16();
  out.destination_port = in.u16();
  const std::size_t bytes = in.u16();
  in.u16();  // checksum
  if (!in.ok() || bytes < kHeaderBytes || bytes > segment.size()) return std::nullopt;
  out.payload = segment.subspan(kHeaderBytes, bytes - kHeaderBytes);
  return out;
}

Bytes write_ethernet(const MacAddress& to, const MacAddress& from, EtherType type,
                     ByteView payload) {
  Writer out;
  out.bytes(to).bytes(from).u16(static_cast<std::uint16_t>(type)).bytes(payload);
  return out.take();
}

Bytes write_ipv4(const IpAddress& from, const IpAddress& to, IpProtocol protocol,
                 ByteView payload) {
  const std::size_t total = Ipv4View::kHeaderBytesMin + payload.size();
  assert(total <= 0xffff);
  Writer out;
  out.u8(0x45).u8(0).u16(static_cast<std::uint16_t>(total)).u32(0).u8(kTimeToLive);
  out.u8(static_cast<std::uint8_t>(protocol)).u16(0).bytes(from.bytes()).bytes(to.bytes());
  Bytes packet = out.take();
  put_big_endian(packet.data() + 10, internet_checksum(packet), 2);
  packet.insert(packet.end(), payload.begin(), payload.end());
  return packet;
}

Bytes write_udp(const Endpoint& from, const Endpoint& to, ByteView payload) {
  const auto bytes = static_cast<std::uint16_t>(UdpView::kHeaderBytes + payload.size());
  Writer out;
  out.u16(from.port).u16(to.port).u16(bytes).u16(0).bytes(payload);
  Bytes segment = out.take();
  Writer pseudo;
  pseudo.bytes(from.ip.bytes()).bytes(to.ip.bytes());
  pseudo.u16(static_cast<std::uint16_t>(IpProtocol::kUdp)).u16(bytes);
  const Bytes both = concat({pseudo.view(), segment});
  const std::uint16_t checksum = internet_checksum(both);
  // RFC 768: zero means "none", so a computed zero is sent as all ones.
  put_big_endian(segment.data() + 6, checksum ? checksum : 0xffff, 2);
  return write_ipv4(from.ip, to.ip, IpProtocol::kUdp, segment);
}

std::uint16_t internet_checksum(ByteView bytes, std::uint32_t sum) {
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) sum += bytes[i] << 8 | bytes[i + 1];
  if (bytes.size() % 2) sum += bytes.back() << 8;
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

}  // namespace wow
