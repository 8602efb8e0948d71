#include "dht/round.h"

#include <algorithm>
#include <utility>

namespace wow::dht {
namespace {

constexpr Duration kResendAfter = 250ms;
// A random part of it is waited, or of what the attempt took if that is longer: who is as slow as
// the others would come between them each time. Doubles with each attempt.
constexpr Duration kBackoffFirst = 40ms;
constexpr int kBackoffDoublingsMax = 4;
// A ballot names one value. Who has a copy that does not know it yet, or has lost its store, would
// give two values the same one: by chance it is another.
constexpr std::uint64_t kRoundsApart = 1 << 16;

}  // namespace

Round::Round(Context& context, Replica& replica, std::uint64_t id, const Group& group,
             std::string key, bool read_first, Change change, Done done)
    : context_(context),
      replica_(replica),
      id_(id),
      group_(group),
      key_(std::move(key)),
      read_first_(read_first),
      change_(std::move(change)),
      done_(std::move(done)),
      deadline_(context.clock.now() + kDhtOperationLimit),
      timer_(context.clock) {}

void Round::start() { begin(read_first_ ? Phase::kRead : Phase::kPrepare); }

void Round::begin(Phase phase) {
  if (context_.clock.now() >= deadline_) return finish(pb::ClientReply::UNAVAILABLE);
  phase_ = phase;
  ++phase_number_;
  states_.clear();
  accepted_.clear();
  rejected_.clear();
  refused_.clear();
  gone_.clear();
  if (phase == Phase::kPrepare) {
    begun_ = context_.clock.now();
    const auto round = std::max(highest_round_ + 1, replica_.next_round(group_.id, key_));
    ballot_ = {round + context_.random.below(kRoundsApart), context_.network.self()};
  }
  timer_.after(kResendAfter, [this] { on_resend(); });
  // Ourselves first: our own store remembers which ballots we have used.
  const auto number = phase_number_;
  if (phase != Phase::kAccept || !is_last()) ask(context_.self());
  if (phase_number_ != number || phase_ != phase) return;
  for (const auto& member : group_.members) {
    if (member != context_.self()) ask(member);
  }
}

void Round::ask(const ReplicaId& member) {
  auto message = request();
  if (member != context_.self()) return context_.send(member.address, message);
  const auto answer = message.has_accept() ? replica_.accept(group_.id, message.accept())
                                           : replica_.prepare(group_.id, message.prepare());
  if (answer) return on_answer(member.address, *answer);
  finish(pb::ClientReply::UNAVAILABLE);  // our store failed
}

pb::DhtMessage Round::request() const {
  pb::DhtMessage message;
  message.set_id(id_ + phase_number_);
  set_epoch(message, group_.id);
  if (phase_ == Phase::kAccept) {
    *message.mutable_accept() = accept_;
  } else {
    message.mutable_prepare()->set_key(key_);
    if (phase_ == Phase::kPrepare) ballot_.to_wire(*message.mutable_prepare()->mutable_ballot());
  }
  return message;
}

void Round::on_reply(const ReplicaId& from, const pb::DhtMessage& message) {
  if (phase_ == Phase::kPause || message.id() != id_ + phase_number_) return;
  // Another replica than the member that it was.
  if (!group_.has(from)) return group_.find(from.address) ? on_gone(from.address) : void();
  on_answer(from.address, message.replica_reply());
}

// What a minority accepts as `next` is the only group that can ever follow: we accept it only after
// others have, who may know better whether it lives.
bool Round::is_last() const { return key_ == kNextKey && accepted_.size() + 1 < group_.majority(); }

bool Round::out_of_reach(std::size_t lost) const {
  return group_.members.size() - lost < group_.majority();
}

void Round::on_answer(const Address& from, const pb::ReplicaReply& answer) {
  if (phase_ == Phase::kPause || phase_ == Phase::kOver) return;
  switch (answer.status()) {
    case pb::ReplicaReply::OK:
      if (phase_ == Phase::kAccept) {
        accepted_.insert(from);
        if (accepted_.size() >= group_.majority()) return finish(std::move(reply_));
        if (key_ == kNextKey && !accepted_.contains(context_.network.self()) && !is_last()) {
          ask(context_.self());
        }
        return;
      }
      if (auto state = Register::parse(answer.state()); state && answer.state().key() == key_) {
        states_[from] = std::move(*state);
        states_[from].since =
            context_.clock.now() -
            std::chrono::milliseconds(std::min(answer.state().age_ms(), 2 * to_ms(kTtlMax)));
        if (states_.size() >= group_.majority()) on_states();
      }
      return;
    case pb::ReplicaReply::HIGHER_BALLOT:
      highest_round_ = std::max(highest_round_, answer.state().promised().round());
      rejected_.insert(from);
      if (out_of_reach(rejected_.size())) pause();
      return;
    case pb::ReplicaReply::REFUSED:
      return on_refused(from, answer.reason());
    default:
      // Ours is sealed or gone: so is the epoch. Of others we heard the newer group, if any, and
      // our own replica will be told.
      if (from == context_.network.self()) return finish(pb::ClientReply::WRONG_GROUP);
      on_gone(from);
  }
}

void Round::on_gone(const Address& from) {
  gone_.insert(from);
  if (phase_ == Phase::kRead && key_ == kNextKey && out_of_reach(gone_.size())) {
    finish(pb::ClientReply::NOT_FOUND);
  }
}

void Round::on_refused(const Address& from, const std::string& reason) {
  refusal_ = reason;
  refused_.insert(from);
  // Our own word is enough: a write that a replica must refuse need not be tried at the others.
  if (from == context_.network.self() || out_of_reach(refused_.size())) {
    finish(pb::ClientReply::REFUSED, refusal_);
  }
}

// One replica alone may lie: what only it names must be signed. An owner's older version must be
// believed: a minority may have accepted the newer one before the older was written again.
bool Round::is_credible(const Address& from, const Register& state) const {
  if (from == context_.network.self() || !state.value) return true;
  for (const auto& [other, theirs] : states_) {
    if (other != from && theirs.accepted == state.accepted &&
        theirs.record.value() == state.record.value()) {
      return true;
    }
  }
  return replica_.is_authentic(state);
}

void Round::on_states() {
  static const Register kNothing;
  const Register* latest = &kNothing;
  Seen seen;
  bool agreed = true;
  for (const auto& [from, state] : states_) {
    if (state.accepted != states_.begin()->second.accepted) agreed = false;
    if (state.accepted > latest->accepted && is_credible(from, state)) latest = &state;
  }
  // Installed values are no proof that one was chosen: another member may have installed what a
  // minority of the epoch before had accepted later, and that would win once it is asked.
  if (latest->accepted.is_set() && latest->accepted.epoch != group_.id.epoch)
    seen.only_installed = std::exchange(agreed, false);
  const TimePoint now = context_.clock.now();
  if (latest->accepted.is_set()) {
    seen.record = &latest->record;
    seen.value = latest->value ? &*latest->value : nullptr;
    seen.age = now - latest->since;
    seen.floors = latest->floors;
    for (const auto& [from, state] : states_) {
      // Free only if every promise of the majority says so.
      if (state.is_live(now)) seen.live = true;
      if (state.accepted == latest->accepted) seen.age = std::min(seen.age, now - state.since);
    }
    if (seen.value && seen.value->removed) seen.live = false;
  }
  auto decision = change_(seen);
  accept_.Clear();
  if (decision.write) {
    *accept_.mutable_record() = std::move(*decision.write);
  } else if (const bool over = !seen.record || (seen.value && !seen.live && !seen.value->removed);
             !seen.record || (over && !decision.force) || (agreed && !decision.rewrite) ||
             decision.unsettled) {
    // Expired values need not be kept alive; what `next` holds (not a value) never expires.
    return finish(std::move(decision.reply));
  } else {
    *accept_.mutable_record() = *seen.record;
    accept_.set_keep_timer(true);
    accept_.set_age_ms(to_ms(seen.age));
  }
  if (phase_ == Phase::kRead) return begin(Phase::kPrepare);
  if (decision.floor) seen.floors = with_floor(std::move(seen.floors), *decision.floor);
  floors_to_wire(seen.floors, *accept_.mutable_floors());
  accept_.set_key(key_);
  ballot_.to_wire(*accept_.mutable_ballot());
  reply_ = std::move(decision.reply);
  begin(Phase::kAccept);
}

void Round::on_resend() {
  if (context_.clock.now() >= deadline_) return finish(pb::ClientReply::UNAVAILABLE);
  if (phase_ == Phase::kPause) return start();
  if (!refused_.empty()) return finish(pb::ClientReply::REFUSED, refusal_);
  if (!rejected_.empty()) return pause();
  timer_.after(kResendAfter, [this] { on_resend(); });
  for (const auto& member : group_.members) {
    const auto& answered = member.address;
    if (member != context_.self() && !states_.contains(answered) && !accepted_.contains(answered)) {
      ask(member);
    }
  }
}

void Round::pause() {
  phase_ = Phase::kPause;
  const TimePoint now = context_.clock.now();
  const Duration taken = std::max<Duration>(kBackoffFirst, now - begun_);
  const Duration longest =
      std::min(taken * (1 << std::min(attempts_++, kBackoffDoublingsMax)), (deadline_ - now) / 2);
  timer_.after(Duration(static_cast<Duration::rep>(context_.random.unit() * longest.count())),
               [this] { on_resend(); });
}

void Round::finish(pb::ClientReply::Status status, std::string reason) {
  // What one replica accepted may yet be chosen: then nobody can say that it was refused.
  if (status == pb::ClientReply::REFUSED && !accepted_.empty()) {
    status = pb::ClientReply::UNAVAILABLE;
  }
  pb::ClientReply reply;
  reply.set_status(status);
  reply.set_reason(std::move(reason));
  finish(std::move(reply));
}

void Round::finish(pb::ClientReply reply) {
  phase_ = Phase::kOver;
  timer_.cancel();
  if (auto done = std::exchange(done_, nullptr)) done(std::move(reply));
}

}  // namespace wow::dht
