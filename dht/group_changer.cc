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

void GroupChanger::look_soon() {
  if (!replica_.serving()) {
    next_survey_.cancel();
    survey_end_.cancel();
    differs_since_.reset();
  } else if (!survey_end_.is_set() &&
             (!next_survey_.is_set() || next_survey_.due() - context_.clock.now() > kSurveySoon)) {
    next_survey_.after(kSurveySoon, [this] { survey(); });
  }
}

void GroupChanger::watch() {
  auto near = context_.network.nearest_known(shard_centre(), kNearMax);
  if (near != std::exchange(near_, near)) look_soon();
}

void GroupChanger::survey() {
  const Epoch* epoch = replica_.serving();
  if (!epoch) return;
  asked_ = {context_.network.self()};
  alive_ = {{context_.network.self(), context_.incarnation}};
  survey_end_.after(kSurveyTime / 2, [this] {
    survey_end_.after(kSurveyTime / 2, [this] { close_survey(); });
    for (const auto& node : asked_) {
      if (!alive_.contains(node)) query(node);
    }
  });
  const auto members = epoch->group.members;
  for (const auto& member : members) ask(member.address);
  for (const auto& node : context_.network.nearest_known(shard_centre(), kNearMax)) ask(node);
  context_.network.locate(shard_centre(), [this](std::optional<Address> nearest) {
    if (nearest && survey_end_.is_set()) ask(*nearest);
  });
}

void GroupChanger::ask(const Address& node) {
  if (asked_.size() < kSurveyMax && asked_.insert(node).second) query(node);
}

void GroupChanger::query(const Address& node) {
  pb::DhtMessage message;
  set_epoch(message, replica_.serving_id());
  if (book_.newest()) *message.mutable_known() = book_.newest()->to_wire();
  message.mutable_query();
  context_.send(node, message);
}

void GroupChanger::on_announce(const ReplicaId& from, const pb::Announce& announce) {
  if (!survey_end_.is_set() || !asked_.contains(from.address)) return;
  alive_[from.address] = from.incarnation;
  for (const auto& bytes : announce.near()) {
    if (const auto node = Address::parse(view_of(bytes))) ask(*node);
  }
  if (alive_.size() == asked_.size()) {
    survey_end_.after(kSurveySettle, [this] { close_survey(); });
  }
}

void GroupChanger::close_survey() {
  const Epoch* epoch = replica_.serving();
  if (!epoch) return;
  const Group now = epoch->group;
  const TimePoint time = context_.clock.now();
  auto members = wanted(now);
  if (members == now.members) {
    differs_since_.reset();
    next_survey_.after(context_.random.jittered(kSurveyInterval), [this] { survey(); });
    return;
  }
  if (!differs_since_ || differs_in_ != now.id) {
    differs_since_ = time;
    differs_in_ = now.id;
  }
  next_survey_.after(kSurveyWhileDiffering, [this] { survey(); });
  if (time - *differs_since_ >= patience(now, members)) change(now, std::move(members));
}

std::vector<ReplicaId> GroupChanger::wanted(const Group& now) const {
  std::vector<ReplicaId> nodes;
  for (const auto& [address, incarnation] : alive_) nodes.push_back({address, incarnation});
  std::sort(nodes.begin(), nodes.end(), [](const ReplicaId& a, const ReplicaId& b) {
    return nearer(a.address, b.address, shard_centre());
  });
  std::size_t size = std::min({nodes.size(), context_.options.replicas_max, kGroupMembersMax});
  size -= size % 2 == 0;
  // Two of three go on; one of the two alone would be lost with that one.
  if (size < 3 && now.members.size() > size) return now.members;
  nodes.resize(size);
  return nodes;
}

Duration GroupChanger::patience(const Group& now, const std::vector<ReplicaId>& wanted) const {
  bool hurry = now.members.size() == 1;
  std::size_t rank = 0;  // how many living members are nearer
  for (const auto& member : now.members) {
    const auto found = alive_.find(member.address);
    if (found == alive_.end()) continue;
    if (found->second != member.incarnation) hurry = true;
    rank += nearer(member.address, context_.network.self(), shard_centre());
  }
  const auto base = hurry ? std::min(kHurry, context_.options.group_change_after)
                          : context_.options.group_change_after;
  log_debug("dht group differs", {{"epoch", now.id.epoch}, {"wanted", wanted.size()}});
  return base + kRankDelay * static_cast<int>(rank);
}

void GroupChanger::finish_started() {
  const Epoch* epoch = replica_.serving();
  const auto next = epoch ? epoch->registers.find(kNextKey) : decltype(epoch->registers.end()){};
  if (!epoch || next == epoch->registers.end() || !next->second.accepted.is_set()) return;
  if (context_.clock.now() - next->second.since < kDecisionTime) return;
  pb::Group wire;
  wire.ParseFromString(next->second.record.value());
  if (auto group = Group::parse(wire)) change(epoch->group, std::move(group->members));
}

void GroupChanger::change(const Group& now, std::vector<ReplicaId> members) {
  if (is_deciding_) return;
  is_deciding_ = true;
  Group next{now.id, std::move(members), now.members};
  ++next.id.epoch;
  coordinator_.decide_next(next, [this](std::optional<Group> decided) {
    is_deciding_ = false;
    if (!decided) return;
    log_info("dht group changes",
             {{"epoch", decided->id.epoch}, {"members", decided->members.size()}});
    book_.learn(*decided);
  });
}

}  // namespace wow::dht
