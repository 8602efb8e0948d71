#include "dht/installer.h"

#include <utility>

namespace wow::dht {
namespace {

constexpr Duration kResendAfter = 300ms;

}  // namespace

Installer::Installer(Context& context, Replica& replica, std::function<void()> installed)
    : context_(context),
      replica_(replica),
      installed_(std::move(installed)),
      timer_(context.clock) {}

void Installer::want(const Group& group) {
  if (id_ != 0 && group_ == group) return;
  stop();
  if (!group.has(context_.self()) || replica_.held(group.id)) return;
  group_ = group;
  id_ = context_.fresh_id();
  for (const auto& member : group.members) sources_[{group.id, member}];
  for (const auto& member : group.previous) sources_[{previous_id(), member}];
  sources_.erase({group.id, context_.self()});
  ask_all();
}

void Installer::stop() {
  id_ = 0;
  sources_.clear();
  timer_.cancel();
}

void Installer::ask_all() {
  timer_.after(kResendAfter, [this] { ask_all(); });
  // Ourselves first: a founder alone is its own majority.
  if (const SourceId ours{previous_id(), context_.self()}; sources_.contains(ours)) {
    Source& source = sources_[ours];
    const Epoch* epoch = replica_.held(ours.first);
    if (!source.complete && epoch && epoch->sealed) {
      for (const auto& [key, state] : epoch->registers) {
        if (state.value) source.registers[key] = state;
      }
      source.complete = true;
      if (try_install(); id_ == 0) return;
    }
  }
  for (const auto& [id, source] : sources_) {
    if (!source.complete && id.second != context_.self()) ask(id);
  }
}

void Installer::ask(const SourceId& source) {
  pb::DhtMessage message;
  message.set_id(id_);
  set_epoch(message, source.first);
  *message.mutable_known() = group_.to_wire();
  Source& state = sources_[source];
  message.mutable_fetch()->set_after_key(state.after_key);
  state.asked.clear();
  if (const Epoch* epoch = own()) {
    for (const KeyRange& range : ranges_after(epoch->registers, state.after_key)) {
      auto& asked = *message.mutable_fetch()->add_ranges();
      asked.set_until(range.until);
      asked.set_digest(range.digest);
      state.asked.push_back(range.until);
    }
  }
  context_.send(source.second.address, message);
}

void Installer::on_reply(const ReplicaId& from, const pb::DhtMessage& message) {
  const SourceId id{epoch_of(message), from};
  const auto found = sources_.find(id);
  if (message.id() != id_ || found == sources_.end()) return;
  if (!take(found->second, message.fetch_reply())) return;
  if (found->second.complete) {
    try_install();
  } else {
    ask(id);
  }
}

// What we hold ourselves of the epoch before, or of one before that. Sealed, so that it is still
// what we asked about when the answer comes.
const Epoch* Installer::own() const {
  const Epoch* epoch = replica_.last_before(group_.id);
  return epoch && epoch->sealed ? epoch : nullptr;
}

// The source holds the first `ranges` of those that it was asked about as we do.
bool Installer::take_same(Source& source, std::size_t ranges) {
  const Epoch* epoch = own();
  if (!epoch || ranges > source.asked.size()) return ranges == 0;
  for (std::size_t i = 0; i < ranges; ++i) {
    const auto& registers = epoch->registers;
    const auto end = registers.upper_bound(source.asked[i]);
    for (auto it = registers.upper_bound(source.after_key); it != end; ++it) {
      if (it->second.value) source.registers.insert(*it);
    }
    source.after_key = source.asked[i];
  }
  return true;
}

bool Installer::take(Source& source, const pb::FetchReply& page) {
  if (source.complete || page.after_key() != source.after_key) return false;
  if (!take_same(source, page.same())) return false;
  for (const auto& wire : page.registers()) {
    if (wire.key() <= source.after_key) return false;
    if (source.registers.size() >= context_.options.records_max) return false;
    source.after_key = wire.key();
    auto state = Register::parse(wire);
    if (!state || !state->value) continue;
    state->since = context_.clock.now() -
                   std::chrono::milliseconds(std::min(wire.age_ms(), 2 * to_ms(kTtlMax)));
    source.registers[wire.key()] = std::move(*state);
  }
  source.complete = !page.more();
  return source.complete || page.registers_size() > 0 || page.same() > 0;
}

void Installer::try_install() {
  std::size_t before = 0;
  bool enough = false;
  Registers merged;
  for (const auto& [id, source] : sources_) {
    if (!source.complete) continue;
    if (id.first == group_.id || ++before > group_.previous.size() / 2) enough = true;
    for (const auto& [key, state] : source.registers) {
      auto& best = merged[key];
      const bool same = state.accepted == best.accepted;
      if (state.accepted > best.accepted || (same && state.since > best.since)) best = state;
    }
  }
  // Only now: an older value must not come back because the latest has expired.
  const TimePoint now = context_.clock.now();
  std::erase_if(merged, [now](const auto& entry) { return entry.second.is_expired(now); });
  if (!enough || !replica_.install(group_, std::move(merged))) return;
  stop();
  installed_();
}

}  // namespace wow::dht
