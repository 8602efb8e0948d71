#include "tests/dht/fake_pool.h"

#include <algorithm>

#include "dht/group.h"

namespace wow {

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
    pool_.schedule(pool_.now() + 2 * pool_.draw_delay(),
                   [this, nearest, done = std::move(done), life = me().life] {
                     if (me().life == life && me().dht) done(nearest);
                   });
  }
  std::vector<Address> nearest_known(const Address& target, std::size_t count) const override {
    std::vector<Address> out;
    for (int i = 0; i < pool_.size(); ++i) {
      if (pool_.is_up(i) && (i == node_ || pool_.reaches(node_, i)))
        out.push_back(pool_.address(i));
    }
    if (std::find(out.begin(), out.end(), self()) == out.end()) out.push_back(self());
    std::sort(out.begin(), out.end(), [&](auto& a, auto& b) { return nearer(a, b, target); });
    out.resize(std::min(count, out.size()));
    return out;
  }
  bool joined() const override { return true; }
  bool alone() const override { return nearest_known(self(), 2).size() == 1; }

 private:
  const Node& me() const { return *pool_.nodes_[static_cast<std::size_t>(node_)]; }
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
  nodes_.push_back(std::move(node));
  start(number);
  return number;
}

void FakePool::add_all(int count) {
  for (int i = 0; i < count; ++i) add();
}

void FakePool::start(int number) {
  Node& node = *nodes_[static_cast<std::size_t>(number)];
  ++node.life;
  node.random = std::make_unique<SeededRandom>(random.u64());
  node.dht = std::make_unique<Dht>(*node.network, *node.store, *node.credentials, *this,
                                   *node.random, *node.metrics, options);
  node.dht->start();
}

void FakePool::crash(int number) { nodes_[static_cast<std::size_t>(number)]->dht.reset(); }

void FakePool::restart(int number, bool with_store) {
  crash(number);
  if (!with_store) *nodes_[static_cast<std::size_t>(number)]->store = {};
  start(number);
}

int FakePool::node_of(const Address& address) const {
  for (int i = 0; i < size(); ++i) {
    if (nodes_[static_cast<std::size_t>(i)]->self == address) return i;
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
  dht(to).on_message(address(from), message);
}

void FakePool::run_for(Duration span) {
  const TimePoint end = now_ + span;
  while (timers_.next_due() && *timers_.next_due() <= end) {
    now_ = std::max(now_, *timers_.next_due());
    timers_.fire_one(now_);
  }
  now_ = end;
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

}  // namespace wow
