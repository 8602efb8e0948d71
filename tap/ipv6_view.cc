#include "tap/ipv6_view.h"

#include <algorithm>
#include <array>

#include "tap/packet_view.h"

namespace wow {
namespace {

constexpr std::uint8_t kHopByHop = 0, kRouting = 43, kDestinationOptions = 60;
constexpr int kExtensionsMax = 8;
constexpr std::uint8_t kHopLimitOfNeighbours = 255;  // RFC 4861, 7.1: it was never passed on
constexpr std::uint8_t kRouterSolicitation = 133, kRouterAdvertisement = 134;
constexpr std::uint8_t kSolicitation = 135, kAdvertisement = 136;
constexpr std::uint8_t kSourceLinkLayer = 1, kTargetLinkLayer = 2, kPrefix = 3, kMtu = 5;
constexpr std::uint8_t kOnLink = 0x80, kAutonomous = 0x40;
constexpr std::uint8_t kSolicited = 0x40, kOverride = 0x20;
constexpr std::size_t kSolicitationBytesMin = 24, kRouterSolicitationBytesMin = 8;

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

// Said by somebody on the same link.
bool is_of_neighbours(const Ipv6View& packet, std::uint8_t type, std::size_t bytes_min) {
  const ByteView message = packet.payload;
  return packet.protocol == Ipv6View::kIcmp && packet.hop_limit == kHopLimitOfNeighbours &&
         message.size() >= bytes_min && message[0] == type && message[1] == 0;
}

std::optional<IpAddress> target_of(const Ipv6View& packet, std::uint8_t type) {
  if (!is_of_neighbours(packet, type, kSolicitationBytesMin)) return std::nullopt;
  const IpAddress target = IpAddress::v6(packet.payload.subspan(8, 16));
  return target.is_multicast() ? std::nullopt : std::optional(target);
}

// RFC 4291, 2.7.1: the group of all whose address ends so.
IpAddress solicited_node(const IpAddress& ip) {
  std::array<std::uint8_t, 16> out{0xff, 2};
  out[11] = 1;
  out[12] = 0xff;
  std::copy_n(ip.mapped().end() - 3, 3, out.begin() + 13);
  return IpAddress::v6(out);
}

// RFC 2464, 7.
MacAddress group_mac(const IpAddress& group) {
  MacAddress out{0x33, 0x33};
  std::copy_n(group.mapped().end() - 4, 4, out.begin() + 2);
  return out;
}

void add_prefix(Writer& out, const Prefix& prefix, std::uint8_t flags,
                const AdvertisedNetwork& network) {
  out.u8(kPrefix).u8(4).u8(static_cast<std::uint8_t>(prefix.bits)).u8(flags);
  out.u32(network.valid_s).u32(network.preferred_s).u32(0).bytes(prefix.network.mapped());
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
  const auto target = target_of(packet, kSolicitation);
  if (!target) return std::nullopt;
  return NeighbourSolicitation{packet.source, *target};
}

std::optional<NeighbourAdvertisement> NeighbourAdvertisement::parse(const Ipv6View& packet) {
  const auto target = target_of(packet, kAdvertisement);
  if (!target) return std::nullopt;
  return NeighbourAdvertisement{*target};
}

bool is_router_solicitation(const Ipv6View& packet) {
  return is_of_neighbours(packet, kRouterSolicitation, kRouterSolicitationBytesMin);
}

bool steers_hosts(std::uint8_t type) {
  return (type >= 133 && type <= 138) || type == 141 || type == 142 || (type >= 144 && type <= 149);
}

bool steers_switches(std::uint8_t type) { return (type >= 130 && type <= 132) || type == 143; }

IpAddress all_nodes() {
  std::array<std::uint8_t, 16> out{0xff, 2};
  out[15] = 1;
  return IpAddress::v6(out);
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

Bytes write_neighbour_solicitation(const std::optional<MacAddress>& to, const MacAddress& from,
                                   const MacAddress& answers, const IpAddress& asker,
                                   const IpAddress& ip) {
  Writer message;
  message.u8(kSolicitation).u8(0).u16(0).u32(0).bytes(ip.mapped());
  message.u8(kSourceLinkLayer).u8(1).bytes(answers);
  const IpAddress asked = to ? ip : solicited_node(ip);
  return write_ethernet(to.value_or(group_mac(asked)), from, EtherType::kIpv6,
                        write_icmpv6(asker, asked, message.take()));
}

Bytes write_router_advertisement(const MacAddress& to, const MacAddress& from,
                                 const IpAddress& router, const AdvertisedNetwork& network) {
  Writer message;  // no hop limit, no flags, and a lifetime of 0: nobody routes here
  message.u8(kRouterAdvertisement).u8(0).u16(0).u8(0).u8(0).u16(0).u32(0).u32(0);
  message.u8(kSourceLinkLayer).u8(1).bytes(from);
  message.u8(kMtu).u8(1).u16(0).u32(static_cast<std::uint32_t>(network.mtu));
  add_prefix(message, network.addresses, kOnLink | kAutonomous, network);
  add_prefix(message, network.on_link, kOnLink, network);
  return write_ethernet(to, from, EtherType::kIpv6,
                        write_icmpv6(router, all_nodes(), message.take()));
}

}  // namespace wow
