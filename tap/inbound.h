// The receiver's check of every frame from the overlay: its inner MAC and IP source must be the
// sender's own, its kind one that members may send each other, its destination ours. A frame that
// fails is dropped and counted.
#pragma once

#include <functional>
#include <map>
#include <optional>

#include "base/clock.h"
#include "base/metrics.h"
#include "tap/frame_stage.h"
#include "tap/ipv6_view.h"
#include "tap/packet_view.h"
#include "tap/resolver.h"
#include "tunnel/rate_limit.h"

namespace wow {

// What an acceptable frame says of itself.
struct InboundFrame {
  EthernetView ethernet;
  IpAddress source, destination;  // both IPv4 or both IPv6
  ByteView bytes;                 // without padding

  // Nothing for all that is never taken from the overlay: what is not unicast IP with true lengths
  // (ARP and STP among it), a DHCP server's word (RFC 2131, RFC 8415), ICMP redirects (RFC 792) and
  // neighbour discovery with its router advertisements (RFC 4861).
  static std::optional<InboundFrame> parse(ByteView frame);
};

class Inbound {
 public:
  static constexpr int kNotMineBurst = 10;  // answers in a second
  // Sources unknown so far cost a look-up; a peer that makes them up must not use up our share of
  // the DHT.
  static constexpr int kLookUpsPerSecond = 10;
  static constexpr std::size_t kPeersMax = 1024;

  struct Hooks {
    std::function<std::optional<IpAddress>()> own_ip;
    std::function<void(ByteView frame)> to_host;
    std::function<void(const Address& peer, const IpAddress&)> not_mine;
    // Our inner IPv6 address while it may be used, and whose frames may come from a peer's.
    std::function<std::optional<IpAddress>()> own_ip6 = [] { return std::nullopt; };
    std::function<IpAddress(const Address& peer)> ip6_of = [](auto&) { return IpAddress(); };
    // The MAC of the guest on our bridge that holds an address, and how it gets a packet.
    std::function<std::optional<MacAddress>(const IpAddress&)> guest_at = [](auto&) {
      return std::nullopt;
    };
    std::function<void(const MacAddress&, ByteView frame)> to_guest = [](auto&, auto) {};
    // What is none of the above: true if it was taken care of.
    std::function<bool(const Address& peer, ByteView frame)> other = [](auto&, auto) {
      return false;
    };
  };

  Inbound(const Address& self, Resolver& resolver, Clock& clock, MetricSlot& metrics, Hooks hooks);

  void take(const Address& peer, ByteView frame);
  // `peer` says that packets from `source` will come: whose that is, is looked up meanwhile.
  void expect(const Address& peer, const IpAddress& source);

 private:
  void deliver(const InboundFrame& frame);
  bool is_ours(const InboundFrame& frame) const;
  bool may_look_up(const Address& peer);
  void tell_not_mine(const Address& peer, const IpAddress& ip);

  const MacAddress own_mac_;
  Resolver& resolver_;
  Clock& clock_;
  MetricSlot& metrics_;
  Hooks hooks_;
  FrameStage stage_;
  std::map<Address, RateLimit> look_ups_;
  TimePoint second_began_{};
  int told_ = 0;
};

}  // namespace wow
