#include "tap/too_big.h"

#include <algorithm>

#include "tap/ipv6_view.h"
#include "tap/packet_view.h"

namespace wow {
namespace {

constexpr std::uint8_t kUnreachable = 3, kFragmentationNeeded = 4;
constexpr std::uint8_t kDontFragment = 0x40;  // of byte 6
constexpr std::size_t kIcmpHeaderBytes = 8;
constexpr std::size_t kAnswerBytesMax = 576;

// Only echo requests and replies are no errors and not about errors, of what hosts send.
bool is_icmp_error(const Ipv4View& ip) {
  if (ip.protocol != IpProtocol::kIcmp) return false;
  return ip.payload.empty() || (ip.payload[0] != 0 && ip.payload[0] != 8);
}

constexpr std::uint8_t kPacketTooBig = 2, kEchoRequestV6 = 128;  // RFC 4443, 3.2 and 2.1
constexpr std::size_t kIpv6PacketMin = 1280;

std::optional<Bytes> write_too_big_v6(const EthernetView& ethernet, std::size_t packet_max) {
  const auto ip = Ipv6View::parse(ethernet.payload);
  if (!ip || ip->total_bytes <= kIpv6PacketMin || ip->protocol == Ipv6View::kFragment) {
    return std::nullopt;
  }
  const bool is_error =
      ip->protocol == Ipv6View::kIcmp && (ip->payload.empty() || ip->payload[0] < kEchoRequestV6);
  if (is_error) return std::nullopt;
  Writer message;
  message.u8(kPacketTooBig).u8(0).u16(0);
  message.u32(static_cast<std::uint32_t>(std::max(packet_max, kIpv6PacketMin)));
  message.bytes(ethernet.payload.first(kIpv6PacketMin - Ipv6View::kHeaderBytes - kIcmpHeaderBytes));
  return write_ethernet(ethernet.source, ethernet.destination, EtherType::kIpv6,
                        write_icmpv6(ip->destination, ip->source, message.take()));
}

}  // namespace

std::optional<Bytes> write_too_big(ByteView frame, std::size_t packet_max) {
  const auto ethernet = EthernetView::parse(frame);
  if (!ethernet || ethernet->is_to_group()) return std::nullopt;
  if (ethernet->type == EtherType::kIpv6) return write_too_big_v6(*ethernet, packet_max);
  if (ethernet->type != EtherType::kIpv4) return std::nullopt;
  const auto ip = Ipv4View::parse(ethernet->payload);
  if (!ip || ip->fragment || is_icmp_error(*ip)) return std::nullopt;
  const ByteView packet = ethernet->payload;
  if ((packet[6] & kDontFragment) == 0) return std::nullopt;
  const std::size_t quoted =
      std::min(ip->total_bytes, kAnswerBytesMax - Ipv4View::kHeaderBytesMin - kIcmpHeaderBytes);
  Writer icmp;
  icmp.u8(kUnreachable).u8(kFragmentationNeeded).u16(0).u16(0);
  icmp.u16(static_cast<std::uint16_t>(std::min<std::size_t>(packet_max, 0xffff)));
  icmp.bytes(packet.first(quoted));
  Bytes message = icmp.take();
  put_big_endian(message.data() + 2, internet_checksum(message), 2);
  return write_ethernet(ethernet->source, ethernet->destination, EtherType::kIpv4,
                        write_ipv4(ip->destination, ip->source, IpProtocol::kIcmp, message));
}

}  // namespace wow
