#include "dht/replica.h"

#include <algorithm>

#include "base/log.h"

namespace wow::dht {
namespace {

constexpr char kMetaPrefix = 'e', kRegisterPrefix = 'r';  // in the store
constexpr std::size_t kPageBytes = 24 * 1024;
constexpr std::size_t kBatchEntries = 512;
// So many times an owner's quota may lie about expired, until the whole group can forget it.
constexpr std::size_t kDeadRatio = 4;
// Longer than any operation may last, so that no coordinator still counts on what is dropped.
constexpr Duration kGarbageSlack = 60s;
// Whoever was heard since is taken to be alive; members and those who are to be are asked more
// often.
constexpr Duration kContactTime = 60s;

std::string store_key(char prefix, std::uint64_t epoch, const std::string& key = {}) {
  Writer out;
  out.u8(static_cast<std::uint8_t>(prefix)).u64(epoch).bytes(view_of(key));
  return to_string(out.view());
}

pb::ReplicaReply answer(pb::ReplicaReply::Status status) {
  pb::ReplicaReply out;
  out.set_status(status);
  return out;
}

pb::ReplicaReply refusal(std::string reason) {
  auto out = answer(pb::ReplicaReply::REFUSED);
  out.set_reason(std::move(reason));
  return out;
}

}  // namespace

void Replica::load(const std::string& key, ByteView value) {
  Reader in(view_of(key));
  const auto prefix = static_cast<char>(in.u8());
  const std::uint64_t number = in.u64();
  if (!in.ok()) return;
  const auto size = static_cast<int>(value.size());
  if (prefix == kMetaPrefix) {
    pb::EpochState wire;
    if (!wire.ParseFromArray(value.data(), size)) return;
    const auto group = Group::parse(wire.group());
    if (!group) return;
    lineage_ = group->id.lineage;
    epochs_[number] = {*group, wire.sealed(), wire.round_floor(), {}};
  } else if (prefix == kRegisterPrefix) {
    pb::Register wire;
    if (!wire.ParseFromArray(value.data(), size)) return;
    auto state = Register::parse(wire);
    if (!state) return;
    // How long the machine was off is unknown: the timer starts again.
    state->since = context_.clock.now();
    loading_[number].emplace_back(to_string(in.rest()), std::move(*state));
  }
}

void Replica::loaded() {
  for (auto& [number, states] : loading_) {
    const auto epoch = epochs_.find(number);
    for (auto& [key, state] : states) {
      // Registers without their epoch are what a crash left of an installation.
      if (epoch != epochs_.end()) {
        state.invite = checker_.invite_of(state.record);
        epoch->second.registers.emplace(key, std::move(state));
      } else {
        context_.store.write(store_key(kRegisterPrefix, number, key), {});
      }
    }
  }
  loading_.clear();
}

const Epoch* Replica::serving() const {
  if (epochs_.empty() || epochs_.rbegin()->second.sealed) return nullptr;
  return &epochs_.rbegin()->second;
}

Epoch* Replica::find(const EpochId& id) {
  const auto found = epochs_.find(id.epoch);
  return found != epochs_.end() && found->second.group.id == id ? &found->second : nullptr;
}

const Epoch* Replica::held_before(const EpochId& id) const {
  if (epochs_.empty() || lineage_ != id.lineage) return nullptr;
  const Epoch& first = epochs_.begin()->second;
  return first.group.id.epoch < id.epoch ? &first : nullptr;
}

const Epoch* Replica::last_before(const EpochId& id) const {
  if (epochs_.empty() || lineage_ != id.lineage) return nullptr;
  const auto after = epochs_.lower_bound(id.epoch);
  return after == epochs_.begin() ? nullptr : &std::prev(after)->second;
}

DhtStore::Entry Replica::meta_entry(const Epoch& epoch) const {
  pb::EpochState wire;
  *wire.mutable_group() = epoch.group.to_wire();
  wire.set_sealed(epoch.sealed);
  wire.set_round_floor(epoch.round_floor);
  return {store_key(kMetaPrefix, epoch.group.id.epoch), to_bytes(wire.SerializeAsString())};
}

bool Replica::install(const Group& group, Registers registers) {
  const TimePoint now = context_.clock.now();
  Epoch epoch{group, false, 0, std::move(registers)};
  std::vector<DhtStore::Entry> batch;
  for (auto& [key, state] : epoch.registers) {
    // What is copied from a member of this same epoch was accepted in it: that counts as a promise.
    state.promised = state.accepted.epoch == group.id.epoch ? state.accepted.ballot : Ballot{};
    state.since = now;
    if (state.invite.empty()) state.invite = checker_.invite_of(state.record);
    batch.emplace_back(store_key(kRegisterPrefix, group.id.epoch, key),
                       to_bytes(state.to_wire(key, now, true).SerializeAsString()));
    if (batch.size() < kBatchEntries) continue;
    if (!context_.store.write_all(batch)) return false;
    batch.clear();
  }
  // Last, so that a crash leaves either the whole epoch or none.
  batch.push_back(meta_entry(epoch));
  if (!context_.store.write_all(batch)) return false;
  log_info("dht epoch installed", {{"epoch", group.id.epoch},
                                   {"members", group.members.size()},
                                   {"records", epoch.registers.size()}});
  lineage_ = group.id.lineage;
  epochs_[group.id.epoch] = std::move(epoch);
  return true;
}

bool Replica::seal(const EpochId& id) {
  Epoch* epoch = find(id);
  if (!epoch || epoch->sealed) return epoch;
  epoch->sealed = true;
  const auto entry = meta_entry(*epoch);
  epoch->sealed = context_.store.write(entry.first, entry.second);
  if (epoch->sealed) epoch->sealed_at = context_.clock.now();
  return epoch->sealed;
}

void Replica::drop(std::map<std::uint64_t, Epoch>::iterator it) {
  const std::uint64_t number = it->first;
  // First what makes it an epoch: after a crash the rest is swept up by loaded().
  std::vector<DhtStore::Entry> batch{{store_key(kMetaPrefix, number), {}}};
  for (const auto& [key, state] : it->second.registers) {
    batch.emplace_back(store_key(kRegisterPrefix, number, key), Bytes{});
  }
  context_.store.write_all(batch);
  epochs_.erase(it);
}

void Replica::forget_before(const EpochId& id) {
  while (held_before(id)) drop(epochs_.begin());
}

void Replica::forget_all() {
  while (!epochs_.empty()) drop(epochs_.begin());
}

Epoch* Replica::open(const EpochId& id, const std::string& key) {
  Epoch* epoch = find(id);
  // `next` stays open, so that whoever was interrupted learns what was decided.
  return epoch && (!epoch->sealed || key == kNextKey) ? epoch : nullptr;
}

Register Replica::state_of(const Epoch& epoch, const std::string& key) const {
  const auto found = epoch.registers.find(key);
  if (found != epoch.registers.end()) return found->second;
  Register none;
  // A register that was dropped as garbage may have promised up to the floor.
  static const Address kLast = Address() - Address::power_of_two(0);
  if (epoch.round_floor > 0) none.promised = {epoch.round_floor, kLast};
  return none;
}

std::uint64_t Replica::next_round(const EpochId& id, const std::string& key) const {
  const Epoch* epoch = held(id);
  return epoch ? state_of(*epoch, key).promised.round + 1 : 1;
}

bool Replica::write(Epoch& epoch, const std::string& key, Register wanted) {
  const auto wire = wanted.to_wire(key, context_.clock.now(), true).SerializeAsString();
  if (!context_.store.write(store_key(kRegisterPrefix, epoch.group.id.epoch, key), view_of(wire))) {
    return false;
  }
  epoch.registers[key] = std::move(wanted);
  return true;
}

std::size_t Replica::size() const {
  return epochs_.empty() ? 0 : epochs_.rbegin()->second.registers.size();
}

bool Replica::is_full(const Epoch& epoch) const {
  const std::size_t registers =
      context_.holdings ? context_.holdings->registers() : epoch.registers.size();
  return registers >= context_.options.records_max;
}

void Replica::add_usage(const Address& owner, const std::string& invite, const std::string& except,
                        Usage& out) const {
  if (epochs_.empty()) return;
  const TimePoint now = context_.clock.now();
  for (const auto& [key, state] : epochs_.rbegin()->second.registers) {
    if (!state.value || key == except) continue;
    const bool is_owners = state.value->owner == owner;
    const bool is_invites = state.invite == invite;
    if (!is_owners && !is_invites) continue;
    // A tombstone takes room as long as what it buried.
    const bool is_live = !state.is_expired(now);
    out.owner += is_owners;
    out.invite += is_invites;
    out.owner_live += is_owners && is_live;
    out.invite_live += is_invites && is_live;
  }
}

Replica::Reply Replica::prepare(const EpochId& id, const pb::Prepare& request) {
  Epoch* epoch = open(id, request.key());
  if (!epoch) return answer(pb::ReplicaReply::WRONG_EPOCH);
  const TimePoint now = context_.clock.now();
  auto state = state_of(*epoch, request.key());
  auto out = answer(pb::ReplicaReply::OK);
  if (request.has_ballot()) {
    const Ballot ballot = Ballot::parse(request.ballot());
    if (ballot < state.promised) {
      out.set_status(pb::ReplicaReply::HIGHER_BALLOT);
    } else if (!epoch->registers.contains(request.key()) && is_full(*epoch)) {
      return refusal("the store is full");
    } else if (ballot > state.promised) {
      state.promised = ballot;
      if (!state.accepted.is_set()) state.since = now;
      if (!write(*epoch, request.key(), state)) return std::nullopt;
    }
  }
  *out.mutable_state() = state.to_wire(request.key(), now, true);
  return out;
}

Replica::Reply Replica::accept(const EpochId& id, const pb::Accept& request) {
  Epoch* epoch = open(id, request.key());
  if (!epoch) return answer(pb::ReplicaReply::WRONG_EPOCH);
  const TimePoint now = context_.clock.now();
  const auto state = state_of(*epoch, request.key());
  const Ballot ballot = Ballot::parse(request.ballot());
  if (ballot < state.promised || ballot == Ballot{}) {
    auto out = answer(pb::ReplicaReply::HIGHER_BALLOT);
    *out.mutable_state() = state.to_wire(request.key(), now, false);
    return out;
  }
  if (state.accepted == Stamp{id.epoch, ballot}) return answer(pb::ReplicaReply::OK);
  Register wanted{ballot, {id.epoch, ballot}, request.record(), {}, now, {}};
  wanted.floors = parse_floors(request.floors());
  if (request.key() != kNextKey) wanted.value = Value::parse(request.record());
  if (request.keep_timer()) {
    const auto age_max = 2 * to_ms(kTtlMax);
    wanted.since -= std::chrono::milliseconds(std::min(request.age_ms(), age_max));
  }
  const auto why = objection(*epoch, request, wanted);
  if (!why.empty()) return refusal(why);
  if (wanted.value) wanted.value->data.clear();
  wanted.invite = checker_.invite_of(wanted.record);
  if (!write(*epoch, request.key(), std::move(wanted))) return std::nullopt;
  return answer(pb::ReplicaReply::OK);
}

std::string Replica::objection(const Epoch& epoch, const pb::Accept& request,
                               const Register& wanted) {
  if (request.key() == kNextKey) {
    pb::Group wire;
    const bool parsed = wire.ParseFromString(request.record().value());
    const auto next = parsed ? Group::parse(wire) : std::nullopt;
    const bool follows = next && next->id.lineage == epoch.group.id.lineage &&
                         next->id.epoch == epoch.group.id.epoch + 1 &&
                         next->shard == epoch.group.shard &&
                         (next->members.size() >= kGroupMembersSafe ||
                          epoch.group.members.size() < kGroupMembersSafe) &&
                         next->previous == epoch.group.members;
    if (!follows) return "not a group that can follow";
    return is_able(*next) ? "" : "most of its members are not known here to be alive";
  }
  if (!wanted.value || wanted.value->key != request.key()) return "malformed value";
  if (!checker_.authentic(request.record(), *wanted.value)) return "the signature does not hold";
  if (wanted.value->removed || wanted.is_expired(context_.clock.now())) return {};
  auto why = lease_objection(epoch, *wanted.value, request.record());
  // What was written once is written again for readers, whatever the other rules have become.
  if (!why.empty() || request.keep_timer()) return why;
  why = checker_.objection(*wanted.value, request.record());
  return why.empty() ? quota_objection(*wanted.value, checker_.invite_of(request.record())) : why;
}

// A group of the dead, whether a liar invented it or a sleeper remembers it, would be the end of
// the shard: nobody could install it, and the group before is sealed.
bool Replica::is_able(const Group& next) const {
  if (!context_.peers) return true;
  const TimePoint since = context_.clock.now() - kContactTime;
  const auto alive = std::ranges::count_if(next.members, [&](const ReplicaId& member) {
    return member == context_.self() || context_.peers->is_alive(member, context_.shard, since);
  });
  return static_cast<std::size_t>(alive) >= next.majority();
}

// A host with a bridge holds as many beside its own.
constexpr std::size_t kGuestLeasesMax = 1000;

// One a node; a host that may bridge holds its guests' as well.
std::string Replica::lease_objection(const Epoch& epoch, const Value& value,
                                     const pb::Record& record) {
  constexpr std::string_view kLeases = "ip/";
  if (!value.key.starts_with(kLeases)) return {};
  const TimePoint now = context_.clock.now();
  std::string other;
  std::size_t held = 0;
  for (auto it = epoch.registers.lower_bound(std::string(kLeases));
       it != epoch.registers.end() && it->first.starts_with(kLeases); ++it) {
    const auto& [key, state] = *it;
    if (key == value.key || !state.value || state.value->owner != value.owner) continue;
    if (state.value->removed || state.is_expired(now)) continue;
    other = key;
    ++held;
  }
  const bool is_guests = value.key.find(':') != std::string::npos;  // an IPv6 address
  if (held == 0 && !is_guests) return {};
  if (!checker_.may_bridge(record)) {
    return is_guests ? "its owner may have no guests" : "its owner already holds " + other;
  }
  return held <= kGuestLeasesMax ? "" : "its owner holds " + std::to_string(held) + " already";
}

std::string Replica::quota_objection(const Value& value, const std::string& invite) const {
  Usage usage;
  if (context_.holdings) {
    usage = context_.holdings->usage(value.owner, invite, value.key);
  } else {
    add_usage(value.owner, invite, value.key, usage);
  }
  const auto is_over = [](std::size_t live, std::size_t all, std::size_t limit) {
    return live >= limit || all >= limit * kDeadRatio;
  };
  const auto& options = context_.options;
  if (is_over(usage.owner_live, usage.owner, options.records_per_owner_max)) {
    return "its owner has too many records (" + std::to_string(options.records_per_owner_max) +
           " are allowed, removed ones count until they expire)";
  }
  if (is_over(usage.invite_live, usage.invite, options.records_per_invite_max)) {
    return "those who came by the same invite have too many records (" +
           std::to_string(options.records_per_invite_max) + " are allowed)";
  }
  return {};
}

std::optional<pb::FetchReply> Replica::fetch(const EpochId& id, const pb::Fetch& request) const {
  const Epoch* epoch = held(id);
  if (!epoch) return std::nullopt;
  const TimePoint now = context_.clock.now();
  // With what has expired: it must beat older values that live longer.
  pb::FetchReply out;
  out.set_after_key(request.after_key());
  std::string after_key = request.after_key();
  for (const auto& range : request.ranges()) {
    const bool in_order = out.same() < KeyRange::kAtOnceMax && after_key < range.until();
    if (!in_order || digest_of(epoch->registers, after_key, range.until()) != range.digest()) break;
    after_key = range.until();
    out.set_same(out.same() + 1);
  }
  std::size_t bytes = 0;
  // The empty key, `next`, sorts before every other, so a page never holds it.
  for (auto it = epoch->registers.upper_bound(after_key); it != epoch->registers.end(); ++it) {
    if (!it->second.accepted.is_set()) continue;
    if (bytes > kPageBytes) {
      out.set_more(true);
      break;
    }
    *out.add_registers() = it->second.to_wire(it->first, now, true);
    bytes += out.registers(out.registers_size() - 1).ByteSizeLong();
  }
  return out;
}

std::optional<pb::ListKeysReply> Replica::list(const EpochId& id,
                                               const pb::ListKeys& request) const {
  const Epoch* epoch = held(id);
  if (!epoch || epoch->sealed) return std::nullopt;
  const TimePoint now = context_.clock.now();
  pb::ListKeysReply out;
  out.set_after_key(request.after_key());
  std::size_t bytes = 0;
  for (const auto& key : request.keys()) {
    const auto it = epoch->registers.find(key);
    if (it == epoch->registers.end() || !it->second.accepted.is_set() || key == kNextKey) continue;
    *out.add_registers() = it->second.to_wire(key, now, false);
    out.mutable_registers()->rbegin()->set_expired(it->second.is_expired(now));
    if ((bytes += key.size()) > kPageBytes) break;
  }
  if (request.keys_size() > 0) return out;
  const auto& from = std::max(request.prefix(), request.after_key());
  for (auto it = epoch->registers.lower_bound(from); it != epoch->registers.end(); ++it) {
    if (!it->first.starts_with(request.prefix())) break;
    // With what has expired: it must beat older values that live longer.
    if (it->first == request.after_key() || !it->second.accepted.is_set()) continue;
    if (bytes > kPageBytes) {
      out.set_more(true);
      break;
    }
    *out.add_registers() = it->second.to_wire(it->first, now, false);
    out.mutable_registers()->rbegin()->set_expired(it->second.is_expired(now));
    bytes += out.registers(out.registers_size() - 1).ByteSizeLong();
  }
  return out;
}

void Replica::collect_promises() {
  const TimePoint now = context_.clock.now();
  if (Epoch* epoch = epochs_.empty() ? nullptr : &epochs_.rbegin()->second) {
    std::vector<std::string> keys;
    for (const auto& [key, state] : epoch->registers) {
      const bool is_promise = key != kNextKey && !state.accepted.is_set();
      if (is_promise && now - state.since > kGarbageSlack) keys.push_back(key);
    }
    forget_keys(epoch->group.id, keys);
  }
  // Earlier epochs of which it was never proved that the next was installed. Only whole ones: who
  // asks for their registers must get all or nothing.
  while (epochs_.size() > 1) {
    const auto& registers = epochs_.begin()->second.registers;
    const bool is_dead = std::ranges::all_of(registers, [now](const auto& entry) {
      const Register& state = entry.second;
      return entry.first == kNextKey || !state.value ||
             now - state.since > state.value->lifetime() + kGarbageSlack;
    });
    if (!is_dead) break;
    drop(epochs_.begin());
  }
}

std::vector<std::string> Replica::long_expired(const std::string& after_key,
                                               std::size_t count) const {
  std::vector<std::string> out;
  const Epoch* epoch = serving();
  if (!epoch) return out;
  const TimePoint now = context_.clock.now();
  for (auto it = epoch->registers.upper_bound(after_key);
       it != epoch->registers.end() && out.size() < count; ++it) {
    const Register& state = it->second;
    if (!state.value) continue;
    if (now - state.since > state.value->lifetime() + kGarbageSlack) out.push_back(it->first);
  }
  return out;
}

void Replica::forget_keys(const EpochId& id, const std::vector<std::string>& keys) {
  Epoch* epoch = find(id);
  if (!epoch || keys.empty()) return;
  std::vector<DhtStore::Entry> batch(1);
  for (const auto& key : keys) {
    const auto found = epoch->registers.find(key);
    if (found == epoch->registers.end()) continue;
    epoch->round_floor = std::max(epoch->round_floor, found->second.promised.round);
    batch.emplace_back(store_key(kRegisterPrefix, id.epoch, key), Bytes{});
  }
  // The floor first: were it lost, an old ballot could win a register that had moved on.
  batch.front() = meta_entry(*epoch);
  if (!context_.store.write_all(batch)) return;
  for (const auto& key : keys) epoch->registers.erase(key);
}

}  // namespace wow::dht
