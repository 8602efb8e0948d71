#include "tests/dht/fake_pool.h"

#include <algorithm>

#include "dht/group.h"

namespace wow {
namespace {

constexpr std::size_t kBacklogMax = 512;     // messages, as a socket's buffer
constexpr Duration kPauseNoticedAfter = 5s;  // by the ring around

}  // namespace

class FakePool::NodeClock final : public Clock {
 public:
  NodeClock(FakePool& pool, int node) : pool_(pool), node_(node) {}

  TimePoint now() const override { return pool_.now_ - pool_.time_frozen(node_); }
  WallTime wall() const override { return pool_.wall(); }
  TimerId schedule(TimePoint at, std::function<void()> fire) override {
    return timers.add(at, std::move(fire));
  }
  void cancel(TimerId id) override { timers.cancel(id); }

  TimerQueue timers;

 private:
  FakePool& pool_;
  const int node_;
};

class FakePool::Network final : public DhtNetwork {
 public:
  Network(FakePool& pool, int node) : pool_(pool), node_(node) {}

  const Address& self() const override { return me().self; }
  void send(const Address& to, ByteView message) override {
    const int receiver = pool_.node_of(to);
    if (receiver >= 0) pool_.transmit(node_, receiver, message);
  }
  void locate(const Address& target, std::function<void(std::optional<Address>)> done) override {
    const auto nearest = nearest_known(target, 1).front();
    me().clock->schedule(me().clock->now() + 2 * pool_.draw_delay(),
                         [this, nearest, done = std::move(done), life = me().life] {
                           if (me().life == life && me().dht) done(nearest);
                         });
  }
  std::vector<Address> nearest_known(const Address& target, std::size_t count) const override {
    std::vector<Address> out;
    for (int i = 0; i < pool_.size(); ++i) {
      const Node& other = pool_.at(i);
      const bool is_silent = other.paused && pool_.now_ - other.paused_at > kPauseNoticedAfter;
      const bool is_seen = pool_.is_up(i) && !is_silent && pool_.reaches(node_, i);
      if (i == node_ || is_seen) out.push_back(other.self);
    }
    std::sort(out.begin(), out.end(), [&](auto& a, auto& b) { return nearer(a, b, target); });
    out.resize(std::min(count, out.size()));
    return out;
  }
  bool joined() const override { return true; }
  bool alone() const override { return nearest_known(self(), 2).size() == 1; }

 private:
  const Node& me() const { return pool_.at(node_); }
  FakePool& pool_;
  const int node_;
};

FakePool::FakePool(std::uint64_t seed, DhtOptions with) : options(std::move(with)), random(seed) {}
FakePool::~FakePool() = default;

int FakePool::add() {
  const int number = size();
  auto node = std::make_unique<Node>();
  node->credentials = std::make_unique<FakeCredentials>(static_cast<std::uint64_t>(number) + 1);
  node->self = node->credentials->address();
  node->store = std::make_unique<MemoryStore>();
  node->metrics = std::make_unique<MetricSlot>();
  node->network = std::make_unique<Network>(*this, number);
  node->clock = std::make_unique<NodeClock>(*this, number);
  nodes_.push_back(std::move(node));
  start(number);
  return number;
}

void FakePool::add_all(int count) {
  for (int i = 0; i < count; ++i) add();
}

void FakePool::start(int number) {
  Node& node = at(number);
  ++node.life;
  node.random = std::make_unique<SeededRandom>(random.u64());
  node.dht = std::make_unique<Dht>(*node.network, *node.store, *node.credentials, *node.clock,
                                   *node.random, *node.metrics, options);
  node.dht->start();
}

void FakePool::crash(int number) {
  at(number).backlog.clear();
  if (at(number).paused) resume(number);
  at(number).dht.reset();
}

void FakePool::pause(int number, bool with_frozen_clock) {
  Node& node = at(number);
  node.paused = true;
  node.frozen = with_frozen_clock;
  node.paused_at = now_;
}

void FakePool::resume(int number) {
  Node& node = at(number);
  node.time_frozen = time_frozen(number);
  node.time_paused = time_paused(number);
  node.paused = node.frozen = false;
  auto deliver = [this, number, life = node.life, backlog = std::exchange(node.backlog, {})] {
    if (at(number).life != life) return;
    for (const auto& [from, message] : backlog) inject(from, number, message);
  };
  if (random.below(2) == 0) return deliver();
  schedule(now_, std::move(deliver));
}

Duration FakePool::time_paused(int number) const {
  const Node& node = at(number);
  return node.time_paused + (node.paused ? now_ - node.paused_at : Duration{});
}

Duration FakePool::time_frozen(int number) const {
  const Node& node = at(number);
  return node.time_frozen + (node.frozen ? now_ - node.paused_at : Duration{});
}

void FakePool::restart(int number, bool with_store) {
  crash(number);
  if (!with_store) at(number).store->entries.clear();
  start(number);
}

int FakePool::node_of(const Address& address) const {
  for (int i = 0; i < size(); ++i) {
    if (at(i).self == address) return i;
  }
  return -1;
}

std::vector<int> FakePool::nearest() const {
  std::vector<int> out;
  for (int i = 0; i < size(); ++i) out.push_back(i);
  std::sort(out.begin(), out.end(),
            [this](int a, int b) { return nearer(address(a), address(b), dht::shard_centre()); });
  return out;
}

Duration FakePool::draw_delay() {
  return delay + Duration(static_cast<Duration::rep>(random.unit() * jitter.count()));
}

void FakePool::transmit(int from, int to, ByteView bytes) {
  Bytes message = to_bytes(bytes);
  if (tamper && !tamper(from, to, message)) return;
  if (from != to && random.unit() < loss) return;
  const int copies = random.unit() < duplicate ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    schedule(now_ + draw_delay(), [this, from, to, message] { inject(from, to, message); });
  }
}

