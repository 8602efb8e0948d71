#include "tests/dht/majority_watch.h"

#include <algorithm>
#include <utility>

namespace wow {
namespace {

// Who asks each 5 s may miss that it could reach a majority for so long.
constexpr Duration kNoticedAfter = 6s;

}  // namespace

void MajorityWatch::hear(int from, const pb::DhtMessage& message) {
  // What was sent before its sender lost its store may still be on its way.
  if (!dead_.contains(message.incarnation())) incarnations_[from] = message.incarnation();
  if (message.has_known()) {
    if (const auto group = dht::Group::parse(message.known())) {
      hear_group(*group, !knowing_.contains(from));
    }
    knowing_.insert(from);
  }
  const bool names_served = message.has_client_reply() || message.has_replica_reply() ||
                            message.has_query() || message.has_announce();
  const auto id = dht::epoch_of(message);
  if (!names_served || !id.is_set()) return;
  lineages_[id.lineage].installed[id.epoch].insert(message.incarnation());
}

void MajorityWatch::hear_group(const dht::Group& group, bool by_newcomer) {
  const auto& lineage = group.id.lineage;
  const bool is_new = !lineages_.contains(lineage);
  auto& history = lineages_[lineage];
  history.newest = std::max(history.newest, group.id.epoch);
  history.groups.emplace(group.id.epoch, group);
  if (!is_new) return;
  history.heard = pool_.now();
  // A pool's first node, for all that it knows.
  if (!by_newcomer) judge_founding(lineage);
}

void MajorityWatch::judge_founding(const dht::Lineage& lineage) {
  const int founder = pool_.node_of(lineage.founder);
  if (has_lost_its_own(lineage)) return;
  for (const auto& [other, history] : lineages_) {
    if (other == lineage || !is_recoverable(history)) continue;
    // Who was cut off all the time: two such may found at once.
    const auto reached = history.reached.find(founder);
    if (reached == history.reached.end() || !objection_.empty()) continue;
    const Duration cut = pool_.now() - reached->second;
    if (cut + kNoticedAfter >= patience_) continue;
    objection_ = "node " + std::to_string(founder) + " founded a lineage after " +
                 std::to_string(to_seconds(cut)) + " s without a majority of the one before";
  }
}

// Its founder was alone in a lineage before and lost its store, and with it a majority.
bool MajorityWatch::has_lost_its_own(const dht::Lineage& lineage) const {
  return std::ranges::any_of(lineages_, [&](const auto& entry) {
    const auto& [other, history] = entry;
    const auto is_alone = [&](const auto& group) { return group.second.members.size() == 1; };
    return other != lineage && other.founder == lineage.founder &&
           std::ranges::all_of(history.groups, is_alone) && !is_recoverable(history);
  });
}

void MajorityWatch::forgot(int node) { dead_.insert(std::exchange(incarnations_[node], 0)); }

void MajorityWatch::look() {
  for (auto& [lineage, history] : lineages_) {
    for (int node = 0; node < pool_.size(); ++node) {
      if (!pool_.is_up(node)) history.reached[node] = pool_.now();  // it starts without a memory
      if (!reaches(node, history)) {
        history.reaching.erase(node);
        continue;
      }
      const TimePoint since = history.reaching.try_emplace(node, pool_.now()).first->second;
      const bool is_first = !history.reached.contains(node);
      if (is_first || pool_.now() - since >= kNoticedAfter) history.reached[node] = pool_.now();
    }
  }
}

bool MajorityWatch::reaches(int node, const History& history) const {
  return !pool_.is_paused(node) && suffices(history, [&](int other) {
    const bool is_able = pool_.is_up(other) && !pool_.is_paused(other);
    return is_able && (!pool_.blocked || !pool_.blocked(node, other));
  });
}

bool MajorityWatch::can_recover() const {
  return std::ranges::any_of(lineages_,
                             [this](const auto& entry) { return is_recoverable(entry.second); });
}

bool MajorityWatch::is_recoverable(const History& history) const {
  return suffices(history, [](int) { return true; });
}

bool MajorityWatch::suffices(const History& history, const Able& able) const {
  const auto newest = history.groups.find(history.newest);
  if (newest == history.groups.end()) return false;
  if (count(newest->second, able, nullptr) < newest->second.majority()) return false;
  // There must be somebody to install it from: one who did, or a majority of the group before.
  if (history.newest == 1 || count(newest->second, able, &history) > 0) return true;
  const auto before = history.groups.find(history.newest - 1);
  return before != history.groups.end() &&
         count(before->second, able, &history) >= before->second.majority();
}

std::size_t MajorityWatch::count(const dht::Group& group, const Able& able,
                                 const History* installed_in) const {
  return static_cast<std::size_t>(std::ranges::count_if(group.members, [&](const auto& member) {
    const int node = pool_.node_of(member.address);
    const auto incarnation = incarnations_.find(node);
    if (incarnation == incarnations_.end() || incarnation->second != member.incarnation) {
      return false;
    }
    if (installed_in) {
      const auto installed = installed_in->installed.find(group.id.epoch);
      const bool has_said = installed != installed_in->installed.end() &&
                            installed->second.contains(member.incarnation);
      if (!has_said) return false;
    }
    return able(node);
  }));
}

}  // namespace wow
