// The host's interfaces and routes through netlink (libnl-route-3): addressing our TAP, finding
// what our subnet would collide with, and hearing of changes. CAP_NET_ADMIN suffices for the
// writing calls.
#pragma once

#include <optional>
#include <string>

#include "base/endpoint.h"
#include "base/error.h"
#include "tunnel/forwarding.h"

namespace wow {

// Gives the interface its only IPv4 address (left alone if it has it already), with the subnet's
// route, and brings it up.
Result<void> configure_interface(int index, const IpAddress& ip, const Prefix& subnet);
// Gives the interface, which is up, one more IPv6 address. Nobody else can have it, so it is used
// at once. Fails where IPv6 is switched off.
Result<void> add_ipv6_address(int index, const IpAddress& ip, int bits);
// Makes the interface a port of a bridge, and brings it up. kNotFound: there is no such bridge.
Result<void> join_bridge(int index, const std::string& bridge);
// The MAC of an interface of this host; nothing if there is none of that name.
std::optional<MacAddress> interface_mac(const std::string& name);
// Takes all IPv4 addresses away.
Result<void> clear_interface(int index);

// A route of this host that overlaps `subnet`, as a sentence's part ("10.128.4.0/22 on eth1"); the
// default route and its two halves do not count. Ask before our own interface has its address.
Result<std::optional<std::string>> colliding_route(const Prefix& subnet);

// By which gateways and interfaces this host reaches everything else, as a text to compare with a
// later one: with the local addresses it tells a move from the many events that change nothing
// (renewed lifetimes, Wi-Fi scans, containers).
std::string default_routes();

// A descriptor that becomes readable when links, addresses or routes change. Not thread-safe.
class NetworkMonitor {
 public:
  static Result<NetworkMonitor> open();
  NetworkMonitor(NetworkMonitor&&) noexcept;
  NetworkMonitor& operator=(NetworkMonitor&&) = delete;
  ~NetworkMonitor();

  int fd() const { return fd_; }
  // Reads what is there; true if another interface than `own_index` changed. `moved`: one of them
  // made itself known to its network again, as a virtual machine's does where it goes on after a
  // migration or a suspension (NETDEV_NOTIFY_PEERS; virtio 1.2, 5.1.6.5.4), its addresses
  // unchanged.
  bool drain(int own_index, bool* moved = nullptr);

 private:
  explicit NetworkMonitor(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace wow
