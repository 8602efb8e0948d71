#include "tests/dht/linearizability.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <vector>

namespace wow {
namespace {

using Kind = Operation::Kind;
using Outcome = Operation::Outcome;

constexpr int kNobody = -1;

struct State {
  int holder = kNobody;
  std::uint64_t data = 0;
  TimePoint held_until = TimePoint::min();  // from then on it may be free

  auto operator<=>(const State&) const = default;
};

class Search {
 public:
  explicit Search(std::span<const Operation> history) {
    for (const auto& operation : history) {
      if (matters(operation, history)) operations_.push_back(operation);
    }
    // Those that return first are tried first: mostly that is the order.
    std::sort(operations_.begin(), operations_.end(), [](const auto& a, const auto& b) {
      return std::pair(a.returned, a.called) < std::pair(b.returned, b.called);
    });
    for (std::size_t i = 0; i < operations_.size(); ++i) {
      if (operations_[i].outcome != Outcome::kUnknown) required_ |= bit(i);
    }
  }

  bool run() { return explore(0, TimePoint::min(), {}); }

 private:
  static std::uint64_t bit(std::size_t i) { return std::uint64_t{1} << i; }

  // Without an answer, a read tells nothing; a renewal matters only if it shortens the life of what
  // its client has, and a write if it does so, or if somebody saw its writer hold the key.
  static bool matters(const Operation& operation, std::span<const Operation> history) {
    if (operation.outcome != Outcome::kUnknown || operation.kind == Kind::kRemove) return true;
    if (operation.kind == Kind::kRead) return false;
    const bool shortens = std::any_of(history.begin(), history.end(), [&](const Operation& other) {
      const bool prolongs = other.kind == Kind::kWrite || other.kind == Kind::kRenew;
      return prolongs && other.client == operation.client &&
             other.called + other.lifetime > operation.called + operation.lifetime;
    });
    if (shortens || operation.kind != Kind::kWrite) return shortens;
    return std::any_of(history.begin(), history.end(), [&](const Operation& other) {
      const bool names = other.holder == operation.client;
      const bool needs = other.client == operation.client && other.outcome == Outcome::kDone;
      return names || (needs && other.kind != Kind::kWrite && other.kind != Kind::kRead);
    });
  }

  // `done`: the operations that have taken effect, the last of them at `now` or later.
  bool explore(std::uint64_t done, TimePoint now, const State& state) {
    if ((done & required_) == required_) return true;
    if (!hopeless_.emplace(done, now, state).second) return false;
    for (std::size_t i = 0; i < operations_.size(); ++i) {
      const bool is_missing = (required_ & ~done & bit(i)) != 0;
      if (is_missing && operations_[i].returned < now) return false;  // too late for this one
    }
    for (std::size_t i = 0; i < operations_.size(); ++i) {
      const Operation& next = operations_[i];
      if ((done & bit(i)) != 0) continue;
      State after = state;
      const auto at = apply(next, std::max(now, next.called), after);
      if (at && *at <= next.returned && explore(done | bit(i), *at, after)) return true;
    }
    return false;
  }

  // When it can have taken effect at the earliest, and the state after it; nothing: never here.
  static std::optional<TimePoint> apply(const Operation& next, TimePoint at, State& state) {
    const bool held = state.holder != kNobody;
    const bool ours = state.holder == next.client;
    const TimePoint free_at = held ? std::max(at, state.held_until) : at;
    const bool is_known = next.outcome != Outcome::kUnknown;
    switch (next.outcome) {
      case Outcome::kHeld:
        return held && state.holder == next.holder ? std::optional(at) : std::nullopt;
      case Outcome::kFree:
        state = {};
        return free_at;
      default:
        break;
    }
    switch (next.kind) {
      case Kind::kRead:
        if (state.holder != next.holder || state.data != next.data) return std::nullopt;
        return at;
      case Kind::kWrite:
        state = {next.client, next.data, next.called + next.lifetime};
        return ours ? at : free_at;
      case Kind::kRenew:
        if (!ours) return is_known ? std::nullopt : std::optional(at);
        state.held_until = next.called + next.lifetime;
        return at;
      case Kind::kRemove:
        if (!ours) return is_known ? std::nullopt : std::optional(at);
        state = {};
        return at;
    }
    return std::nullopt;
  }

  std::vector<Operation> operations_;
  std::uint64_t required_ = 0;
  std::set<std::tuple<std::uint64_t, TimePoint, State>> hopeless_;
};

}  // namespace

std::string Operation::text() const {
  static constexpr const char* kKinds[] = {"write", "renew", "remove", "read"};
  static constexpr const char* kOutcomes[] = {"done", "held", "free", "unknown"};
  const auto seconds = [](TimePoint at) {
    return at == TimePoint::max() ? "-" : std::to_string(to_seconds(at.time_since_epoch()));
  };
  std::string out = seconds(called) + " to " + seconds(returned) + ": node " +
                    std::to_string(client) + " " + kKinds[static_cast<int>(kind)] + " " +
                    std::to_string(data) + ": " + kOutcomes[static_cast<int>(outcome)];
  if (holder >= 0) out += " by " + std::to_string(holder);
  return out;
}

bool is_linearizable(std::span<const Operation> history) {
  return history.size() <= kHistoryMax && Search(history).run();
}

}  // namespace wow
