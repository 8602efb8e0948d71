#include "dht/group_book.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace wow::dht {
namespace {

constexpr char kStoreKey[] = "hint";
// What was said so long ago still counts as a sign of life.
constexpr Duration kFresh = 10s;
// A better lineage's group that is silent for so long does not keep us from a living one.
constexpr Duration kSilentAfter = 10s;
// Time for both sides to answer before they are compared, and for a rival to show that it lives.
constexpr Duration kJudgeAfter = 1500ms;
constexpr Duration kRivalTime = 5s;
constexpr std::size_t kRivalsMax = 4;

bool is_safe(const Group& group) { return group.members.size() >= kGroupMembersSafe; }

}  // namespace

bool wins(const Group& group, const Group& over) {
  if (is_safe(group) != is_safe(over)) return is_safe(group);
  return group.id.lineage < over.id.lineage;
}

void GroupBook::load(const std::string& key, ByteView value) {
  pb::Group wire;
  if (key != kStoreKey || !wire.ParseFromArray(value.data(), static_cast<int>(value.size())))
    return;
  auto group = Group::parse(wire);
  if (!group || group->shard != context_.shard) return;
  note_shared(*group);
  newest_ = Known{std::move(*group), {}, {}, context_.clock.now()};
  lineage_since_ = context_.clock.now();
}

void GroupBook::on_change(std::function<void()> newest, std::function<void()> rival,
                          std::function<void()> claim, std::function<void()> lineage) {
  newest_changed_ = std::move(newest);
  rival_changed_ = std::move(rival);
  claim_changed_ = std::move(claim);
  lineage_changed_ = std::move(lineage);
}

// Before anybody hears of it from us.
void GroupBook::note_shared(const Group& group) {
  const bool is_ours = group.members.size() == 1 && group.find(context_.network.self());
  if (!is_ours && !context_.store.was_shared()) context_.store.note_shared();
}

std::vector<Group> GroupBook::rivals() const {
  std::vector<Group> out;
  for (const Known& rival : rivals_) out.push_back(rival.group);
  return out;
}

bool GroupBook::is_alive() const {
  return newest_ && count_since(*newest_, lineage_since_) >= newest_->group.majority();
}

bool GroupBook::lives(const Known& known) const {
  return count_since(known, {}) >= known.group.majority();
}

// Members that have said lately, and not before `since`, that they serve it.
std::size_t GroupBook::count_since(const Known& known, TimePoint since) const {
  const TimePoint now = context_.clock.now();
  std::size_t count = 0;
  for (const auto& [member, heard] : known.heard) {
    const bool was_us = member == context_.network.self() && !known.group.has(context_.self());
    count += heard >= since && now - heard <= kFresh && !was_us;
  }
  return count;
}

// What cannot be, whoever says it.
bool GroupBook::may_follow(const Group& group) const {
  const auto& founder = context_.options.founder;
  if (founder && group.id.lineage.number == 1 && group.id.lineage.founder != *founder) return false;
  // What follows an epoch that we hold names its members as those before.
  const Epoch* before = replica_.held({group.id.lineage, group.id.epoch - 1});
  return !before || group.previous == before->group.members;
}

void GroupBook::learn(const Group& group) {
  if (group.shard != context_.shard || !may_follow(group)) return;
  const TimePoint now = context_.clock.now();
  if (!newest_) return adopt({group, {}, {}, now});
  const EpochId& id = newest_->group.id;
  if (group.id.lineage == id.lineage) {
    if (group.id.epoch > id.epoch) {
      if (is_safe(newest_->group) && !is_safe(group)) return;
      if (replica_.serving_id() != id) return adopt({group, {}, {}, now});
      if (claim_ && claim_->id.epoch >= group.id.epoch) return;
      claim_ = group;
      return claim_changed_();
    }
    // A hint may have been false: one that stays silent gives way to an earlier group that lives.
    const TimePoint lived = std::max(newest_->lived, newest_->since);
    if (group.id.epoch == id.epoch) return;
    if (now - lived <= kSilentAfter && !(is_safe(group) && !is_safe(newest_->group))) return;
  }
  add_rival({group, {}, {}, now});
}

