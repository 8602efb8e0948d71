#include "tap/ipv6_view.h"

#include <algorithm>

#include "tap/packet_view.h"

namespace wow {
namespace {

constexpr std::uint8_t kHopByHop = 0, kRouting = 43, kDestinationOptions = 60;
constexpr int kExtensionsMax = 8;
constexpr std::uint8_t kHopLimitOfNeighbours = 255;  // RFC 4861, 7.1: it was never passed on
constexpr std::uint8_t kSolicitation = 135, kAdvertisement = 136;
constexpr std::uint8_t kTargetLinkLayer = 2;
constexpr std::uint8_t kSolicited = 0x40, kOverride = 0x20;
constexpr std::size_t kSolicitationBytesMin = 24;

// Steps over one extension header; false if this packet is not to be believed.
bool step(Reader& in, std::uint8_t* next, bool* later_fragment) {
  const std::uint8_t kind = *next;
  *next = in.u8();
  const std::uint8_t words = in.u8();
  switch (kind) {
    case Ipv6View::kFragment:
      *later_fragment = (in.u16() & 0xfff8) != 0;
      in.take(4);
      return in.ok();
    case kHopByHop:
    case kDestinationOptions:
      in.take(6 + std::size_t{words} * 8);
      return in.ok();
    default:
      return false;
  }
}

bool is_extension(std::uint8_t next) {
  return next == kHopByHop || next == kRouting || next == kDestinationOptions ||
         next == Ipv6View::kFragment;
}

}  // namespace

std::optional<Ipv6View> Ipv6View::parse(ByteView packet) {
  if (packet.size() < kHeaderBytes || packet[0] >> 4 != 6) return std::nullopt;
  Ipv6View out;
  out.total_bytes = kHeaderBytes + get_big_endian(packet.data() + 4, 2);
  if (out.total_bytes > packet.size()) return std::nullopt;
  out.protocol = packet[6];
  out.hop_limit = packet[7];
  out.source = IpAddress::v6(packet.subspan(8, 16));
  out.destination = IpAddress::v6(packet.subspan(24, 16));
  Reader in(packet.subspan(kHeaderBytes, out.total_bytes - kHeaderBytes));
  bool later_fragment = false;
  for (int i = 0; is_extension(out.protocol); ++i) {
    if (i == kExtensionsMax || !step(in, &out.protocol, &later_fragment)) return std::nullopt;
    if (later_fragment) {
      out.protocol = kFragment;
      break;
    }
  }
  out.payload = in.rest();
  return out;
}

std::optional<NeighbourSolicitation> NeighbourSolicitation::parse(const Ipv6View& packet) {
  const ByteView message = packet.payload;
  if (packet.protocol != Ipv6View::kIcmp || packet.hop_limit != kHopLimitOfNeighbours ||
      message.size() < kSolicitationBytesMin || message[0] != kSolicitation || message[1] != 0) {
    return std::nullopt;
  }
  const IpAddress target = IpAddress::v6(message.subspan(8, 16));
  if (target.is_multicast()) return std::nullopt;
  return NeighbourSolicitation{packet.source, target};
}

bool steers_hosts(std::uint8_t type) {
  return (type >= 133 && type <= 138) || type == 141 || type == 142 || (type >= 144 && type <= 149);
}

Bytes write_icmpv6(const IpAddress& from, const IpAddress& to, Bytes message) {
  Writer pseudo;  // RFC 8200, 8.1
  pseudo.bytes(from.mapped()).bytes(to.mapped());
  pseudo.u32(static_cast<std::uint32_t>(message.size())).u32(Ipv6View::kIcmp);
  put_big_endian(message.data() + 2, 0, 2);
  put_big_endian(message.data() + 2, internet_checksum(concat({pseudo.view(), message})), 2);
  Writer out;
  out.u32(0x60000000).u16(static_cast<std::uint16_t>(message.size())).u8(Ipv6View::kIcmp);
  out.u8(kHopLimitOfNeighbours).bytes(from.mapped()).bytes(to.mapped()).bytes(message);
  return out.take();
}

Bytes write_neighbour_advertisement(const MacAddress& asker_mac, const IpAddress& asker,
                                    const IpAddress& ip, const MacAddress& mac, bool asked) {
  Writer message;
  message.u8(kAdvertisement).u8(0).u16(0).u8(asked ? kSolicited | kOverride : kOverride);
  message.u8(0).u16(0).bytes(ip.mapped()).u8(kTargetLinkLayer).u8(1).bytes(mac);
  return write_ethernet(asker_mac, mac, EtherType::kIpv6, write_icmpv6(ip, asker, message.take()));
}

}  // namespace wow
