#include "tests/dht/race_run.h"

#include <algorithm>
#include <set>

#include "dht/record.h"
#include "tests/dht/pool_view.h"

namespace wow {
namespace {

using Kind = Operation::Kind;
using Outcome = Operation::Outcome;

// A lineage without a majority is given up after a value's longest life: G = TTL * 1.01 + 10 s.
constexpr Duration kLongestTtl = 49s;
constexpr Duration kG = 60s;
static_assert(majority_lost_after(kLongestTtl) <= kG);
// After everything was healed: where a majority is there, and where it is lost for good. That takes
// G, the time until somebody asks, and the time until others follow.
constexpr Duration kResolvedAfter = 30s, kFoundAfter = kG + 30s;
constexpr Duration kShortTtl = 3s;  // some expire while they are raced for
constexpr Duration kRaceInterval = 700ms;
constexpr Duration kStep = 100ms;
constexpr Duration kPause = 30s;
constexpr Duration kFollowInterval = 10s;
constexpr std::size_t kRecentMax = 6;
constexpr std::size_t kOperationsMax = kHistoryMax / 2;  // on one key; a removal may count twice

Duration lifetime_of(Duration ttl) {
  dht::Value value;
  value.ttl = ttl;
  return value.lifetime();
}

// As pools are by default, some have no founder who is named.
constexpr std::uint64_t kUnnamedEvery = 4;

DhtOptions options_of_run(std::uint64_t seed) {
  auto options = seed % kUnnamedEvery == 0 ? DhtOptions() : founded_by_first();
  options.group_change_after = 3s;
  options.majority_lost_after = kG;
  return options;
}

}  // namespace

RaceRun::RaceRun(std::uint64_t seed, int races)
    : races_(races), pool_(seed, options_of_run(seed)), watch_(pool_, kG) {
  faults_ = {draw(0.5), draw(0.3), draw(0.5), draw(0.5), draw(0.5), draw(0.1)};
  pool_.add_all(2 + static_cast<int>(pool_.random.below(7)));
  pool_.delay = 1ms + random_up_to(50ms);
  pool_.duplicate = pool_.random.unit() * 0.1;
  pool_.delivering = [this](int from, int, ByteView bytes) {
    pb::DhtMessage message;
    if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
    watch_.hear(from, message);
    answering_ = dht::epoch_of(message).lineage;
  };
  pool_.blocked = [this](int from, int to) {
    const auto side = [this](int node) {
      const auto i = static_cast<std::size_t>(node);
      return i < side_.size() ? side_[i] : 0;
    };
    return side(from) != side(to);
  };
}

const std::string& RaceRun::run() {
  // Some race while the group is being founded or is growing.
  pool_.run_for(random_up_to(8s));
  // Without a named founder that would be a race of its own, of founders.
  if (!pool_.options.founder) {
    const auto everybody_knows = [this] { return is_resolved_everywhere(pool_); };
    if (!pool_.run_until(everybody_knows, 20s)) fail("no group was founded");
  }
  pool_.loss = draw(0.3) ? 0 : pool_.random.unit() * 0.2;
  pool_.jitter = 1ms + random_up_to(200ms);
  for (int race = 0; race < races_ && failure_.empty();) {
    pool_.run_for(random_up_to(2 * kStep));
    watch_.look();
    if (!watch_.objection().empty()) fail(watch_.objection());
    disturb();
    if (draw(to_seconds(kStep) / to_seconds(kRaceInterval))) begin_race(race++);
    if (draw(0.7)) act_on_some_key();
  }
  heal();
  if (failure_.empty()) check_histories();
  return failure_;
}

void RaceRun::fail(const std::string& what) {
  if (failure_.empty()) failure_ = what;
}

Duration RaceRun::random_up_to(Duration most) {
  return Duration(
      static_cast<Duration::rep>(pool_.random.unit() * static_cast<double>(most.count())));
}

// --- Operations ---

void RaceRun::begin_race(int number) {
  const std::string key = "k" + std::to_string(number);
  recent_.push_back(key);
  if (recent_.size() > kRecentMax) recent_.erase(recent_.begin());
  ++counts_.races;
  const int racers = 2 + static_cast<int>(pool_.random.below(4));
  const Duration spread = draw(0.5) ? Duration{} : random_up_to(300ms);
  for (int i = 0; i < racers; ++i) {
    const int node = random_node();
    pool_.schedule(pool_.now() + random_up_to(spread),
                   [=, this] { start(key, Kind::kWrite, node); });
  }
}

void RaceRun::act_on_some_key() {
  if (recent_.empty()) return;
  const auto& key = recent_[pool_.random.below(recent_.size())];
  const double dice = pool_.random.unit();
  int node = random_node();
  if (dice < 0.02) return list(node);  // each makes many rounds
  // Mostly by somebody who believes to hold it: others are only told that they do not.
  for (const auto& entry : histories_[key]) {
    if (dice > 0.5 && is_holding(entry) && !draw(0.1)) node = entry.operation.client;
  }
  const auto kind = dice < 0.4   ? Kind::kRead
                    : dice < 0.6 ? Kind::kWrite
                    : dice < 0.8 ? Kind::kRenew
                                 : Kind::kRemove;
  start(key, kind, node);
}

bool RaceRun::may_start(const std::string& key, int node) {
  if (!is_able(node)) return false;
  const auto& history = histories_[key];
  const bool is_busy = std::any_of(history.begin(), history.end(), [&](const Entry& entry) {
    const auto& operation = entry.operation;
    return operation.client == node && entry.life == lives_[static_cast<std::size_t>(node)] &&
           operation.returned == TimePoint::max();
  });
  return !is_busy && history.size() < kOperationsMax;
}

// A list is a read of each key.
void RaceRun::list(int node) {
  std::vector<std::pair<std::string, std::size_t>> reads;
  for (const auto& key : recent_) {
    if (!may_start(key, node)) continue;
    Entry entry;
    entry.operation = {.kind = Kind::kRead, .client = node};
    entry.operation.called = pool_.now();
    entry.life = lives_[static_cast<std::size_t>(node)];
    entry.paused_before = pool_.time_paused(node);
    reads.emplace_back(key, histories_[key].size());
    histories_[key].push_back(entry);
  }
  if (reads.empty()) return;
  ++counts_.lists;
  pool_.dht(node).list("k", {}, [this, reads](const auto& answer, const Bytes&) {
    for (const auto& [key, index] : reads) {
      if (!answer) {
        on_answer(key, index, answer.error());
        continue;
      }
      const auto found = std::ranges::find(*answer, key, &DhtRecord::key);
      if (found != answer->end()) {
        on_answer(key, index, *found);
      } else {
        on_answer(key, index, Error{ErrorCode::kNotFound, {}});
      }
    }
  });
}

void RaceRun::start(const std::string& key, Kind kind, int node) {
  if (!may_start(key, node)) return;
  auto& history = histories_[key];
  const Duration ttl = draw(0.2) ? kShortTtl : kLongestTtl;
  const std::size_t index = history.size();
  Entry entry;
  entry.operation = {.kind = kind, .client = node, .lifetime = lifetime_of(ttl)};
  entry.operation.called = pool_.now();
  if (kind == Kind::kWrite) entry.operation.data = ++last_data_;
  entry.life = lives_[static_cast<std::size_t>(node)];
  entry.paused_before = pool_.time_paused(node);
  entry.frozen_before = pool_.time_frozen(node);
  entry.hold_ends = pool_.now() - entry.frozen_before + ttl;
  if (kind == Kind::kWrite || kind == Kind::kRenew) {
    // A shorter time to live counts from now on: it may have been taken though nobody says so.
    for (auto& other : history) {
      if (other.operation.client == node)
        other.hold_ends = std::min(other.hold_ends, entry.hold_ends);
    }
  }
  history.push_back(entry);
  auto done = [this, key, index](const Result<DhtRecord>& answer) {
    on_answer(key, index, answer);
  };
  const std::string data = std::to_string(entry.operation.data);
  switch (kind) {
    case Kind::kWrite:
      ++counts_.creates;
      return draw(0.8) ? pool_.dht(node).create(key, view_of(data), ttl, done)
                       : pool_.dht(node).put(key, view_of(data), ttl, done);
    case Kind::kRenew:
      return pool_.dht(node).renew(key, ttl, done);
    case Kind::kRemove:
      end_holds(key, node);
      return pool_.dht(node).remove(key, done);
    case Kind::kRead:
      return pool_.dht(node).get(key, done);
  }
}

void RaceRun::on_answer(const std::string& key, std::size_t index,
                        const Result<DhtRecord>& answer) {
  Operation& operation = histories_[key][index].operation;
  histories_[key][index].lineage = answering_;
  const auto& entry = histories_[key][index];
  const Duration taken =
      pool_.now() - operation.called - (pool_.time_paused(operation.client) - entry.paused_before);
  if (taken > kDhtOperationLimit) {
    fail(key + " was answered after " + std::to_string(to_seconds(taken)) +
         " s: " + operation.text());
  }
  // Without an outcome it may still take effect.
  if (!answer) {
    take_error(operation, answer.error());
    // It has ended for its client all the same: another may begin.
    if (operation.outcome == Outcome::kUnknown) histories_[key][index].life = -1;
    return;
  }
  operation.returned = pool_.now();
  operation.outcome = Outcome::kDone;
  if (operation.kind == Kind::kRead) {
    ++counts_.reads;
    operation.holder = pool_.node_of(answer->owner);
    operation.data = std::strtoull(to_string(answer->data).c_str(), nullptr, 10);
  } else if (operation.kind != Kind::kRemove) {
    counts_.won += operation.kind == Kind::kWrite;
    begin_hold(key, index);
  }
}

void RaceRun::take_error(Operation& operation, const Error& error) {
  const bool is_write = operation.kind == Kind::kWrite;
  switch (error.code) {
    case ErrorCode::kUnavailable:
      counts_.unavailable += is_write;
      return;
    case ErrorCode::kNotFound:
      operation.returned = pool_.now();
      operation.outcome = Outcome::kFree;
      return;
    case ErrorCode::kAlreadyExists:
    case ErrorCode::kPermission:
      operation.returned = pool_.now();
      operation.outcome = Outcome::kHeld;
      for (int node = 0; node < pool_.size(); ++node) {
        if (error.message.ends_with("is held by " + pool_.address(node).hex()))
          operation.holder = node;
      }
      counts_.lost += is_write;
      if (operation.holder >= 0) return;
      [[fallthrough]];
    default:
      fail("unexpected answer: " + error.message + ": " + operation.text());
  }
}

// --- Who believes to hold what ---

bool RaceRun::is_holding(const Entry& entry) const {
  const int node = entry.operation.client;
  return entry.is_held && pool_.now() - pool_.time_frozen(node) < entry.hold_ends;
}

void RaceRun::begin_hold(const std::string& key, std::size_t index) {
  auto& history = histories_[key];
  Entry& fresh = history[index];
  fresh.is_held = true;
  if (!is_holding(fresh)) return;
  for (const auto& other : history) {
    const int node = other.operation.client;
    if (node == fresh.operation.client || !is_holding(other)) continue;
    ++counts_.doubles;
    const bool has_frozen = pool_.time_frozen(node) > other.frozen_before;
    if (has_frozen || other.lineage != fresh.lineage) continue;
    fail(key + " is held by two, nodes " + std::to_string(node) + " and " +
         std::to_string(fresh.operation.client) + ":" + text_of(key));
  }
}

void RaceRun::end_holds(const std::string& key, int node) {
  for (auto& entry : histories_[key]) {
    if (entry.operation.client == node) entry.is_held = false;
  }
}

std::string RaceRun::text_of(const std::string& key) const {
  std::string out;
  for (const auto& entry : histories_.at(key)) out += "\n  " + entry.operation.text();
  return out;
}

void RaceRun::check_histories() {
  for (const auto& [key, history] : histories_) {
    std::set<dht::Lineage> lineages;
    for (const auto& entry : history) lineages.insert(entry.lineage);
    for (const auto& lineage : lineages) check_history(key, lineage);
  }
}

void RaceRun::check_history(const std::string& key, const dht::Lineage& lineage) {
  std::vector<Operation> operations;
  for (const auto& entry : histories_[key]) {
    Operation operation = entry.operation;
    // What has no outcome, or has one by another lineage, may have taken effect in this one, too:
    // its client asked several members.
    if (entry.lineage != lineage) {
      operation.outcome = Outcome::kUnknown;
      operation.holder = -1;
      operation.returned = TimePoint::max();
    }
    const bool is_told_otherwise =
        operation.outcome == Outcome::kHeld || operation.outcome == Outcome::kFree;
    const bool has_outlived_itself =
        operation.kind != Kind::kRead && operation.returned - operation.called > operation.lifetime;
    const bool is_removal = operation.kind == Kind::kRemove && operation.outcome != Outcome::kDone;
    if (is_removal || (is_told_otherwise && has_outlived_itself)) {
      // A member that was asked first may have done it, and another said what it saw after that;
      // a sleeper's write may even have ended meanwhile.
      operations.push_back(operation);
      operations.back().outcome = Outcome::kUnknown;
      operation.kind = Kind::kRead;
    }
    operations.push_back(operation);
  }
  if (is_linearizable(operations)) return;
  fail(key + " is not linearizable:" + text_of(key));
}

// --- Faults ---

void RaceRun::disturb() {
  lives_.resize(static_cast<std::size_t>(pool_.size()));
  for (int node = 0; node < pool_.size(); ++node) {
    if (resume_at_.contains(node) && resume_at_[node] <= pool_.now()) {
      resume_at_.erase(node);
      if (pool_.is_paused(node)) pool_.resume(node);
    }
    if (restart_at_.contains(node) && restart_at_[node] <= pool_.now()) {
      restart_at_.erase(node);
      pool_.restart(node);
    }
  }
  if (!side_.empty() && part_ends_ <= pool_.now()) side_.clear();
  if ((faults_.crashes || faults_.amnesia) && draw(0.01)) crash_one();
  if (faults_.partitions && side_.empty() && draw(0.01)) part();
  if ((faults_.pauses || faults_.frozen) && draw(0.006)) pause_one();
  if (faults_.crashes && pool_.size() < 12 && draw(0.002)) pool_.add();
  lives_.resize(static_cast<std::size_t>(pool_.size()));
}

void RaceRun::crash_one() {
  const int node = random_node();
  if (!is_able(node)) return;
  // What has crashed does not use what it held, and nobody waits for its answers.
  ++lives_[static_cast<std::size_t>(node)];
  for (auto& [key, history] : histories_) end_holds(key, node);
  ++counts_.crashes;
  if (faults_.amnesia && draw(0.3)) {
    ++counts_.amnesias;
    pool_.restart(node, false);
    return watch_.forgot(node);
  }
  pool_.crash(node);
  restart_at_[node] = pool_.now() + random_up_to(draw(0.5) ? 2s : 40s);
}

void RaceRun::part() {
  side_.resize(static_cast<std::size_t>(pool_.size()));
  for (auto& side : side_) side = static_cast<int>(pool_.random.below(draw(0.2) ? 3 : 2));
  ++counts_.partitions;
  part_ends_ = pool_.now() + random_up_to(faults_.long_cuts ? 2 * kG : kG / 2);
}

void RaceRun::pause_one() {
  const int node = random_node();
  if (!is_able(node)) return;
  const bool with_frozen_clock = faults_.frozen && (!faults_.pauses || draw(0.5));
  pool_.pause(node, with_frozen_clock);
  ++counts_.pauses;
  resume_at_[node] = pool_.now() + (draw(0.5) ? kPause : random_up_to(kPause));
}

// When everything works again, so does the store, and the same everywhere.
void RaceRun::heal() {
  const bool is_recoverable = watch_.can_recover();
  pool_.loss = 0;
  side_.clear();
  for (int node = 0; node < pool_.size(); ++node) {
    if (pool_.is_paused(node)) pool_.resume(node);
    if (!pool_.is_up(node)) pool_.restart(node);
  }
  std::vector<DhtStatus> before;
  std::vector<int> told(static_cast<std::size_t>(pool_.size()));
  for (int node = 0; node < pool_.size(); ++node) {
    before.push_back(pool_.dht(node).status());
    int& times = told[static_cast<std::size_t>(node)];
    pool_.dht(node).on_lineage_change([&times](const DhtLineageChange&) { ++times; });
  }
  const TimePoint healed = pool_.now();
  run_until_resolved(is_recoverable ? kResolvedAfter : kFoundAfter);
  if (!watch_.objection().empty()) fail(watch_.objection());
  if (!is_resolved_everywhere(pool_))
    return fail("not resolved in time after everything was healed:" + states_text(pool_));
  counts_.slowest_heal = std::max(counts_.slowest_heal, pool_.now() - healed);
  pool_.run_for(kDhtOperationLimit + 1s);  // the last race may have begun just now
  check_answered();
  counts_.lineages = static_cast<int>(watch_.lineages());
  const auto after = pool_.dht(0).status();
  for (int node = 0; node < pool_.size(); ++node) {
    const auto& was = before[static_cast<std::size_t>(node)];
    const bool is_loser = was.lineage != 0 && lineage_of(was) != lineage_of(after);
    if (is_loser && told[static_cast<std::size_t>(node)] == 0) {
      fail("node " + std::to_string(node) + " was not told that its lineage gave way");
    }
  }
  check_agreement();
}

// As members do that follow the pool's names, everybody asks for something now and then.
void RaceRun::run_until_resolved(Duration limit) {
  TimePoint asked{};
  for (const TimePoint end = pool_.now() + limit; pool_.now() < end;) {
    if (is_resolved_everywhere(pool_)) return;
    if (pool_.now() - asked >= kFollowInterval) {
      asked = pool_.now();
      for (int node = 0; node < pool_.size(); ++node)
        pool_.dht(node).get("name", [](const auto&) {});
    }
    pool_.run_for(kStep / 2);
    watch_.look();
  }
}

void RaceRun::check_answered() {
  for (const auto& [key, history] : histories_) {
    for (const auto& entry : history) {
      const auto& operation = entry.operation;
      const bool is_waiting = entry.life == lives_[static_cast<std::size_t>(operation.client)];
      if (is_waiting && operation.returned == TimePoint::max()) {
        return fail(key + " was never answered: " + operation.text());
      }
    }
  }
}

// Everybody can write, and sees the same holders.
void RaceRun::check_agreement() {
  for (int node = 0; node < pool_.size(); ++node) {
    const auto answer = pool_.create(node, "own" + std::to_string(node), "v");
    if (!answer) {
      return fail("after everything was healed: " + answer.error().message + states_text(pool_));
    }
  }
  for (const auto& key : recent_) {
    std::optional<Address> holder;
    for (int node = 0; node < pool_.size(); ++node) {
      const auto got = pool_.get(node, key);
      // One that has ended is free to some until all replicas' timers have ended, too.
      if (!got && got.error().code == ErrorCode::kNotFound) continue;
      if (!got || (holder && *holder != got->owner)) {
        return fail("after everything was healed " + key + " is not seen the same by node " +
                    std::to_string(node) + ": " + (got ? got->owner.hex() : got.error().message) +
                    states_text(pool_) + text_of(key));
      }
      holder = got->owner;
    }
  }
}

}  // namespace wow
