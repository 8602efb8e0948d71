// Guests behind this host: a bridge of the host's whose port we are. Their ARP and DHCP is answered
// here (and what IPv6 has for it), their packets go to whoever holds the destination, and what
// comes for them is put on the bridge. A guest needs nothing inside and takes its MAC and addresses
// along when it moves to another host's bridge. docs/virtual-network.md has the picture.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/random.h"
#include "proto/vnet.pb.h"
#include "tap/arp.h"
#include "tap/dhcp.h"
#include "tap/frame_stage.h"
#include "tap/guest_ipv6.h"
#include "tap/guest_leases.h"
#include "tap/layer2.h"
#include "tap/loop_guard.h"
#include "tap/packet_view.h"
#include "tap/resolver.h"
#include "tap/service_host.h"
#include "tap/stand_in.h"

namespace wow {

struct BridgeOptions {
  Prefix subnet;
  Prefix subnet6;      // of the pool's inner IPv6 addresses
  std::string domain;  // of the names, for DHCP
  int mtu = 1380;      // of packets between hosts
  Duration lease_ttl{};
};

class Bridge {
 public:
  static constexpr std::size_t kStationsMax = 1000;  // MACs on the bridge
  static constexpr Duration kStationSilent = 30s;    // after which another may have its place
  static constexpr std::size_t kOthersMax = 64;      // hosts with bridges
  static constexpr Duration kHelloFirst = 1s, kHelloInterval = 20s, kOtherSilent = 70s;
  static constexpr std::size_t kMovedMax = 1000;  // guests that left, whose callers are told
  static constexpr Duration kMovedKept = 1min;
  static constexpr Duration kClaimOpen = 5s;  // in which a claim may be answered
  static constexpr std::size_t kClaimsMax = 256;
  // Said again after so long, then twice as long, while nobody lets go: words get lost, and a host
  // may read a guest's last frames after our claim and take it to be still there.
  static constexpr Duration kClaimAgain = 200ms;
  static constexpr int kClaimsAgain = 3;
  static constexpr int kOwnClaimsPerSecond = 50;  // guests that we ask all others for
  static constexpr int kHeardClaimsPerSecond = 500;

  struct Hooks {
    std::function<void(ByteView frame)> to_lan;
    std::function<void(ByteView frame)> to_host;  // the host's own interface
    // A guest has an address now: the host may have asked for it in vain a moment ago.
    std::function<void(const Binding&)> announce;
    std::function<std::optional<IpAddress>()> own_ip, own_ip6;
    std::function<bool(const IpAddress&)> is_leasable;
    // The host's own interface to the bridge.
    std::function<bool(const MacAddress&)> is_hosts_own;
    // A packet of a guest, whose source was checked, into the overlay.
    std::function<void(ByteView frame, const IpAddress& to)> forward;
    std::function<void(const Address& node, const IpAddress& source)> want_session;
    std::function<void(const Address& to, const pb::VnetMessage&)> send;
    std::function<void(const pb::VnetMessage&)> broadcast;
    std::function<void(const Address& node, ByteView frame)> to_node;
    // Whether an open session proves that its peer may bridge.
    std::function<bool(const Address& peer)> may_bridge;
    std::function<void(const std::function<void(const Address&)>&)> for_each_peer;
  };

  Bridge(const Credentials& credentials, const BridgeOptions& options, Resolver& resolver,
         Neighbours& neighbours, DhtCalls dht, DnsResponder& dns, Clock& clock, Random& random,
         MetricSlot& metrics, Hooks hooks);

  // Once the node is on the ring, and each time that it is again.
  void start();
  // A frame that came from the bridge.
  void take(ByteView frame);
  // The guest that holds `ip`.
  std::optional<MacAddress> guest_at(const IpAddress& ip) const { return leases_.mac_of(ip); }
  bool is_station(const MacAddress& mac) const { return stations_.contains(mac); }
  // A frame of a peer that is no unicast IP packet.
  void take_from(const Address& peer, ByteView frame);
  // A packet for a guest.
  void to_guest(const MacAddress& mac, ByteView frame);
  // `peer` sends to an address that is no more here: true if it was told where that is.
  bool tell_moved(const Address& peer, const IpAddress& ip);

  void on_broadcast(const Address& origin, const pb::BridgeHello& hello);
  void on_message(const Address& from, const pb::VnetMessage& message);

  std::size_t guests() const { return leases_.guests(); }
  std::size_t others() const { return others_.size(); }
  // Another bridge of the pool is on this LAN, and ours stands back.
  bool blocked() const { return guard_.blocked(); }

 private:
  struct Moved {
    MacAddress mac{};
    Address node;
    TimePoint until{};
  };
  struct Claim {  // of ours
    explicit Claim(Clock& clock) : again(clock) {}
    TimePoint until{};  // may be answered
    Timer again;
  };

  void to_lan(ByteView frame);
  LoopGuard::Hooks guard_hooks();
  StandIn::Hooks stand_in_hooks();
  Layer2::Hooks layer2_hooks();
  GuestLeases::Hooks lease_hooks();
  DhcpServer::Hooks dhcp_hooks();
  GuestIpv6::Hooks ipv6_hooks();
  bool hear(const MacAddress& mac);
  // Whether a guest here may have `ip` if nobody else does.
  bool may_be_guests(const IpAddress& ip) const;
  void on_arp(const EthernetView& ethernet);
  void answer_arp(const ArpPacket& arp);
  void on_ipv4(ByteView frame, const EthernetView& ethernet);
  void pass_on(ByteView frame);
  void when_held(ByteView frame, const MacAddress& mac, const IpAddress& source,
                 const std::function<void(ByteView frame)>& then);
  void route(ByteView frame, const IpAddress& to);
  void ask_others(const MacAddress& mac, int again = kClaimsAgain, Duration pause = kClaimAgain);
  void send_claim(const Address& to, const MacAddress& mac);
  // Nothing if there are too many.
  Claim* open_claim(const MacAddress& mac);
  void say_claim(const Address& to, const MacAddress& mac);
  void on_hello(const Address& from, const pb::BridgeHello& hello);
  void on_claim(const Address& from, const pb::GuestClaim& claim);
  void on_let_go(const Address& from, const pb::GuestLetGo& message);
  void on_beacon_check(const Address& from, const pb::BeaconCheck& check);
  void announce_moved(const MacAddress& mac, const IpAddress& ip, const Address& node);
  void say_hello();

  const Address self_;
  const MacAddress own_mac_;
  const BridgeOptions options_;
  const IpAddress service_ip_;
  const std::vector<Prefix> routes_;  // outside the pool, that our invite allows
  Resolver& resolver_;
  Clock& clock_;
  MetricSlot& metrics_;
  Hooks hooks_;
  GuestLeases leases_;
  DhcpServer dhcp_;
  ServiceHost service_;
  FrameStage stage_;
  GuestIpv6 ipv6_;
  Layer2 layer2_;
  LoopGuard guard_;
  StandIn stand_in_;
  std::map<MacAddress, TimePoint> stations_;  // last heard
  std::map<Address, TimePoint> others_;
  std::map<MacAddress, Claim> claims_;
  std::map<IpAddress, Moved> moved_;
  RateLimit own_claims_{kOwnClaimsPerSecond}, heard_claims_{kHeardClaimsPerSecond};
  Duration hello_pause_ = kHelloFirst;
  Timer hello_timer_;
};

pb::GuestMoved guest_moved(const IpAddress& ip, const MacAddress& mac, const Address& node);

}  // namespace wow
