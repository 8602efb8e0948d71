#include "dht/listing.h"

#include <algorithm>

namespace wow::dht {
namespace {

constexpr Duration kResendAfter = 250ms;

}  // namespace

Listing::Listing(Context& context, const Replica& replica, std::uint64_t id, const Group& group,
                 std::string prefix, Done done)
    : context_(context),
      replica_(replica),
      id_(id),
      group_(group),
      prefix_(std::move(prefix)),
      done_(std::move(done)),
      deadline_(context.clock.now() + kDhtOperationLimit),
      timer_(context.clock) {
  for (const auto& member : group_.members) sources_[member.address];
}

void Listing::start() {
  timer_.after(kResendAfter, [this] { resend(); });
  for (const auto& member : group_.members) ask(member);
}

void Listing::ask(const ReplicaId& member) {
  const Source& source = sources_[member.address];
  if (source.complete || !done_) return;
  pb::DhtMessage message;
  message.set_id(id_);
  set_epoch(message, group_.id);
  auto& request = *message.mutable_list_keys();
  request.set_prefix(prefix_);
  request.set_after_key(source.after_key);
  if (member != context_.self()) return context_.send(member.address, message);
  const auto page = replica_.list(group_.id, request);
  if (!page) return finish(nullptr);
  on_reply(member, *page);
}

void Listing::on_reply(const ReplicaId& from, const pb::ListKeysReply& page) {
  if (!done_ || !group_.has(from) || !take(from.address, page)) return;
  if (!sources_[from.address].complete) return ask(from);
  ++complete_;
  if (is_enough()) finish(&keys_);
}

// With a majority every key is known. Others are waited for a little if they may save a write.
bool Listing::is_enough() const {
  if (complete_ < group_.majority()) return false;
  return complete_ == sources_.size() || std::ranges::all_of(keys_, [this](const auto& entry) {
           return is_settled(entry.second, group_) || is_dead(entry.second);
         });
}

bool Listing::take(const Address& from, const pb::ListKeysReply& page) {
  Source& source = sources_[from];
  if (source.complete || page.after_key() != source.after_key) return false;
  for (const auto& wire : page.registers()) {
    const auto& key = wire.key();
    if (key <= source.after_key || !key.starts_with(prefix_)) return false;
    source.after_key = key;
    if (keys_.size() >= context_.options.records_max) return false;
    Found& found = keys_[key];
    const Stamp stamp{wire.accepted_epoch(), Ballot::parse(wire.accepted())};
    const Duration age = std::chrono::milliseconds(std::min(wire.age_ms(), 2 * to_ms(kTtlMax)));
    found.mixed |= found.latest.is_set() && stamp != found.latest;
    if (stamp > found.latest) {
      found = {stamp, age, 1, !wire.expired(), found.mixed};
    } else if (stamp == found.latest) {
      found.age = std::min(found.age, age);
      found.live |= !wire.expired();
      ++found.holders;
    }
  }
  source.complete = !page.more();
  // A page that promises more and brings nothing would be asked for without end.
  return source.complete || page.registers_size() > 0;
}

void Listing::resend() {
  if (complete_ >= group_.majority()) return finish(&keys_);
  if (context_.clock.now() >= deadline_) return finish(nullptr);
  timer_.after(kResendAfter, [this] { resend(); });
  for (const auto& member : group_.members) {
    if (member != context_.self()) ask(member);
  }
}

void Listing::finish(const Keys* keys) {
  timer_.cancel();
  if (auto done = std::exchange(done_, nullptr)) done(keys);
}

}  // namespace wow::dht
