// What guests say to all, and what is no IP at all: passed between hosts that may bridge, within
// limits, and never back into the overlay (split horizon). Unicast IP does not come here.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "tap/packet_view.h"
#include "tap/resolver.h"
#include "tunnel/rate_limit.h"

namespace wow {

class Layer2 {
 public:
  static constexpr int kOutPerSecond = 500;     // frames of our guests
  static constexpr int kFloodsPerSecond = 200;  // of these, such as go to every other bridge
  static constexpr int kInPerSecond = 2000;     // frames of all other bridges together
  static constexpr std::size_t kMacsPerPeerMax = 1000;
  static constexpr Duration kKept = 5min;  // what was learnt
  static constexpr Duration kStays = 30s;  // a MAC that another peer was heard with is his

  struct Hooks {
    std::function<void(ByteView frame)> to_lan;
    std::function<void(const Address& node, ByteView frame)> to_node;
    std::function<void(const std::function<void(const Address&)>&)> for_each_other;
    std::function<bool(const Address& peer)> may_bridge;
    // Whether a guest with this MAC is on our own bridge.
    std::function<bool(const MacAddress&)> is_local;
  };

  Layer2(Resolver& resolver, Clock& clock, MetricSlot& metrics, Hooks hooks);

  // A frame of a guest; of IP, which is to a group, its source was checked.
  void send(ByteView frame, const EthernetView& ethernet);
  // A frame of a peer that is no unicast IP packet.
  void take(const Address& peer, ByteView frame);

 private:
  struct Learnt {
    Address peer;
    TimePoint at{};
  };

  bool is_source_right(const Address& peer, const EthernetView& ethernet);
  bool learn(const Address& peer, const MacAddress& mac);

  Resolver& resolver_;
  Clock& clock_;
  MetricSlot& metrics_;
  Hooks hooks_;
  RateLimit out_{kOutPerSecond}, floods_{kFloodsPerSecond}, in_{kInPerSecond};
  std::map<MacAddress, Learnt> learnt_;
  std::map<Address, std::size_t> macs_of_;
};

// Never passed on, by bridges of any kind: what is for the next bridge alone (IEEE 802.1D, 7.12.6),
// and ARP, which every host answers for itself.
bool stays_at_home(const EthernetView& ethernet);

}  // namespace wow
