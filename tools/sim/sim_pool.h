// Nodes on the hosts of a World: the very class that the daemon runs, with stand-in credentials.
// For tests and simulations; the first node added is the bootstrap of the later ones unless their
// options name another. Same seed, same run.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/metrics.h"
#include "overlay/node.h"
#include "tools/sim/fake_credentials.h"
#include "tools/sim/world.h"

namespace wow {

// One node's counters, without the lists that threads need.
struct SimMetrics {
  MetricSlot slot;
  std::uint64_t total(Metric metric) const { return slot.get(metric); }
};

// A member: what survives a crash (its key, its place in the pool) and the node while it runs.
struct SimNode {
  SimHost& host;
  const std::uint64_t key_seed;
  const Address key_address;
  NodeOptions options;
  std::uint64_t incarnation = 0;
  SimMetrics metrics;
  std::unique_ptr<FakeCredentials> credentials;
  std::unique_ptr<Node> node;  // null: not running

  Node* operator->() { return node.get(); }
  Node& operator*() { return *node; }
  const Address& address() const { return key_address; }
};

class SimPool {
 public:
  explicit SimPool(World& world) : world_(world), random_(world.seed() + 1) {}
  ~SimPool();

  // Starts a node on the host, at once. The reference holds as long as the pool.
  SimNode& add(SimHost& host, NodeOptions options = {});
  // A grown ring in little time: a node on each host, which remembers its true neighbours among
  // these and a few members further away, as after a restart of the whole pool; all started,
  // evenly, within `spread`. Every packet is really sent. Then runs the world until the ring is
  // whole, at most for `limit`; returns whether it is.
  bool construct(std::span<SimHost* const> hosts, Duration spread = 2s,
                 const NodeOptions& options = {}, Duration limit = 60s);
  // Called now and then while a ring is being constructed, which takes an hour if it is large.
  void set_progress(std::function<void()> progress) { progress_ = std::move(progress); }
  // Without a word to anybody; the host goes down. Call from outside of events, as all of these.
  void crash(SimNode& member);
  // Again with the same key, and with what it remembered when it went down.
  void restart(SimNode& member);
  // Not yet running; restart() begins.
  SimNode& add_stopped(SimHost& host, NodeOptions options = {});
  // Says goodbye first.
  void leave(SimNode& member);
  // The host wakes up elsewhere, and its node is told.
  void move(SimNode& member, std::string_view ip, Site* site = nullptr);

  std::deque<SimNode>& members() { return members_; }
  SimNode& operator[](std::size_t i) { return members_.at(i); }
  // Running members in the order of the ring. Holds until one starts or stops.
  const std::vector<SimNode*>& ring();
  // Null if nobody with this address is running.
  SimNode* find(const Address& address);
  // Grows with every start and stop.
  std::uint64_t version() const { return version_; }
  World& world() { return world_; }

  bool all_joined();
  // Whether each node has near edges that carry packets to its true neighbours, `per_side` on each
  // side. See RingChecker for large pools.
  bool ring_is_whole(std::size_t per_side = 1);
  // Whether two nodes have open sessions with each other on direct paths.
  bool direct(SimNode& a, SimNode& b);
  // Whether a packet from `a` arrives at `b` along the ring: `a` looks for the owner of b's
  // address. Runs the world, up to 3 s.
  bool routable(SimNode& a, SimNode& b);
  // Every running member from every other; for pools of up to 60.
  bool all_routable();
  std::uint64_t total(Metric metric) const;

 private:
  void start(SimNode& member);
  void shut_down(SimNode& member);
  void remember_neighbours(std::vector<SimNode*> ring);

  World& world_;
  SeededRandom random_;
  std::function<void()> progress_;
  std::deque<SimNode> members_;
  std::unordered_map<Address, SimNode*, AddressHash> by_address_;
  std::vector<SimNode*> ring_;
  std::uint64_t version_ = 1, ring_version_ = 0;
};

}  // namespace wow
