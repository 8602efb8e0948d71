// A laboratory on paper: sites, hosts, and the lines between them, as a topology file says it. A
// value; nothing here touches the machine.
//
//   r1 r2              hosts on the internet, 198.51.100.0/24 and 2001:db8::/64
//    | |
//   =+=+===+=====+==   internet
//          |     |     line: delay, jitter, loss, rate
//       [home] [cgn]   sites: a router each; NAT, firewall
//        |  |     |
//       h1  h2  [flat]   a site may hang below another: NAT behind NAT
//                 |
//                 h3
#pragma once

#include <boost/json/object.hpp>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/endpoint.h"
#include "base/error.h"
#include "tools/lab/nat_kind.h"

namespace wow::lab {

inline constexpr std::size_t kTopologyBytesMax = 1024 * 1024;
inline constexpr std::size_t kSitesMax = 128;
inline constexpr std::size_t kHostsMax = 512;
inline constexpr const char* kInternet = "internet";
// RFC 5737 and RFC 3849: addresses for documentation, which no real network has.
inline constexpr const char* kInternetPrefix = "198.51.100.0/24";
inline constexpr const char* kInternetPrefix6 = "2001:db8::/64";

// What interfaces take unless a line is told more; and the most it may be told ("jumbo frames").
inline constexpr std::size_t kMtuUsual = 1500, kMtuMax = 9000;

// A cable that is more than a cable; the same both ways.
struct LineQuality {
  Duration delay{};                   // one way
  Duration jitter{};                  // up to so much more or less, evenly
  double loss = 0;                    // 0..1, independent
  std::uint64_t bits_per_second = 0;  // 0: as fast as it goes
  std::size_t mtu = 0;                // larger IP packets vanish in silence; 0: all pass
  bool reorder = false;               // jitter may change the order

  bool operator==(const LineQuality&) const = default;
};

// "udp", "tcp 443", "icmp".
struct Service {
  std::string protocol;
  std::optional<std::uint16_t> port;

  static std::optional<Service> parse(std::string_view text);
  std::string text() const;
  bool operator==(const Service&) const = default;
};

struct Site {
  std::string name;
  std::string uplink = kInternet;  // or a site, whose LAN this one's outside is then in
  std::optional<NatKind> nat;      // none: the internet routes the LAN's true addresses
  bool firewall = true;            // where there is no NAT (IPv6, too): only answers come in
  std::optional<std::vector<Service>> allow_out;  // nothing else goes out, nor in; none: all goes
  std::vector<Service> allow_in;                  // comes in though nobody asked for it (no NAT)
  bool ipv4 = true;
  std::optional<Prefix> ipv6;  // of the LAN, routed; none: no IPv6
  IpAddress wan;               // outside address (IPv4)
  Prefix lan;                  // the router is at 1, hosts from 10 on
  std::optional<LineQuality> line;

  bool operator==(const Site&) const = default;
};

struct Host {
  std::string name;
  std::string site;  // kInternet, a site, or empty: unplugged
  IpAddress ip;
  bool ipv6 = false;  // on the internet: an IPv6 address, too. In a site its prefix decides.
  bool ipv4 = true;   // on the internet: false is IPv6 alone
  std::optional<LineQuality> line;

  bool operator==(const Host&) const = default;
};

struct Topology {
  std::map<std::string, Site> sites;
  std::map<std::string, Host> hosts;

  // JSON with comments and trailing commas. Addresses may be missing: they are `IpAddress()` and an
  // empty prefix then. The error is one sentence with a line, the thing and what would be right.
  static Result<Topology> parse(std::string_view text);
  // What `parse` reads, all addresses said.
  boost::json::object to_json() const;

  // This with all of `more`, whose missing addresses are chosen. Fails, and says why, if names or
  // addresses are taken or an uplink is not there.
  Result<Topology> with(const Topology& more) const;
  // A free address in the LAN of a site, or on the internet; nothing if it is full.
  std::optional<IpAddress> free_address(const std::string& site) const;
  // kInternetPrefix, or the LAN of a site that exists.
  Prefix prefix_of(const std::string& site) const;
  // How many know how many others by MAC address, if on each network everybody talks to everybody.
  std::size_t neighbours() const;
  // Sites, each after its uplink.
  std::vector<std::string> sites_downwards() const;

  bool operator==(const Topology&) const = default;
};

// The IPv6 address with the last number of an IPv4 address: 198.51.100.21 in 2001:db8::/64 is
// 2001:db8::21.
std::string ipv6_like(const Prefix& prefix, const IpAddress& ip);

// A line of its own, named as in the file: {"delay_ms": 10, "loss_percent": 1}; keys not named keep
// what they are in `was`. For changes to a running laboratory.
Result<LineQuality> parse_line(const boost::json::object& fields, const LineQuality& was);
// "eim-apdf", or an object as in the file.
Result<NatKind> parse_nat(const boost::json::value& value);

}  // namespace wow::lab
