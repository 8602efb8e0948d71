// What becomes of the guests of a bridge that blocks itself because another bridge of the pool is
// on its LAN (tap/loop_guard.h): that one reaches them too, and stands in. The blocked one hands
// its guests over and remembers them; once the loop is undone it asks for them as after any move.
// Used by the bridge on both sides. It moves nobody without consent: only who was told a moment ago
// that his LAN is ours can hand over. docs/virtual-network.md tells it.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "proto/vnet.pb.h"
#include "tap/guest_leases.h"
#include "tap/loop_guard.h"
#include "tunnel/rate_limit.h"

namespace wow {

class StandIn {
 public:
  // Switches forget after 300 s where a frame came from (IEEE 802.1D, 7.9.2).
  static constexpr Duration kSpokenKept = 5min;
  static constexpr std::size_t kSpokenMax = 1000;
  static constexpr std::size_t kBatch = 10;  // guests handed over, or asked for, at once
  static constexpr Duration kBatchPause = 250ms;
  static constexpr std::size_t kSpokenPerMessage = 200;
  static constexpr int kFramesPerSecond = 1000;  // that teach the LAN
  static constexpr std::size_t kConfirmedMax = 16;
  static constexpr Duration kConfirmedFor = 7s;

  struct Hooks {
    std::function<void(ByteView frame)> to_lan;
    std::function<void(const Address& to, const pb::VnetMessage&)> send;
    // A guest that was ours is behind `node` now: whoever may have known it as ours is told.
    std::function<void(const MacAddress&, const IpAddress&, const Address& node)> announce;
    // Asks `node` to let go of a guest that was ours.
    std::function<void(const Address& node, const MacAddress&)> claim;
    // Heard on our LAN, and yet from elsewhere: the other had put it there.
    std::function<void(const MacAddress&)> unlearn;
  };

  StandIn(GuestLeases& leases, Clock& clock, MetricSlot& metrics, Hooks hooks);

  // A frame with this source has left for the LAN, whose switches now know it behind our port.
  void spoke(const MacAddress& source);

  // --- The one that blocks itself ---
  void begin(const Address& other);
  void end();

  // --- The one that stays ---
  // `peer` has heard a beacon of ours just now, so it is on our LAN.
  void confirm(const Address& peer);
  // `from` may bridge. Its guests are ours from now; the LAN is taught so.
  void take(const Address& from, const pb::GuestHandOver& message);

 private:
  void hand_over();
  void ask_back();
  void teach(const MacAddress& mac);
  void find(const IpAddress& ip);

  GuestLeases& leases_;
  Clock& clock_;
  MetricSlot& metrics_;
  Hooks hooks_;
  RateLimit frames_{kFramesPerSecond};
  std::map<MacAddress, TimePoint> spoken_;
  std::optional<Address> other_;            // we are blocked, by it
  std::map<MacAddress, Address> handed_;    // to whom
  std::map<Address, TimePoint> confirmed_;  // until
  Timer timer_;
};

// The message's MAC; nothing if it is none, or a group's.
std::optional<MacAddress> mac_in(const std::string& bytes);

}  // namespace wow
