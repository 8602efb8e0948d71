// Nodes with a Dht each on a network of messages that are delayed, reordered, lost, doubled or
// blocked; every node knows every other that it can reach. One virtual clock; a seed replays a run.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "base/timer_queue.h"
#include "dht/dht.h"
#include "tools/sim/fake_credentials.h"

namespace wow {

class MemoryStore final : public DhtStore {
 public:
  void load(const std::function<void(const std::string&, ByteView)>& each) override {
    for (const auto& [key, value] : entries) each(key, value);
  }
  bool write(const std::string& key, ByteView value) override {
    if (fails) return false;
    ++writes;
    if (value.empty()) {
      entries.erase(key);
    } else {
      entries[key] = to_bytes(value);
    }
    return true;
  }
  bool write_all(std::span<const Entry> all) override {
    ++batches;
    return DhtStore::write_all(all);
  }
  bool was_shared() const override { return shared; }
  void note_shared() override { shared = true; }

  std::map<std::string, Bytes> entries;
  bool shared = false;
  std::size_t writes = 0;   // of single entries
  std::size_t batches = 0;  // each synced once
  bool fails = false;
};

// Of a pool whose first node founds, by name.
inline DhtOptions founded_by_first() {
  DhtOptions options;
  options.founder = FakeCredentials::address_of(1);
  return options;
}

class FakePool final : public Clock {
 public:
  using Blocked = std::function<bool(int from, int to)>;
  using Tamper = std::function<bool(int from, int to, Bytes& message)>;  // false: drops it

  explicit FakePool(std::uint64_t seed, DhtOptions options = {});
  ~FakePool() override;

  // Adds a running node; returns its number. add_all: as many as given.
  int add();
  void add_all(int count);
  // Power off; and on again, with or without its store.
  void crash(int node);
  void restart(int node, bool with_store = true);
  // Does nothing until it resumes, with a clock that goes on or stands still meanwhile; then what
  // was sent to it and its overdue timers come at once, either first.
  void pause(int node, bool with_frozen_clock);
  void resume(int node);
  bool is_paused(int node) const { return nodes_[static_cast<std::size_t>(node)]->paused; }
  // In all until now.
  Duration time_paused(int node) const;
  Duration time_frozen(int node) const;
  bool is_up(int node) const { return nodes_[static_cast<std::size_t>(node)]->dht != nullptr; }

  Dht& dht(int node) { return *nodes_[static_cast<std::size_t>(node)]->dht; }
  MemoryStore& store(int node) { return *nodes_[static_cast<std::size_t>(node)]->store; }
  FakeCredentials& credentials(int node) {
    return *nodes_[static_cast<std::size_t>(node)]->credentials;
  }
  Address address(int node) const { return nodes_[static_cast<std::size_t>(node)]->self; }
  int node_of(const Address& address) const;  // -1: none
  std::uint64_t metric(int node, Metric metric) const {
    return nodes_[static_cast<std::size_t>(node)]->metrics->get(metric);
  }
  int size() const { return static_cast<int>(nodes_.size()); }
  // Numbers of the nodes, those nearest to the shard's centre first.
  std::vector<int> nearest() const;
  // A message as if `from` had sent it.
  void inject(int from, int to, ByteView message);

  double loss = 0, duplicate = 0;
  Duration delay = 10ms, jitter = 10ms;
  Blocked blocked;
  Tamper tamper;
  // Called with each message just before its receiver is.
  std::function<void(int from, int to, ByteView message)> delivering;
  DhtOptions options;
  SeededRandom random;

  // Until the node's call ended; kUnavailable if it never does.
  Result<DhtRecord> create(int node, const std::string& key, const std::string& data,
                           Duration ttl = 1h);
  Result<DhtRecord> put(int node, const std::string& key, const std::string& data,
                        Duration ttl = 1h);
  Result<DhtRecord> get(int node, const std::string& key);
  Result<DhtRecord> look_up(int node, const std::string& key);
  Result<DhtRecord> renew(int node, const std::string& key, Duration ttl = 1h);
  Result<DhtRecord> remove(int node, const std::string& key);
  Result<std::vector<DhtRecord>> list(int node, const std::string& prefix, Bytes& digest);
  Result<std::vector<DhtRecord>> look_up_all(int node, const std::string& prefix);

  void run_for(Duration span);
  bool run_until(const std::function<bool()>& done, Duration limit);
  // Until all running nodes agree on a group of `members` that all serve.
  bool run_until_group(std::size_t members, Duration limit);

  TimePoint now() const override { return now_; }
  WallTime wall() const override {
    return WallTime(1'750'000'000s) +
           std::chrono::floor<std::chrono::seconds>(now_.time_since_epoch());
  }
  TimerId schedule(TimePoint at, std::function<void()> fire) override {
    return timers_.add(at, std::move(fire));
  }
  void cancel(TimerId id) override { timers_.cancel(id); }

 private:
  class Network;
  class NodeClock;
  struct Node {
    Address self;
    std::unique_ptr<NodeClock> clock;
    std::unique_ptr<FakeCredentials> credentials;
    std::unique_ptr<MemoryStore> store;
    std::unique_ptr<MetricSlot> metrics;
    std::unique_ptr<SeededRandom> random;
    std::unique_ptr<Network> network;
    std::unique_ptr<Dht> dht;
    int life = 0;
    bool paused = false, frozen = false;
    TimePoint paused_at{};
    Duration time_paused{}, time_frozen{};       // of pauses that are over
    std::vector<std::pair<int, Bytes>> backlog;  // sender and message, while paused
  };

  Node& at(int node) const { return *nodes_[static_cast<std::size_t>(node)]; }
  void start(int node);
  // Of the pool's own timers and those of running nodes.
  TimerQueue* earliest(TimePoint& due);
  bool reaches(int from, int to) const { return !blocked || !blocked(from, to); }
  void transmit(int from, int to, ByteView message);
  Duration draw_delay();
  Result<DhtRecord> wait(const std::function<void(Dht::Done)>& begin);

  std::vector<std::unique_ptr<Node>> nodes_;
  TimePoint now_{1000s};
  TimerQueue timers_;
};

}  // namespace wow
