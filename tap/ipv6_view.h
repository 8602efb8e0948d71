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

// The types that configure a host: neighbour discovery with its redirects (133-137), router
// renumbering (138), inverse and secure discovery (141, 142, 148, 149), mobile prefixes (144-147).
bool steers_hosts(std::uint8_t icmp_type);

// An ICMPv6 packet with its checksum; `message` begins with type and code. Hop limit 255.
Bytes write_icmpv6(const IpAddress& from, const IpAddress& to, Bytes message);
// The whole frame that tells `asker` that `ip` is at `mac` (RFC 4861, 4.4). `asked`: it had asked.
Bytes write_neighbour_advertisement(const MacAddress& asker_mac, const IpAddress& asker,
                                    const IpAddress& ip, const MacAddress& mac, bool asked);

}  // namespace wow
