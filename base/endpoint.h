// IP addresses, prefixes and endpoints of UDP and streams, IPv4 and IPv6, as values. Text in and
// out; no name look-up.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace wow {

// An IPv4 or IPv6 address. IPv4 is kept in mapped form (::ffff:a.b.c.d), so that one comparison
// orders both.
class IpAddress {
 public:
  constexpr IpAddress() = default;  // ::
  static IpAddress v4(std::uint32_t host_order);
  static IpAddress v6(ByteView sixteen);
  static std::optional<IpAddress> parse(std::string_view text);
  static std::optional<IpAddress> from_bytes(ByteView four_or_sixteen);

  bool is_v4() const;
  std::uint32_t v4_value() const;             // host order; only if is_v4()
  ByteView bytes() const;                     // 4 or 16 bytes, network order
  ByteView mapped() const { return bytes_; }  // always 16 bytes
  std::string text() const;

  bool is_unspecified() const;
  bool is_loopback() const;
  bool is_multicast() const;   // and IPv4 broadcast
  bool is_link_local() const;  // 169.254/16, fe80::/10
  bool is_private() const;     // RFC 1918, RFC 6598, RFC 4193: not reachable from everywhere

  auto operator<=>(const IpAddress&) const = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
};

// A subnet such as 10.128.0.0/16.
struct Prefix {
  IpAddress network;
  int bits = 0;  // 0..32 for IPv4, 0..128 for IPv6

  static std::optional<Prefix> parse(std::string_view text);  // host bits must be zero
  bool contains(const IpAddress& ip) const;
  bool overlaps(const Prefix& other) const;
  std::string text() const;
  // IPv4 only: how many addresses, and the address at an offset.
  std::uint64_t size() const;
  IpAddress at(std::uint64_t offset) const;

  bool operator==(const Prefix&) const = default;
};

// How packets travel to an endpoint. Numbers are on the wire.
enum class Carrier : std::uint8_t {
  kUdp = 0,
  kTcp = 1,       // a stream of packets, each with its length before it
  kTls = 2,       // the same in WebSocket messages inside TLS
  kAccepted = 3,  // a stream that was opened from there: packets go back on it, nobody dials it
};

// Where a packet comes from or goes to. Of two nodes one stream at most leads from an endpoint to a
// listener, so that the far endpoint names the stream.
struct Endpoint {
  IpAddress ip;
  std::uint16_t port = 0;
  Carrier carrier = Carrier::kUdp;
  // Which UDP socket of ours reaches it (base/transport.h); 0: the node's own. Never told to
  // others.
  std::uint8_t socket = 0;

  // "198.51.100.7:4433" or "[2001:db8::7]:4433"; with "tcp://" or "tls://" before it, a stream.
  static std::optional<Endpoint> parse(std::string_view text);
  // As bytes() makes them; nothing for a carrier that cannot be dialled.
  static std::optional<Endpoint> from_bytes(ByteView bytes);
  // Address (4 or 16), port (2), big-endian; and of a stream its carrier (1).
  Bytes bytes() const;
  std::string text() const;
  bool is_set() const { return port != 0; }
  bool is_stream() const { return carrier != Carrier::kUdp; }
  bool can_be_dialled() const { return is_set() && carrier != Carrier::kAccepted; }

  auto operator<=>(const Endpoint&) const = default;
};

struct EndpointHash {
  std::size_t operator()(const Endpoint& e) const;
};

}  // namespace wow