void FakePool::inject(int from, int to, ByteView message) {
  if (!is_up(to) || (from != to && !reaches(from, to))) return;
  if (Node& node = at(to); node.paused) {
    if (node.backlog.size() < kBacklogMax) node.backlog.emplace_back(from, to_bytes(message));
    return;
  }
  if (delivering) delivering(from, to, message);
  dht(to).on_message(address(from), message);
}

void FakePool::run_for(Duration span) {
  const TimePoint end = now_ + span;
  TimePoint due{};
  while (TimerQueue* queue = earliest(due)) {
    if (due > end) break;
    now_ = std::max(now_, due);
    queue->fire_one(TimePoint::max());
  }
  now_ = end;
}

TimerQueue* FakePool::earliest(TimePoint& due) {
  TimerQueue* out = nullptr;
  const auto consider = [&](TimerQueue& queue, Duration behind) {
    const auto next = queue.next_due();
    if (!next || (out && *next + behind >= due)) return;
    out = &queue;
    due = *next + behind;
  };
  consider(timers_, {});
  for (const auto& node : nodes_) {
    if (!node->paused) consider(node->clock->timers, node->time_frozen);
  }
  return out;
}

bool FakePool::run_until(const std::function<bool()>& done, Duration limit) {
  for (const TimePoint end = now_ + limit; !done(); run_for(10ms)) {
    if (now_ >= end) return false;
  }
  return true;
}

bool FakePool::run_until_group(std::size_t members, Duration limit) {
  return run_until(
      [&] {
        std::optional<std::uint64_t> epoch;
        for (int i = 0; i < size(); ++i) {
          if (!is_up(i)) continue;
          const auto status = dht(i).status();
          if (status.members.size() != members || status.member != status.serving) return false;
          if (epoch && status.epoch != *epoch) return false;
          epoch = status.epoch;
        }
        return true;
      },
      limit);
}

Result<DhtRecord> FakePool::wait(const std::function<void(Dht::Done)>& begin) {
  auto result = std::make_shared<std::optional<Result<DhtRecord>>>();
  begin([result](Result<DhtRecord> answer) { *result = std::move(answer); });
  run_until([&] { return result->has_value(); }, 2 * kDhtOperationLimit);
  return *result ? **result : Error{ErrorCode::kIo, "the operation did not end"};
}

Result<DhtRecord> FakePool::create(int node, const std::string& key, const std::string& data,
                                   Duration ttl) {
  return wait([&](auto done) { dht(node).create(key, view_of(data), ttl, done); });
}
Result<DhtRecord> FakePool::put(int node, const std::string& key, const std::string& data,
                                Duration ttl) {
  return wait([&](auto done) { dht(node).put(key, view_of(data), ttl, done); });
}
Result<DhtRecord> FakePool::look_up(int node, const std::string& key) {
  return wait([&](Dht::Done done) { dht(node).look_up(key, std::move(done)); });
}

Result<DhtRecord> FakePool::get(int node, const std::string& key) {
  return wait([&](auto done) { dht(node).get(key, done); });
}
Result<DhtRecord> FakePool::renew(int node, const std::string& key, Duration ttl) {
  return wait([&](auto done) { dht(node).renew(key, ttl, done); });
}
Result<DhtRecord> FakePool::remove(int node, const std::string& key) {
  return wait([&](auto done) { dht(node).remove(key, done); });
}

Result<std::vector<DhtRecord>> FakePool::list(int node, const std::string& prefix, Bytes& digest) {
  struct Answer {
    std::optional<Result<std::vector<DhtRecord>>> records;
    Bytes digest;
  };
  auto answer = std::make_shared<Answer>();
  dht(node).list(prefix, digest, [answer](auto records, Bytes new_digest) {
    answer->records = std::move(records);
    answer->digest = std::move(new_digest);
  });
  run_until([&] { return answer->records.has_value(); }, 2 * kDhtOperationLimit);
  if (!answer->records) return Error{ErrorCode::kIo, "the operation did not end"};
  digest = answer->digest;
  return *answer->records;
}

Result<std::vector<DhtRecord>> FakePool::look_up_all(int node, const std::string& prefix) {
  auto answer = std::make_shared<std::optional<Result<std::vector<DhtRecord>>>>();
  dht(node).look_up_all(prefix, {},
                        [answer](auto records, Bytes) { *answer = std::move(records); });
  run_until([&] { return answer->has_value(); }, 2 * kDhtOperationLimit);
  if (!*answer) return Error{ErrorCode::kIo, "the operation did not end"};
  return **answer;
}

}  // namespace wow
