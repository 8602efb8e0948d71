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
  if (const SourceId own{previous_id(), context_.self()}; sources_.contains(own)) {
    Source& source = sources_[own];
    const Epoch* epoch = replica_.held(own.first);
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
  message.mutable_fetch()->set_after_key(sources_[source].after_key);
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

bool Installer::take(Source& source, const pb::FetchReply& page) {
  if (source.complete || page.after_key() != source.after_key) return false;
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
  return source.complete || page.registers_size() > 0;
}

void Installer::try_install() {
  std::size_t before = 0;
  bool enough = false;
  std::map<std::string, Register> merged;
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
