#include "dht/membership.h"

#include "base/log.h"

namespace wow::dht {
namespace {

constexpr Duration kTickBusy = 250ms;  // looking for a group, or changing it
constexpr Duration kTickServing = 500ms;
constexpr Duration kTickIdle = 5s;
constexpr Duration kLookUpInterval = 500ms;
constexpr Duration kAskMembersInterval = 500ms;
constexpr Duration kAskRivalInterval = 1s;
constexpr Duration kRivalTime = 5s;  // to show that it lives
constexpr Duration kNamedFounderWait = 1s;
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
                       Coordinator& coordinator)
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
      timer_(context.clock) {
  book_.on_change([this] { on_group_change(); },
                  [this] {
                    rival_since_.reset();
                    probe_rival();
                  },
                  [this] { check_over(); });
}

void Membership::start() {
  started_ = context_.clock.now();
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
  if (!knows_group() || book_.rival() || book_.claim()) return kTickBusy;
  const Epoch* before = replica_.last_before(group->id);
  if (before && before->group.id != unreachable_) return kTickBusy;
  return replica_.serving() ? kTickServing : kTickIdle;
}

void Membership::tick() {
  timer_.after(tick_interval(), [this] { tick(); });
  if (!context_.network.joined()) return;
  const TimePoint now = context_.clock.now();
  if (!joined_) joined_ = now;
  if (knows_group()) {
    follow(*book_.newest());
  } else {
    look_up();
    consider_founding();
  }
  probe_rival();
  if (is_due(cleaned_, kGarbageInterval, now)) replica_.collect_garbage();
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
  const Group group = *book_.newest();
  if (replica_.holds_lineage(group.id.lineage)) {
    asked_next_ = {};
  } else {
    // Still on the word of the winner's members alone, whom any member can name: a lower lineage
    // that a hostile member invents (with the settings' founder, if they name one) empties us.
    // Owners create again; only a founder's signature over each lineage would prevent it.
    replica_.forget_before(group.id);
  }
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
  if (!book_.newest() || is_reading_next_) return;
  const Epoch* epoch =
      book_.claim() ? replica_.serving() : replica_.last_before(book_.newest()->id);
  if (!epoch) return;
  const EpochId id = epoch->group.id;
  if (verified_ && verified_->id == EpochId{id.lineage, id.epoch + 1}) return;
  const auto interval = id == unreachable_ ? kReadLostInterval : kReadNextInterval;
  if (!is_due(asked_next_, interval, context_.clock.now())) return;
  is_reading_next_ = true;
  coordinator_.read_next(epoch->group, [this, of = epoch->group](auto reading, const auto& next) {
    is_reading_next_ = false;
    on_next(of, reading, next);
  });
}

void Membership::on_next(const Group& of, Coordinator::Reading reading,
                         const std::optional<Group>& next) {
  if (reading == Coordinator::Reading::kUnreachable) {
    unreachable_ = of.id;
    book_.believe_claim({});
  }
  if (reading != Coordinator::Reading::kDone || !replica_.held(of.id)) return;
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
  return !serving || serving->group.id.epoch >= group.id.epoch || serving->group.id == unreachable_;
}

void Membership::hear_serving(const ReplicaId& from, const EpochId& serves) {
  if (!verified_ || !verified_->has(from) || serves.lineage != verified_->id.lineage ||
      serves.epoch < verified_->id.epoch) {
    return;
  }
  in_verified_.insert(from.address);
  if (in_verified_.size() >= verified_->majority() && replica_.held_before(verified_->id)) {
    replica_.forget_before(verified_->id);
  }
}

void Membership::on_ring_change() {
  changer_.look_soon();
  tick();
}

// --- Finding and founding ---

void Membership::look_up() {
  if (!context_.network.joined()) return;
  if (!is_due(looked_up_, kLookUpInterval, context_.clock.now())) return;
  context_.network.locate(shard_centre(), [this](std::optional<Address> nearest) {
    located_ = true;
    nearest_ = nearest;
    if (nearest && *nearest != context_.network.self()) query(*nearest);
  });
  for (const auto& node : context_.network.nearest_known(shard_centre(), kLookUpMax)) {
    if (node != context_.network.self()) query(node);
  }
}

void Membership::consider_founding() {
  if (may_found()) found();
}

bool Membership::may_found() const {
  const Address& self = context_.network.self();
  const auto& named = context_.options.founder;
  if (named && *named != self) return false;
  const TimePoint now = context_.clock.now();
  const Duration patience = context_.options.found_after;
  if (context_.network.alone()) return named || now - started_ >= patience;
  if (!located_) return false;
  if (named) return now - *joined_ >= std::min(patience, kNamedFounderWait);
  // Of several that are connected only one founds: the nearest to the centre.
  const auto nearest = context_.network.nearest_known(shard_centre(), 1);
  return now - *joined_ >= patience && (!nearest_ || *nearest_ == self) &&
         (nearest.empty() || nearest.front() == self);
}

void Membership::found() {
  const auto seconds = context_.clock.wall().time_since_epoch().count();
  const Lineage lineage{1, static_cast<std::uint64_t>(seconds) << 16 | context_.random.below(65536),
                        context_.network.self()};
  const Group group{{lineage, 1}, {context_.self()}, {}};
  replica_.forget_before(group.id);
  if (!replica_.install(group, {})) return;
  log_info("dht founded", {{"founder", context_.network.self().short_hex()}});
  book_.found(group);
}

void Membership::probe_rival() {
  const Group* rival = book_.rival();
  const TimePoint now = context_.clock.now();
  if (!rival) return rival_since_.reset();
  if (!rival_since_) {
    rival_since_ = now;
    asked_rival_ = {};
  } else if (now - *rival_since_ > kRivalTime) {
    rival_since_.reset();
    return book_.give_up_rival();
  }
  if (is_due(asked_rival_, kAskRivalInterval, now)) query_members(*rival);
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
  for (const auto& node : context_.network.nearest_known(shard_centre(), kNearMax)) {
    announce.add_near(to_string(node.bytes()));
  }
  context_.reply(from, message, out);
}

void Membership::on_announce(const ReplicaId& from, const pb::Announce& announce) {
  changer_.on_announce(from, announce);
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
  auto page = replica_.fetch(asked, message.fetch().after_key());
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
