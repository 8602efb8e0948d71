#include "dht/group_changer.h"

#include <algorithm>

#include "base/log.h"

namespace wow::dht {
namespace {

constexpr std::size_t kSurveyMax = 24;     // nodes asked in one survey
constexpr std::size_t kNearMax = 8;        // nearest in one's own view
constexpr Duration kSurveyTime = 1s;       // at most
constexpr Duration kSurveySettle = 150ms;  // after everybody asked has answered
constexpr Duration kSurveyInterval = 20s;
constexpr Duration kSurveyIntervalPerShard = 4s;  // so that many shards cost no more than a few
// With many shards, an answer that another shard had so lately will do.
constexpr Duration kFreshInRoutine = 40s, kFreshInHaste = 2s;
constexpr std::size_t kChangingMax = 16;  // groups that a node changes at once
constexpr Duration kSurveySoon = 200ms;
constexpr Duration kSurveyWhileDiffering = 1s;
// A group of one is at the mercy of that one, and a member that lost its store does not come back.
constexpr Duration kHurry = 1s;
constexpr Duration kRankDelay = 2s;
// So long after accepting `next` without hearing of the group, whoever proposed it has failed.
constexpr Duration kDecisionTime = 2s;

}  // namespace

GroupChanger::GroupChanger(Context& context, const Replica& replica, GroupBook& book,
                           Coordinator& coordinator)
    : context_(context),
      replica_(replica),
      book_(book),
      coordinator_(coordinator),
      next_survey_(context.clock),
      survey_end_(context.clock) {}

// The epoch that we serve, of the lineage that is to go on.
const Epoch* GroupChanger::current() const {
  const Epoch* epoch = replica_.serving();
  const Group* newest = book_.newest();
  return epoch && newest && newest->id.lineage == epoch->group.id.lineage ? epoch : nullptr;
}

Duration GroupChanger::freshness(const Address& node) const {
  const Epoch* epoch = current();
  if (!context_.peers || !context_.peers->is_busy() || !epoch) return {};
  // Who is to become a member says by itself which lineage it follows.
  if (!is_routine_ && !epoch->group.find(node)) return {};
  return is_routine_ ? kFreshInRoutine : kFreshInHaste;
}

void GroupChanger::look_soon() {
  is_routine_ = false;
  if (!current()) {
    next_survey_.cancel();
    survey_end_.cancel();
    differs_since_.reset();
  } else if (!survey_end_.is_set() &&
             (!next_survey_.is_set() || next_survey_.due() - context_.clock.now() > kSurveySoon)) {
    next_survey_.after(kSurveySoon, [this] { survey(); });
  }
}

void GroupChanger::watch() {
  auto near = context_.network.nearest_known(context_.centre, kNearMax);
  if (near != std::exchange(near_, near)) look_soon();
}

void GroupChanger::survey() {
  const Epoch* epoch = current();
  if (!epoch) return;
  asked_ = {context_.network.self()};
  alive_ = {{context_.network.self(), context_.incarnation}};
  elsewhere_.clear();
  survey_end_.after(kSurveyTime / 2, [this] {
    survey_end_.after(kSurveyTime / 2, [this] { close_survey(); });
    for (const auto& node : asked_) {
      if (!alive_.contains(node)) query(node);
    }
  });
  const auto members = epoch->group.members;
  for (const auto& member : members) ask(member.address);
  for (const auto& node : context_.network.nearest_known(context_.centre, kNearMax)) ask(node);
  // In haste, with many shards, the nodes near the centre know of each other without.
  if (!is_routine_ && context_.peers && context_.peers->is_busy()) return;
  context_.network.locate(context_.centre, [this](std::optional<Address> nearest) {
    if (nearest && survey_end_.is_set()) ask(*nearest);
  });
}

void GroupChanger::ask(const Address& node) {
  if (asked_.size() < kSurveyMax && asked_.insert(node).second) query(node);
}

void GroupChanger::query(const Address& node) {
  if (const Duration fresh = freshness(node); fresh > Duration{}) {
    const TimePoint now = context_.clock.now();
    if (const auto incarnation = context_.peers->heard_since(node, now - fresh)) {
      alive_[node] = *incarnation;
      return;
    }
    const Duration patience = is_routine_ ? kFreshInRoutine / 2 : kSurveyTime / 4;
    if (!context_.peers->note_asked(node, now, now - patience)) return;
  }
  pb::DhtMessage message;
  set_epoch(message, replica_.serving_id());
  if (book_.newest()) *message.mutable_known() = book_.newest()->to_wire();
  message.mutable_query();
  context_.send(node, message);
}

void GroupChanger::on_announce(const ReplicaId& from, const pb::DhtMessage& message) {
  const Epoch* epoch = current();
  if (!epoch || !survey_end_.is_set() || !asked_.contains(from.address)) return;
  alive_[from.address] = from.incarnation;
  const Lineage& ours = epoch->group.id.lineage;
  const auto known = Group::parse(message.known());
  const EpochId serves = epoch_of(message);
  // It would not install a group of ours, and without it that might have no majority.
  if ((known && known->id.lineage != ours) || (serves.is_set() && serves.lineage != ours)) {
    elsewhere_.insert(from.address);
  }
  for (const auto& bytes : message.announce().near()) {
    if (const auto node = Address::parse(view_of(bytes))) ask(*node);
  }
  if (alive_.size() == asked_.size()) {
    survey_end_.after(kSurveySettle, [this] { close_survey(); });
  }
}

void GroupChanger::close_survey() {
  const Epoch* epoch = current();
  if (!epoch) return;
  const Group now = epoch->group;
  const TimePoint time = context_.clock.now();
  for (const auto& node : asked_) {
    const auto fresh = freshness(node);
    if (fresh == Duration{} || alive_.contains(node)) continue;
    if (const auto heard = context_.peers->heard_since(node, time - fresh)) alive_[node] = *heard;
  }
  note_alive(time);
  const auto nearest = wanted(now, {});
  if (nearest == now.members) {
    differs_since_.reset();
    is_routine_ = true;
    // Who did not answer may only have been asked too much at once.
    const bool all_answered = alive_.size() == asked_.size();
    const int served = context_.peers ? static_cast<int>(context_.peers->served) : 1;
    const Duration interval = all_answered
                                  ? std::max(kSurveyInterval, kSurveyIntervalPerShard * served)
                                  : kSurveyInterval;
    next_survey_.after(context_.random.jittered(interval), [this] { survey(); });
    return;
  }
  // Before anything changes, everybody is asked anew.
  is_routine_ = false;
  if (!differs_since_ || differs_in_ != now.id) {
    differs_since_ = time;
    differs_in_ = now.id;
  }
  next_survey_.after(kSurveyWhileDiffering, [this] { survey(); });
  const Duration base = base_patience(now);
  if (time - *differs_since_ < base + kRankDelay * own_rank(now)) return;
  // Each change moves all records: not for hosts that come and go.
  const bool is_precarious = base < context_.options.group_change_after;
  auto members = wanted(now, is_precarious ? Duration{} : base);
  const bool shrinks = members.size() < std::min(nearest.size(), now.members.size());
  if (members != now.members && !shrinks) change(now, std::move(members));
}

void GroupChanger::note_alive(TimePoint now) {
  std::map<ReplicaId, TimePoint> since;
  for (const auto& [address, incarnation] : alive_) {
    const ReplicaId node{address, incarnation};
    const auto known = alive_since_.find(node);
    since[node] = known == alive_since_.end() ? now : known->second;
  }
  alive_since_ = std::move(since);
}

std::vector<ReplicaId> GroupChanger::wanted(const Group& now, Duration lasting) const {
  const TimePoint time = context_.clock.now();
  std::vector<ReplicaId> nodes;
  for (const auto& [address, incarnation] : alive_) {
    const ReplicaId node{address, incarnation};
    const bool is_member = now.find(address);
    if (!is_member && elsewhere_.contains(address)) continue;
    if (is_member || time - alive_since_.at(node) >= lasting) nodes.push_back(node);
  }
  std::sort(nodes.begin(), nodes.end(), [this](const ReplicaId& a, const ReplicaId& b) {
    return nearer(a.address, b.address, context_.centre);
  });
  std::size_t size = std::min({nodes.size(), context_.options.replicas_max, kGroupMembersMax});
  size -= size % 2 == 0;
  // Two of three go on; one of the two alone would be lost with that one.
  if (size < kGroupMembersSafe && now.members.size() > size) return now.members;
  nodes.resize(size);
  return nodes;
}

Duration GroupChanger::base_patience(const Group& now) const {
  const auto lost_its_store = [this](const ReplicaId& member) {
    const auto found = alive_.find(member.address);
    return found != alive_.end() && found->second != member.incarnation;
  };
  const bool hurry = now.members.size() == 1 || std::ranges::any_of(now.members, lost_its_store);
  const Duration usual = context_.options.group_change_after;
  return hurry ? std::min(kHurry, usual) : usual;
}

int GroupChanger::own_rank(const Group& now) const {
  const Address& self = context_.network.self();
  return static_cast<int>(std::ranges::count_if(now.members, [&](const ReplicaId& member) {
    return alive_.contains(member.address) && nearer(member.address, self, context_.centre);
  }));
}

void GroupChanger::finish_started() {
  const Epoch* epoch = current();
  const auto next = epoch ? epoch->registers.find(kNextKey) : decltype(epoch->registers.end()){};
  if (!epoch || next == epoch->registers.end() || !next->second.accepted.is_set()) return;
  if (context_.clock.now() - next->second.since < kDecisionTime) return;
  pb::Group wire;
  wire.ParseFromString(next->second.record.value());
  if (auto group = Group::parse(wire)) change(epoch->group, std::move(group->members));
}

void GroupChanger::change(const Group& now, std::vector<ReplicaId> members) {
  if (is_deciding_ || (context_.peers && context_.peers->changing >= kChangingMax)) return;
  is_deciding_ = true;
  if (context_.peers) ++context_.peers->changing;
  Group next{now.id, std::move(members), now.members, now.shard};
  ++next.id.epoch;
  coordinator_.decide_next(next, [this](std::optional<Group> decided) {
    is_deciding_ = false;
    if (context_.peers) --context_.peers->changing;
    if (!decided) return;
    log_info("dht group changes",
             {{"epoch", decided->id.epoch}, {"members", decided->members.size()}});
    book_.learn(*decided);
  });
}

}  // namespace wow::dht
