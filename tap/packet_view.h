// Ethernet, IPv4 and UDP as seen in hostile bytes: each view parses to a value or to nothing, and a
// value's lengths can be trusted. Also the few packets that we write ourselves. Views borrow the
// bytes they were parsed from.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/endpoint.h"
#include "tunnel/forwarding.h"

namespace wow {

enum class EtherType : std::uint16_t { kIpv4 = 0x0800, kArp = 0x0806, kIpv6 = 0x86dd };
enum class IpProtocol : std::uint8_t { kIcmp = 1, kUdp = 17 };

// | destination 6 | source 6 | type 2 | payload |
struct EthernetView {
  static constexpr std::size_t kHeaderBytes = 14;

  MacAddress destination{}, source{};
  EtherType type{};
  ByteView payload;

  static std::optional<EthernetView> parse(ByteView frame);
  bool is_to_group() const { return destination[0] & 1; }  // broadcast and multicast
};

// RFC 791, 3.1. Padding behind the packet is cut off.
struct Ipv4View {
  static constexpr std::size_t kHeaderBytesMin = 20;

  IpAddress source, destination;
  IpProtocol protocol{};
  bool fragment = false;        // one of several
  bool first = true;            // offset 0: the payload begins with its own header
  std::size_t total_bytes = 0;  // header and payload
  ByteView payload;

  static std::optional<Ipv4View> parse(ByteView packet);
};

// RFC 768.
struct UdpView {
  static constexpr std::size_t kHeaderBytes = 8;

  std::uint16_t source_port = 0, destination_port = 0;
  ByteView payload;

  static std::optional<UdpView> parse(ByteView segment);
};

Bytes write_ethernet(const MacAddress& to, const MacAddress& from, EtherType type,
                     ByteView payload);
// At most 65,507 bytes of payload.
Bytes write_ipv4(const IpAddress& from, const IpAddress& to, IpProtocol protocol, ByteView payload);
// With its IPv4 header in front.
Bytes write_udp(const Endpoint& from, const Endpoint& to, ByteView payload);

// RFC 1071; `sum` continues an earlier sum (a pseudo header).
std::uint16_t internet_checksum(ByteView bytes, std::uint32_t sum = 0);

}  // namespace wow
