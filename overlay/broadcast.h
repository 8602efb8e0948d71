// To every node of the ring: whoever holds an arc hands parts of it to its edges on it, each edge
// the part up to the next one, until the arcs are empty (El-Ansary et al., "Efficient Broadcast in
// Structured P2P Networks", 2003). Signed by its origin; a child acknowledges that it took its arc,
// and again when all on it have the message: the arc of one that dies meanwhile is given to
// another. Delivered once, however late it is sent again; limited per origin at every hop.
#pragma once

#include <functional>
#include <map>
#include <tuple>
#include <vector>

#include "overlay/hub.h"
#include "overlay/limits.h"
#include "overlay/rate_table.h"
#include "overlay/signed_times.h"

namespace wow {

namespace pb {
class Broadcast;
class BroadcastAck;
}  // namespace pb

class Broadcasts {
 public:
  using Deliver = std::function<void(const Address& origin, std::uint8_t service, ByteView payload,
                                     std::uint32_t hops)>;
  Broadcasts(Hub& hub, Deliver deliver)
      : hub_(hub), deliver_(std::move(deliver)), timer_(hub.clock) {}
  void stop();

  // To all others; not delivered here. At most kBroadcastBytesMax; false if larger.
  bool send(std::uint8_t service, ByteView payload);
  void on_message(const Address& from, ByteView message);
  // Its session ended: the arcs that it had go to others.
  void lost(const Address& peer);
  // Every now and then.
  void forget_old();
  std::size_t tasks() const { return tasks_.size(); }

 private:
  struct Arc {
    Address begin, end;  // clockwise, both exclusive; equal: all but this address
    bool has(const Address& a) const;
    auto operator<=>(const Arc&) const = default;
  };
  struct Child {
    Arc arc;
    Address peer;
    std::vector<Address> tried;
    bool taken = false;
    TimePoint due{};
  };
  struct Task {
    Address parent;  // zero: we are the origin
    Bytes message;   // the serialized pb::Broadcast
    std::uint32_t hops = 0;
    TimePoint until{};
    std::vector<Child> children;
  };
  using Key = std::tuple<Address, std::uint64_t, Arc>;

  void on_broadcast(const Address& from, const pb::Broadcast& message);
  void on_ack(const Address& from, const pb::BroadcastAck& message);
  void begin(const Key& key, Task task);
  void hand(const Task& task, Child& child);
  bool hand_to_another(const Task& task, Child& child);
  void check_done(const Key& key);
  void acknowledge(const Address& to, const Key& key, bool done);
  void tick();
  void arm();

  Hub& hub_;
  Deliver deliver_;
  std::map<Key, Task> tasks_;
  SignedTimes known_{{ring::kBroadcastOriginsMax, ring::kBroadcastIdsKept, ring::kBroadcastReorder,
                      ring::kBroadcastMemory}};
  std::int64_t last_sent_at_ = 0;
  RateTable rates_{ring::kBroadcastsPerSecond, ring::kBroadcastsBurst};  // of origins
  RateTable arcs_{ring::kArcsPerSecond, ring::kArcsBurst};               // of previous hops
  Timer timer_;
};

}  // namespace wow
