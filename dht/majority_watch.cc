#include "dht/majority_watch.h"

#include <algorithm>

namespace wow::dht {
namespace {

constexpr Duration kAskAfter = 10s;      // of not hearing from a majority
constexpr Duration kAskAfterBusy = 25s;  // when many shards share their questions
constexpr Duration kAskAgain = 5s;
constexpr Duration kLookMax = 15s;  // between two looks; what is longer was not our time

}  // namespace

void MajorityWatch::hear(const ReplicaId& from, const EpochId& serves) {
  if (!group_.has(from)) {
    // A member that lost its store, or gave its lineage up, is that member no more.
    if (group_.find(from.address)) {
      served_.erase(from.address);
      heard_.erase(from.address);
    }
    return;
  }
  heard_[from.address] = context_.clock.now();
  if (serves == group_.id) served_.insert(from.address);
}

bool MajorityWatch::has_quorum(TimePoint since) const {
  std::size_t count = 0;
  for (const auto& member : group_.members) {
    if (member == context_.self()) {
      count += replica_.serving_id() == group_.id;
    } else if (served_.contains(member.address)) {
      // Whoever served it and kept its store serves it still.
      const auto heard = heard_.find(member.address);
      const auto alive = context_.peers ? context_.peers->heard_since(member.address, since)
                                        : std::optional<std::uint64_t>();
      count += (heard != heard_.end() && heard->second >= since) || alive == member.incarnation;
    }
  }
  return count >= group_.majority();
}

std::vector<Address> MajorityWatch::look(const Group& newest) {
  const TimePoint now = context_.clock.now();
  const Duration passed = std::min(now - std::exchange(looked_, now), kLookMax);
  if (newest.id != group_.id) {
    if (newest.id.lineage != group_.id.lineage) {
      if (replica_.holds_lineage(group_.id.lineage)) held_lost_for_ = lost_for_;
      if (replica_.holds_lineage(newest.id.lineage)) held_lost_for_ = {};
      lost_for_ = {};
      asking_since_.reset();
      answered_ = now;
    }
    group_ = newest;
    served_.clear();
    heard_.clear();
    asked_ = {};
  }
  const Duration interval = context_.peers && context_.peers->is_busy() ? kAskAfterBusy : kAskAfter;
  if (has_quorum(asking_since_ ? *asking_since_ : now - interval)) {
    answered_ = now;
    asking_since_.reset();
    lost_for_ = {};
    return {};
  }
  if (!asking_since_) {
    if (now - answered_ < interval && !served_.empty()) return {};
    asking_since_ = now;
  } else {
    lost_for_ += passed;
    if (now - asked_ < kAskAgain) return {};
  }
  asked_ = now;
  std::vector<Address> out;
  for (const auto& member : group_.members) {
    const bool shared =
        context_.peers && context_.peers->is_busy() && served_.contains(member.address);
    if (member == context_.self()) continue;
    if (!shared || context_.peers->note_asked(member.address, now, now - 1s)) {
      out.push_back(member.address);
    }
  }
  return out;
}

}  // namespace wow::dht
