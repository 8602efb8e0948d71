// IPv6 of the guests on a bridge. They are told the pool's prefix, so that they make themselves
// addresses of it; the first that is heard of one claims it in the store; neighbour discovery is
// answered at home and never passes between hosts. Used by the bridge alone, for what comes from
// there. docs/virtual-network.md tells it.
#pragma once

#include <functional>
#include <map>
#include <optional>

#include "base/clock.h"
#include "base/metrics.h"
#include "tap/guest_leases.h"
#include "tap/holders.h"
#include "tap/ipv6_view.h"
#include "tap/packet_view.h"
#include "tunnel/rate_limit.h"

namespace wow {

class GuestIpv6 {
 public:
  static constexpr int kMtuMin = 1280;  // RFC 8200, 5: a pool with less has no IPv6
  // Whoever speaks from an address is told the prefix again after so long; one that moved here, at
  // once. RFC 4861, 6.2.1: MaxRtrAdvInterval.
  static constexpr Duration kTellAgain = 10min;
  static constexpr std::size_t kToldMax = 1000;  // MACs
  static constexpr int kTellsPerSecond = 50;
  static constexpr int kQuestionsPerSecond = 1000;  // of all guests, answered
  // An address outlives its bridge for so long, and begins no connections after the second.
  static constexpr std::uint32_t kValidSeconds = 86'400, kPreferredSeconds = 14'400;

  struct Hooks {
    std::function<void(ByteView frame)> to_lan;
    std::function<std::optional<IpAddress>()> own_ip6;  // the host's, while it may be used
    std::function<void(const Address& node, const IpAddress& source)> want_session;
    // The host's own interface to the bridge, which is no guest: it has a way into the pool.
    std::function<bool(const MacAddress&)> is_hosts_own;
    // Whether a guest here may have an address if nobody else does.
    std::function<bool(const IpAddress&)> may_be_guests;
    // Calls back with the frame once the guest with this MAC holds this address; never if it does
    // not.
    std::function<void(ByteView frame, const MacAddress&, const IpAddress&,
                       std::function<void(ByteView frame)>)>
        when_held;
    std::function<void(ByteView frame, const IpAddress& to)> route;
    std::function<void(ByteView frame)> to_others;  // of a packet to many
  };

  // `subnet6`: of the pool's inner IPv6 addresses.
  GuestIpv6(const Address& self, const Prefix& subnet6, int mtu, GuestLeases& leases,
            Resolver& resolver, Neighbours& neighbours, Clock& clock, MetricSlot& metrics,
            Hooks hooks);

  // An IPv6 frame from the bridge.
  void take(ByteView frame, const EthernetView& ethernet);

 private:
  void pass_on(ByteView frame);
  void on_neighbour_message(const EthernetView& ethernet, const Ipv6View& ip);
  void on_solicitation(const MacAddress& from, const NeighbourSolicitation& asked);
  void on_probe(const MacAddress& from, const IpAddress& target);
  void claim(const MacAddress& mac, const IpAddress& ip);
  void answer(const MacAddress& asker, const NeighbourSolicitation& asked);
  void say_if_taken(const MacAddress& asker, const IpAddress& ip);
  void tell_prefix(const MacAddress& mac, bool asked);

  const Address self_;
  const Prefix subnet6_, guests_;
  const int mtu_;
  GuestLeases& leases_;
  Holders holders_;
  Clock& clock_;
  MetricSlot& metrics_;
  Hooks hooks_;
  RateLimit tells_{kTellsPerSecond}, questions_{kQuestionsPerSecond};
  std::map<MacAddress, TimePoint> told_;
};

}  // namespace wow
