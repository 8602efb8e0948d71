#include "dht/membership.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "proto/identity.pb.h"

namespace wow::dht {
namespace {

constexpr Duration kTickBusy = 250ms;  // looking for a group, or changing it
constexpr Duration kTickServing = 500ms;
constexpr Duration kTickIdle = 5s;
constexpr Duration kLookUpInterval = 500ms;
constexpr Duration kAskMembersInterval = 500ms;
constexpr Duration kAskRivalInterval = 1s;
// A better lineage must have been ours for so long, and live, before what the lesser one holds
// goes.
constexpr Duration kYieldAfter = 5s;
constexpr Duration kLookAroundInterval = 30s;  // who follows a lone node hears others, too
constexpr std::size_t kOwnersMax = 10'000;     // told that their lineage was given up
constexpr std::size_t kOwnersPerTick = 16;
constexpr Duration kNamedFounderWait = 1s;
constexpr Duration kSearchStepMax = 15s;  // between two looks; what is longer was not our time
constexpr std::size_t kKnowNoneMax = 64;
constexpr Duration kReadNextInterval = 500ms;
constexpr Duration kReadLostInterval = 30s;
constexpr Duration kGarbageInterval = 30s;
constexpr std::size_t kLookUpMax = 4;  // neighbours asked in one look-up
constexpr std::size_t kNearMax = 8;    // addresses in an announcement

bool is_due(TimePoint& last, Duration interval, TimePoint now) {
  if (last != TimePoint{} && now - last < interval) return false;
  last = now;
  return true;
}

}  // namespace

Membership::Membership(Context& context, Replica& replica, GroupBook& book,
                       Coordinator& coordinator, std::function<void()> lineage_changed)
    : context_(context),
      replica_(replica),
      book_(book),
      coordinator_(coordinator),
      changer_(context, replica, book, coordinator),
      installer_(context, replica,
                 [this] {
                   // Old members may forget once they hear that a majority has come so far.
                   const Group group = *book_.newest();
                   for (const auto& member : group.previous) announce(member.address);
                   for (const auto& member : group.members) announce(member.address);
                   changer_.look_soon();
                 }),
      watch_(context, replica),
      collector_(context, replica, coordinator),
      timer_(context.clock) {
  book_.on_change([this] { on_group_change(); },
                  [this] {
                    asked_rivals_ = {};
                    tick();
                  },
                  [this] { check_over(); }, std::move(lineage_changed));
}

void Membership::start() {
  started_ = searched_ = context_.clock.now();
  if (book_.newest()) {
    on_group_change();
  } else {
    tick();
  }
}

bool Membership::knows_group() const {
  const Group* group = book_.newest();
  if (!group) return false;
  // A founder alone that lost its store: nobody else can ever answer for that group.
  return group->members.size() > 1 || group->members[0].address != context_.network.self() ||
         group->has(context_.self());
}

Duration Membership::tick_interval() const {
  const Group* group = book_.newest();
  if (!knows_group() || book_.has_rivals() || book_.claim() || !owners_.empty()) return kTickBusy;
  if (replica_.holds_other(group->id.lineage)) return kTickServing;
  const Epoch* before = replica_.last_before(group->id);
  if (before && before->group.id != unreachable_) return kTickBusy;
  return replica_.serving() || watch_.is_asking() ? kTickServing : kTickIdle;
}

void Membership::tick() {
  timer_.after(tick_interval(), [this] { tick(); });
  if (!context_.network.joined()) return;
  const TimePoint now = context_.clock.now();
  if (!joined_) joined_ = now;
  if (knows_group()) {
    follow(*book_.newest());
    watch_majority();
    const bool is_lone = book_.newest()->members.size() < kGroupMembersSafe;
    if (is_lone && now - looked_up_ > kLookAroundInterval) look_up();
  } else {
    look_up();
  }
  probe_rivals();
  consider_yielding();
  tell_owners();
  if (is_due(cleaned_, kGarbageInterval, now)) collector_.collect();
}

void Membership::follow(Group group) {
  check_over();
  if (group.has(context_.self()) && may_install(group)) installer_.want(group);
  if (replica_.held_before(group.id) &&
      is_due(asked_members_, kAskMembersInterval, context_.clock.now())) {
    // Tells them, too: the question carries the group.
    query_members(verified_ && replica_.held_before(verified_->id) ? *verified_ : group);
  }
  if (replica_.serving()) changer_.watch();
  changer_.finish_started();
}

void Membership::on_group_change() {
  asked_next_ = {};
  coordinator_.on_group_change();
  asked_members_ = {};
  changer_.look_soon();
  tick();
}

// --- The end of an epoch ---

// Anybody can name a group. An epoch that we hold is sealed only when a majority of itself says
// what follows, and forgotten only when a majority of that serves. Who was away until the others
// had forgotten finds no majority any more: it keeps what it has until that expires, open (no
// majority can use it), and may join the newest group, of which it has only hearsay.
void Membership::check_over() {
  if (!book_.newest()) return;
  const Epoch* epoch =
      book_.claim() ? replica_.serving() : replica_.last_before(book_.newest()->id);
  if (!epoch) return;
  const EpochId id = epoch->group.id;
  if (verified_ && verified_->id == EpochId{id.lineage, id.epoch + 1}) return;
  // Reading an old one that hardly anybody remembers must not keep us from reading what ends now.
  if (reading_next_.contains(id)) return;
  const auto interval = id == unreachable_ ? kReadLostInterval : kReadNextInterval;
  if (!is_due(asked_next_, interval, context_.clock.now())) return;
  reading_next_.insert(id);
  coordinator_.read_next(epoch->group, [this, of = epoch->group](auto reading, const auto& next) {
    reading_next_.erase(of.id);
    on_next(of, reading, next);
  });
}

void Membership::on_next(const Group& of, Coordinator::Reading reading,
                         const std::optional<Group>& next) {
  using Reading = Coordinator::Reading;
  if (reading == Reading::kUnreachable || reading == Reading::kGone) {
    unreachable_ = of.id;
    is_gone_ = reading == Reading::kGone;
    back_.clear();
    book_.believe_claim({});
  }
  if (reading != Reading::kDone || !replica_.held(of.id)) return;
  unreachable_ = {};
  if (!next) return book_.drop_claim();
  if (!replica_.seal(of.id)) return;
  verified_ = *next;
  in_verified_.clear();
  coordinator_.on_group_change();
  book_.believe_claim(next);
  changer_.look_soon();
  asked_members_ = {};
  follow(*book_.newest());
}

bool Membership::may_install(const Group& group) const {
  const Epoch* serving = replica_.serving();
  if (replica_.holds_other(group.id.lineage)) return false;
  return !serving || serving->group.id.epoch >= group.id.epoch || serving->group.id == unreachable_;
}

void Membership::hear(const ReplicaId& from, const EpochId& serves) {
  watch_.hear(from, serves);
  if (unreachable_.is_set() && !is_gone_) hear_unreachable(from);
  if (!verified_ || !verified_->has(from) || serves.lineage != verified_->id.lineage ||
      serves.epoch < verified_->id.epoch) {
    return;
  }
  in_verified_.insert(from.address);
  if (in_verified_.size() >= verified_->majority()) replica_.forget_before(verified_->id);
}

// Members of an epoch of ours that did not answer when it was to be read: once a majority is heard
// again, it is read again.
void Membership::hear_unreachable(const ReplicaId& from) {
  const Epoch* epoch = replica_.held(unreachable_);
  if (!epoch || !epoch->group.has(from)) return;
  back_.insert(from.address);
  if (epoch->group.has(context_.self())) back_.insert(context_.network.self());
  if (back_.size() < epoch->group.majority()) return;
  back_.clear();
  asked_next_ = {};
  check_over();
}

void Membership::on_ring_change() {
  changer_.look_soon();
  tick();
}

// --- Finding and founding ---

void Membership::look_up() {
  if (!context_.network.joined()) return;
  if (!is_due(looked_up_, kLookUpInterval, context_.clock.now())) return;
  context_.network.locate(context_.centre, [this](std::optional<Address> nearest) {
    located_ = true;
    nearest_ = nearest;
    if (nearest && *nearest != context_.network.self()) query(*nearest);
  });
  for (const auto& node : context_.network.nearest_known(context_.centre, kLookUpMax)) {
    if (node != context_.network.self()) query(node);
  }
}

bool Membership::is_nearest() const {
  const auto nearest = context_.network.nearest_known(context_.centre, 1);
  return nearest.empty() || nearest.front() == context_.network.self();
}

void Membership::consider_founding() {
  const TimePoint now = context_.clock.now();
  const Duration passed = std::min(now - std::exchange(searched_, now), kSearchStepMax);
  if (knows_group() || !context_.network.joined()) {
    searched_for_ = {};
    return;
  }
  searched_for_ += passed;
  const Group* lost = book_.newest();
  const std::uint64_t number = lost ? lost->id.lineage.number : 1;
  if (searched_for_ >= context_.options.majority_lost_after) {
    if (is_located_nearest()) found(number + 1);
  } else if (may_found()) {
    // Another than what we founded before and lost; never one that was begun after a loss.
    found(number);
  }
}

bool Membership::is_located_nearest() const {
  if (context_.network.alone()) return true;
  return located_ && (!nearest_ || *nearest_ == context_.network.self()) && is_nearest();
}

// Before a group was sought in vain for as long as rule 11 says.
bool Membership::may_found() const {
  const Address& self = context_.network.self();
  const auto& named = context_.options.founder;
  if (named && *named != self) return false;
  // We knew one, and lost our store: it may well live where we cannot reach it.
  if (context_.store.was_shared()) return false;
  const TimePoint now = context_.clock.now();
  const Duration patience = context_.options.found_after;
  if (context_.network.alone()) return named || now - started_ >= patience;
  if (!located_ || !joined_) return false;
  if (named)
    return now - *joined_ >= std::min(patience, kNamedFounderWait) &&
           (book_.newest() || others_know_none());
  // Of several that are connected only one founds: the nearest to the centre.
  return now - *joined_ >= patience && is_located_nearest();
}

// That nobody has said anything is not enough: a founder that lost its store would found again
// beside a group of which it only has not heard yet. Most of those nearest to the centre have said
// so.
bool Membership::others_know_none() const {
  std::size_t others = 0, without = 0;
  for (const auto& node : context_.network.nearest_known(context_.centre, kLookUpMax)) {
    if (node == context_.network.self()) continue;
    ++others;
    if (know_none_.contains(node)) ++without;
  }
  return 2 * without > others;
}

// No clock is believed to be behind what the root has signed.
WallTime Membership::founded_at() const {
  pb::SignedSettings signed_settings;
  pb::Settings settings;
  const ByteView bytes = context_.credentials.signed_settings();
  if (signed_settings.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    settings.ParseFromString(signed_settings.settings());
  }
  return std::max(context_.clock.wall(), WallTime(std::chrono::seconds(settings.signed_at())));
}

void Membership::found(std::uint64_t number) {
  const auto seconds = static_cast<std::uint64_t>(founded_at().time_since_epoch().count());
  const Lineage lineage{number, seconds << 16 | context_.random.below(65536),
                        context_.network.self()};
  if (replica_.last() && !renounce()) return;
  const Group group{{lineage, 1}, {context_.self()}, {}, context_.shard};
  if (!replica_.install(group, {})) return;
  log_info("dht founded", {{"founder", context_.network.self().short_hex()},
                           {"shard", context_.shard},
                           {"lineage", number}});
  book_.found(group);
}

// --- A majority that is lost, and lineages that meet ---

void Membership::watch_majority() {
  const Group group = *book_.newest();
  const bool holds = replica_.last() != nullptr;
  const bool nearest = is_nearest();
  if (!holds && !nearest) return;
  for (const Address& member : watch_.look(group)) query(member);
  if (watch_.lost_for() < context_.options.majority_lost_after || !nearest) return;
  look_up();
  if (!context_.network.alone() && nearest_ && *nearest_ != context_.network.self()) return;
  log_warn("dht majority lost: what the group held is given up",
           {{"shard", context_.shard}, {"members", group.members.size()}});
  found(group.id.lineage.number + 1);
}

// What we hold of another lineage than the newest is kept, and answered for, until it cannot win
// any more: the newest lives and is better, or ours has lost its majority for good.
void Membership::consider_yielding() {
  const Group* newest = book_.newest();
  if (!newest || !replica_.holds_other(newest->id.lineage)) return;
  const TimePoint now = context_.clock.now();
  if (is_due(asked_winner_, kAskRivalInterval, now)) query_members(Group(*newest));
  newest = book_.newest();
  // The better one that we follow may have died, while the one we hold found members again.
  if (!book_.is_alive()) book_.learn(Group(replica_.last()->group));
  if (!book_.is_alive() || now - book_.lineage_since() < kYieldAfter) return;
  const Epoch* last = replica_.last();
  const bool is_better = wins(*newest, last->group);
  const bool is_lost = watch_.held_lost_for() + (now - book_.lineage_since()) >=
                       context_.options.majority_lost_after;
  if (!is_better && !is_lost) return;
  if (renounce()) tick();
}

// Where the others are no majority, what the group holds would be lost.
void Membership::on_store_copied() {
  const Epoch* last = replica_.last();
  if (!last) return;
  const Group& group = last->group;
  if (group.members.size() - group.has(context_.self()) < group.majority()) return;
  if (renounce()) tick();
}

// From now on we are another replica: nobody counts on what we promised. Which one is by chance,
// for a copy of us may be doing the same.
bool Membership::renounce() {
  const std::uint64_t step = context_.random.u64() >> 32 | 1;
  const auto generation = context_.generation + step;
  if (!context_.store.write(kGenerationKey, Writer().u64(generation).take())) return false;
  context_.generation = generation;
  context_.incarnation += step;
  if (context_.peers) context_.peers->renounced = true;
  std::set<Address> owners;
  for (const auto& [key, state] : replica_.last()->registers) {
    if (state.value && owners.size() < kOwnersMax) owners.insert(state.value->owner);
  }
  owners_.assign(owners.begin(), owners.end());
  verified_.reset();
  unreachable_ = {};
  replica_.forget_all();
  coordinator_.on_group_change();
  return true;
}

// They may not ask for days, and would lose what they hold by then.
void Membership::tell_owners() {
  for (std::size_t i = 0; i < kOwnersPerTick && !owners_.empty(); ++i) {
    announce(owners_.front());
    owners_.pop_front();
  }
}

void Membership::probe_rivals() {
  if (!book_.has_rivals()) return;
  if (is_due(asked_rivals_, kAskRivalInterval, context_.clock.now())) {
    for (const Group& rival : book_.rivals()) query_members(rival);
    if (const Group* newest = book_.newest()) query_members(Group(*newest));
  }
  book_.judge();
}

// --- Messages ---

void Membership::query(const Address& node) {
  pb::DhtMessage message;
  set_epoch(message, replica_.serving_id());
  if (book_.newest()) *message.mutable_known() = book_.newest()->to_wire();
  message.mutable_query();
  context_.send(node, message);
}

void Membership::query_members(const Group& group) {
  const auto members = group.members;
  for (const auto& member : members) query(member.address);
}

void Membership::announce(const Address& node) {
  pb::DhtMessage message;
  set_epoch(message, replica_.serving_id());
  if (book_.newest()) *message.mutable_known() = book_.newest()->to_wire();
  message.mutable_announce();
  context_.send(node, message);
}

void Membership::on_query(const Address& from, const pb::DhtMessage& message) {
  pb::DhtMessage out;
  set_epoch(out, replica_.serving_id());
  if (book_.newest()) *out.mutable_known() = book_.newest()->to_wire();
  auto& announce = *out.mutable_announce();
  for (const auto& node : context_.network.nearest_known(context_.centre, kNearMax)) {
    announce.add_near(to_string(node.bytes()));
  }
  context_.reply(from, message, out);
}

void Membership::on_announce(const ReplicaId& from, const pb::DhtMessage& message) {
  const bool knows_none = !message.has_known() && !epoch_of(message).is_set();
  if (knows_none && know_none_.size() < kKnowNoneMax) know_none_.insert(from.address);
  if (!knows_none) know_none_.erase(from.address);
  changer_.on_announce(from, message);
}

void Membership::on_fetch(const ReplicaId& from, const pb::DhtMessage& message) {
  const EpochId asked = epoch_of(message);
  const auto next = Group::parse(message.known());
  if (!next || next->id.lineage != asked.lineage || !next->has(from)) return;
  // Either the same epoch, to catch up, or the one before: then it must be over here, first.
  if (next->id.epoch == asked.epoch + 1) {
    const Epoch* epoch = replica_.held(asked);
    if (!epoch) return announce(from.address);
    // What the message names as newest is being looked into; we are asked again.
    if (!epoch->sealed) return check_over();
  } else if (next->id.epoch != asked.epoch) {
    return;
  }
  auto page = replica_.fetch(asked, message.fetch());
  if (!page) return announce(from.address);
  pb::DhtMessage out;
  set_epoch(out, asked);
  *out.mutable_fetch_reply() = std::move(*page);
  context_.reply(from.address, message, out);
}

void Membership::on_fetch_reply(const ReplicaId& from, const pb::DhtMessage& message) {
  installer_.on_reply(from, message);
}

}  // namespace wow::dht