void GroupBook::add_rival(Known known) {
  for (Known& rival : rivals_) {
    if (rival.group.id.lineage != known.group.id.lineage) continue;
    if (rival.group.id.epoch >= known.group.id.epoch) return;
    rival = std::move(known);
    return rival_changed_();
  }
  if (rivals_.size() >= kRivalsMax) return;  // until those there have shown that they live or not
  rivals_.push_back(std::move(known));
  rival_changed_();
}

void GroupBook::believe_claim(const std::optional<Group>& next) {
  auto claim = std::exchange(claim_, std::nullopt);
  if (next && (!claim || claim->id.epoch < next->id.epoch)) claim = next;
  if (claim && claim->id.lineage == newest_->group.id.lineage &&
      claim->id.epoch > newest_->group.id.epoch) {
    adopt({std::move(*claim), {}, {}, context_.clock.now()});
  }
}

void GroupBook::hear_serving(const ReplicaId& from, const EpochId& serves) {
  const auto hear = [&](Known& known) {
    // It may have been a member when it last said so, and have lost or given up what it held.
    if (!known.group.has(from)) known.heard.erase(from.address);
    if (known.group.id != serves || !known.group.has(from)) return;
    known.heard[from.address] = context_.clock.now();
    if (lives(known)) known.lived = context_.clock.now();
  };
  if (newest_) hear(*newest_);
  for (Known& rival : rivals_) hear(rival);
  if (serves.is_set()) judge();
}

void GroupBook::judge() {
  const TimePoint now = context_.clock.now();
  const Known* best = nullptr;
  for (const Known& rival : rivals_) {
    if (!lives(rival) || !should_switch(rival)) continue;
    if (!best || wins(rival.group, best->group)) best = &rival;
  }
  if (best) {
    Known winner = *best;
    const auto& lineage = winner.group.id.lineage;
    std::erase_if(rivals_, [&](const Known& r) { return r.group.id.lineage == lineage; });
    return adopt(std::move(winner));
  }
  std::erase_if(rivals_, [now](const Known& rival) { return now - rival.since > kRivalTime; });
}

bool GroupBook::should_switch(const Known& rival) const {
  const TimePoint now = context_.clock.now();
  const bool same_lineage = rival.group.id.lineage == newest_->group.id.lineage;
  // Of one lineage the later group is right, unless it cannot be: none shrinks so far.
  if (same_lineage && is_safe(rival.group) && !is_safe(newest_->group)) return true;
  if (lives(*newest_)) return !same_lineage && wins(rival.group, newest_->group);
  if (now - rival.since < kJudgeAfter) return false;
  if (!same_lineage && wins(rival.group, newest_->group)) return true;
  const TimePoint lived = std::max(newest_->lived, newest_->since);
  return now - lived > kSilentAfter &&
         (!same_lineage || !replica_.holds_lineage(newest_->group.id.lineage));
}

void GroupBook::adopt(Known known) {
  const bool is_other = newest_ && newest_->group.id.lineage != known.group.id.lineage;
  const TimePoint now = context_.clock.now();
  if (is_other) {
    log_warn("dht lineage changes", {{"shard", context_.shard},
                                     {"from", newest_->group.id.lineage.founder.short_hex()},
                                     {"to", known.group.id.lineage.founder.short_hex()},
                                     {"number", known.group.id.lineage.number}});
  }
  if (is_other || !newest_) lineage_since_ = now;
  claim_.reset();
  // The one that we leave may turn out to be the better one yet.
  if (is_other && rivals_.size() < kRivalsMax) {
    newest_->since = now;
    rivals_.push_back(std::move(*newest_));
  }
  newest_ = std::move(known);
  note_shared(newest_->group);
  if (newest_->since == TimePoint{}) newest_->since = now;
  // Best effort: what must not be forgotten is in the replica's own epochs.
  context_.store.write(kStoreKey, view_of(newest_->group.to_wire().SerializeAsString()));
  newest_changed_();
  if (is_other) lineage_changed_();
}

}  // namespace wow::dht
