// IPv6, ICMPv6 and neighbour discovery (RFC 8200, 4443, 4861) as seen in hostile bytes; like
// tap/packet_view.h, whose views these extend.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/endpoint.h"
#include "tunnel/forwarding.h"

namespace wow {

// | version, class, label 4 | payload bytes 2 | next 1 | hops 1 | source 16 | destination 16 |
struct Ipv6View {
  static constexpr std::size_t kHeaderBytes = 40;
  static constexpr std::uint8_t kIcmp = 58, kUdp = 17, kFragment = 44, kNoNext = 59;

  IpAddress source, destination;
  std::uint8_t hop_limit = 0;
  std::size_t total_bytes = 0;  // header and payload
  // Behind all extension headers: what it is and where it begins. Of a fragment that is not the
  // first, kFragment.
  std::uint8_t protocol = 0;
  ByteView payload;

  // Nothing also for extension headers that are cut off, too many, or routing headers: nobody may
  // have hosts pass packets on (RFC 5095).
  static std::optional<Ipv6View> parse(ByteView packet);
};

// "Who is at this address?" (RFC 4861, 4.3), checked as 7.1.1 wants it.
struct NeighbourSolicitation {
  IpAddress asker;  // unspecified: it wants to know whether the address is free (RFC 4862, 5.4)
  IpAddress target;

  static std::optional<NeighbourSolicitation> parse(const Ipv6View& packet);
};

// "I am at this address" (RFC 4861, 4.4), checked as 7.1.2 wants it.
struct NeighbourAdvertisement {
  IpAddress target;

  static std::optional<NeighbourAdvertisement> parse(const Ipv6View& packet);
};

// "Which prefixes are there?" (RFC 4861, 4.1).
bool is_router_solicitation(const Ipv6View& packet);

// The types that configure a host: neighbour discovery with its redirects (133-137), router
// renumbering (138), inverse and secure discovery (141, 142, 148, 149), mobile prefixes (144-147).
bool steers_hosts(std::uint8_t icmp_type);

// Group reports and questions (RFC 2710, RFC 3810), which steer switches.
bool steers_switches(std::uint8_t icmp_type);

// RFC 4291, 2.7.1: all nodes, and the Ethernet address for it (RFC 2464, 7).
IpAddress all_nodes();
inline constexpr MacAddress kAllNodesMac = {0x33, 0x33, 0, 0, 0, 1};

// An ICMPv6 packet with its checksum; `message` begins with type and code. Hop limit 255.
Bytes write_icmpv6(const IpAddress& from, const IpAddress& to, Bytes message);
// The whole frame that tells `asker` that `ip` is at `mac` (RFC 4861, 4.4). `asked`: it had asked.
Bytes write_neighbour_advertisement(const MacAddress& asker_mac, const IpAddress& asker,
                                    const IpAddress& ip, const MacAddress& mac, bool asked);

// The whole frame that asks who is at `ip`: of the guest at `to`, or, without, of all. Answers go
// to `answers`.
Bytes write_neighbour_solicitation(const std::optional<MacAddress>& to, const MacAddress& from,
                                   const MacAddress& answers, const IpAddress& asker,
                                   const IpAddress& ip);

// What guests may know of a pool without a router (RFC 4861, 4.2 and 6.2.3).
struct AdvertisedNetwork {
  Prefix on_link;    // reached without a router
  Prefix addresses;  // of which guests make their own (RFC 4862)
  int mtu = 0;
  std::uint32_t valid_s = 0, preferred_s = 0;
};
// The whole frame, for one guest; `router` is a link-local address.
Bytes write_router_advertisement(const MacAddress& to, const MacAddress& from,
                                 const IpAddress& router, const AdvertisedNetwork& network);

}  // namespace wow
