#include "dht/coordinator.h"

#include <openssl/sha.h>

#include <utility>

namespace wow::dht {
namespace {

constexpr std::size_t kOperationsMax = 256;  // of clients, at once
constexpr std::size_t kSettlingMax = 64;     // keys that nobody waits for
constexpr std::size_t kRepairsMax = 64;      // of one listing; the client's next try does the rest
constexpr std::size_t kSnapshotsMax = 8;
constexpr std::size_t kSnapshotBytesMax = 64 * 1024 * 1024;  // of all but the latest
constexpr Duration kSnapshotLife = 2s;
// How long a group may take to change: who was cut off meanwhile must not tell what was.
constexpr Duration kSealedLife = 10s;
constexpr std::size_t kPageBytes = 16 * 1024;  // of records, to a client

pb::ClientReply status_reply(pb::ClientReply::Status status, std::string reason = {}) {
  pb::ClientReply reply;
  reply.set_status(status);
  reply.set_reason(std::move(reason));
  return reply;
}

// In the order of keys: the same records give the same digest wherever they are listed.
void add_to_digest(Writer& out, const std::string& key, const Value& value) {
  out.u16(static_cast<std::uint16_t>(key.size())).bytes(view_of(key));
  out.bytes(value.owner.bytes()).u64(value.version);
}

}  // namespace

Coordinator::Coordinator(Context& context, Replica& replica, const GroupBook& book,
                         RecordChecker& checker)
    : context_(context), replica_(replica), book_(book), checker_(checker), sweep_(context.clock) {}

void Coordinator::on_request(const Address& from, const pb::DhtMessage& message) {
  const auto ticket = std::pair(from, message.id());
  if (in_progress_.contains(ticket)) return;
  in_progress_.insert(ticket);
  auto answer = [this, ticket, request = message.client_request()](pb::ClientReply reply) {
    in_progress_.erase(ticket);
    const bool is_interrupted = reply.status() == pb::ClientReply::WRONG_GROUP ||
                                reply.status() == pb::ClientReply::UNAVAILABLE;
    if (auto known = is_interrupted ? from_sealed(request) : std::nullopt) reply = *known;
    pb::DhtMessage out;
    set_epoch(out, replica_.serving_id());
    if (reply.status() == pb::ClientReply::WRONG_GROUP && book_.newest()) {
      *out.mutable_known() = book_.newest()->to_wire();
    }
    *out.mutable_client_reply() = std::move(reply);
    out.set_id(ticket.second);
    out.set_reply(true);
    context_.send(ticket.first, out);
  };
  const Epoch* epoch = replica_.serving();
  // A lineage that gives way to another takes no more writes.
  const bool is_left =
      epoch && book_.newest() && book_.newest()->id.lineage != epoch->group.id.lineage;
  if (!epoch || is_left) return answer(status_reply(pb::ClientReply::WRONG_GROUP));
  if (in_progress_.size() > kOperationsMax) {
    context_.metrics.add(Metric::kDropQueueFull);
    return answer(status_reply(pb::ClientReply::UNAVAILABLE));
  }
  const Group group = epoch->group;
  const auto& request = message.client_request();
  if (request.likely()) tell_likely(from, message.id(), *epoch, request.key());
  run(from, group, request, std::move(answer));
}

void Coordinator::tell_likely(const Address& to, std::uint64_t id, const Epoch& epoch,
                              const std::string& key) {
  const auto found = epoch.registers.find(key);
  if (found == epoch.registers.end() || !found->second.is_live(context_.clock.now())) return;
  pb::DhtMessage out;
  set_epoch(out, epoch.group.id);
  out.set_id(id);
  out.set_reply(true);
  out.mutable_client_reply()->set_status(pb::ClientReply::LIKELY);
  out.mutable_client_reply()->set_holder(to_string(found->second.value->owner.bytes()));
  context_.send(to, out);
}

std::optional<pb::ClientReply> Coordinator::from_sealed(const pb::ClientRequest& request) {
  const Epoch* epoch = replica_.last();
  const TimePoint now = context_.clock.now();
  const bool is_lately = epoch && epoch->sealed_at && now - *epoch->sealed_at < kSealedLife;
  if (!is_lately || request.op() != pb::ClientRequest::GET || !request.look_up()) return {};
  if (!book_.newest() || book_.newest()->id.lineage != epoch->group.id.lineage) return {};
  const auto found = epoch->registers.find(request.key());
  if (found == epoch->registers.end() || !found->second.is_live(now)) return {};
  const Register& own = found->second;
  if (!checker_.authentic(own.record, *own.value)) return {};
  auto reply = status_reply(pb::ClientReply::OK);
  *reply.add_records() = own.record;
  reply.add_age_ms(to_ms(now - own.since));
  return reply;
}

void Coordinator::run(const Address& from, const Group& group, const pb::ClientRequest& request,
                      Answer answer) {
  if (request.op() == pb::ClientRequest::LIST) return list(group, request, std::move(answer));
  const auto& key = request.key();
  if (key.empty() || key.size() > kDhtKeyBytesMax) {
    return answer(status_reply(pb::ClientReply::REFUSED, "a key has 1 to 255 bytes"));
  }
  if (request.op() == pb::ClientRequest::GET)
    return get(group, key, request.look_up(), std::move(answer));
  auto value = Value::parse(request.record());
  if (!value || value->key != key ||
      value->removed != (request.op() == pb::ClientRequest::REMOVE)) {
    return answer(status_reply(pb::ClientReply::REFUSED, "malformed value"));
  }
  // Records are public: without this anybody could send an owner's old ones again.
  if (value->owner != from) {
    return answer(status_reply(pb::ClientReply::REFUSED, "only its owner may write a value"));
  }
  if (!checker_.authentic(request.record(), *value)) {
    return answer(status_reply(pb::ClientReply::REFUSED, "the signature does not hold"));
  }
  const auto why = value->removed ? std::string() : checker_.objection(*value, request.record());
  if (!why.empty()) return answer(status_reply(pb::ClientReply::REFUSED, why));
  start_round(
      group, key, false,
      [this, request, value = std::move(*value)](const Seen& seen) {
        return change(request, value, seen);
      },
      std::move(answer));
}

void Coordinator::get(const Group& group, const std::string& key, bool look_up, Answer answer) {
  auto unsettled = std::make_shared<bool>(false);
  auto change = [this, look_up, unsettled](const Seen& seen) {
    auto out = decide(is_held(seen) ? pb::ClientReply::OK : pb::ClientReply::NOT_FOUND, seen);
    *unsettled = out.unsettled = look_up && seen.only_installed;
    return out;
  };
  start_round(group, key, true, change,
              [this, group, key, unsettled, answer = std::move(answer)](pb::ClientReply reply) {
                const bool settles = *unsettled && reply.status() == pb::ClientReply::OK;
                answer(std::move(reply));
                // Who looks it up next need not wait for it either.
                if (settles && refreshing_.size() < kSettlingMax && !refreshing_.contains(key))
                  refresh(group, key);
              });
}

bool Coordinator::is_held(const Seen& seen) {
  // A member that was sent away holds nothing.
  return seen.live && checker_.authentic(*seen.record, *seen.value);
}

Decision Coordinator::decide(pb::ClientReply::Status status, const Seen& seen) {
  Decision out{status_reply(status), {}};
  if (status != pb::ClientReply::OK && status != pb::ClientReply::TAKEN) return out;
  *out.reply.add_records() = *seen.record;
  out.reply.add_age_ms(to_ms(seen.age));
  return out;
}

Decision Coordinator::change(const pb::ClientRequest& request, const Value& value,
                             const Seen& seen) {
  // It was written before, by another coordinator or by a ballot of ours that did not hear so.
  if (seen.record && seen.record->value() == request.record().value()) {
    return decide(pb::ClientReply::OK, seen);
  }
  const bool held = is_held(seen);
  const bool ours = seen.value && seen.value->owner == value.owner;
  const auto floor = floor_of(seen.floors, value.owner);
  if (held && !ours) {
    // Once it is told so, no other coordinator that it asked may give it the key.
    auto out = decide(pb::ClientReply::TAKEN, seen);
    out.rewrite = floor < value.version;
    if (out.rewrite) out.floor = {value.owner, value.version};
    return out;
  }
  // The writer learns the version that it has to exceed.
  if (ours && seen.value->version >= value.version) return decide(pb::ClientReply::TAKEN, seen);
  if (floor >= value.version) {
    Decision out{status_reply(pb::ClientReply::STALE), {}};
    out.reply.set_version(floor);
    return out;
  }
  const bool needs_holder =
      request.op() == pb::ClientRequest::RENEW || request.op() == pb::ClientRequest::REMOVE;
  if (needs_holder && !held) return decide(pb::ClientReply::NOT_FOUND, seen);
  Decision out{status_reply(pb::ClientReply::OK), request.record()};
  *out.reply.add_records() = request.record();
  out.reply.add_age_ms(0);
  if (seen.value && !ours) out.floor = {seen.value->owner, seen.value->version};
  return out;
}

void Coordinator::start_round(const Group& group, const std::string& key, bool read_first,
                              Round::Change change, Round::Done done) {
  const std::uint64_t id = fresh_id();
  auto ended = [this, id, done = std::move(done)](pb::ClientReply reply) {
    bury(id);
    done(std::move(reply));
  };
  auto round = std::make_unique<Round>(context_, replica_, id, group, key, read_first,
                                       std::move(change), std::move(ended));
  auto& started = *(rounds_[id] = std::move(round));
  // Who reads `next` writes it, too, as long as the members disagree.
  if (!read_first || key == kNextKey) {
    auto& queue = writers_[{group.id, key}];
    queue.push_back(id);
    if (queue.size() > 1) return;
  }
  started.start();
}

void Coordinator::bury(std::uint64_t id) {
  if (auto round = rounds_.extract(id)) {
    leave_queue(*round.mapped(), id);
    ended_rounds_.push_back(std::move(round.mapped()));
  }
  if (auto listing = listings_.extract(id)) {
    ended_listings_.push_back(std::move(listing.mapped()));
  }
  sweep_.after({}, [this] {
    ended_rounds_.clear();
    ended_listings_.clear();
    for (const auto next : std::exchange(next_writers_, {})) {
      if (const auto round = rounds_.find(next); round != rounds_.end()) round->second->start();
    }
  });
}

void Coordinator::leave_queue(const Round& round, std::uint64_t id) {
  const auto queue = writers_.find({round.epoch(), round.key()});
  if (queue == writers_.end()) return;
  const bool was_first = queue->second.front() == id;
  std::erase(queue->second, id);
  if (queue->second.empty()) {
    writers_.erase(queue);
  } else if (was_first) {
    next_writers_.push_back(queue->second.front());
  }
}

void Coordinator::on_reply(const ReplicaId& from, const pb::DhtMessage& message) {
  if (message.has_list_keys_reply()) {
    const auto found = listings_.find(message.id());
    if (found != listings_.end()) found->second->on_reply(from, message.list_keys_reply());
    return;
  }
  const auto found = rounds_.find(message.id() >> 16 << 16);
  if (found != rounds_.end()) found->second->on_reply(from, message);
}

void Coordinator::read_next(const Group& of, Read read) {
  auto change = [](const Seen& seen) {
    Decision out{status_reply(pb::ClientReply::OK), {}};
    if (seen.record) *out.reply.add_records() = *seen.record;
    return out;
  };
  start_round(of, kNextKey, true, change, [read = std::move(read)](const pb::ClientReply& reply) {
    if (reply.status() == pb::ClientReply::NOT_FOUND) return read(Reading::kGone, std::nullopt);
    if (reply.status() != pb::ClientReply::OK) {
      const bool unreachable = reply.status() == pb::ClientReply::UNAVAILABLE;
      return read(unreachable ? Reading::kUnreachable : Reading::kInterrupted, std::nullopt);
    }
    pb::Group wire;
    const bool any = reply.records_size() > 0 && wire.ParseFromString(reply.records(0).value());
    read(Reading::kDone, any ? Group::parse(wire) : std::nullopt);
  });
}

void Coordinator::on_group_change() {
  const EpochId served = replica_.serving_id();
  std::vector<std::uint64_t> over;
  for (const auto& [id, round] : rounds_) {
    if (round->epoch() != served) over.push_back(id);
  }
  for (const auto& [id, listing] : listings_) {
    if (listing->epoch() != served) over.push_back(id);
  }
  for (const std::uint64_t id : over) {
    if (const auto round = rounds_.find(id); round != rounds_.end()) round->second->abort();
    if (const auto found = listings_.find(id); found != listings_.end()) found->second->abort();
  }
  snapshots_.clear();
}

void Coordinator::decide_next(const Group& wanted, Decided decided) {
  const Epoch* epoch = replica_.serving();
  if (!epoch) return decided(std::nullopt);
  const Group group = epoch->group;
  pb::Record record;
  record.set_value(wanted.to_wire().SerializeAsString());
  auto change = [record](const Seen& seen) {
    Decision out{status_reply(pb::ClientReply::OK), {}};
    if (!seen.record) out.write = record;
    *out.reply.add_records() = seen.record ? *seen.record : record;
    return out;
  };
  start_round(group, kNextKey, false, change, [decided](const pb::ClientReply& reply) {
    pb::Group wire;
    if (reply.status() != pb::ClientReply::OK) return decided(std::nullopt);
    wire.ParseFromString(reply.records(0).value());
    decided(Group::parse(wire));
  });
}

// --- Lists ---

void Coordinator::list(const Group& group, const pb::ClientRequest& request, Answer answer) {
  const auto& prefix = request.key();
  if (prefix.size() > kDhtKeyBytesMax || request.after_key().size() > kDhtKeyBytesMax) {
    return answer(status_reply(pb::ClientReply::REFUSED, "a key has 1 to 255 bytes"));
  }
  const auto made = snapshots_.find(prefix);
  if (!request.after_key().empty() && made != snapshots_.end() &&
      made->second.look_up == request.look_up() &&
      context_.clock.now() - made->second.made < kSnapshotLife) {
    return answer(page(made->second, request));
  }
  const std::uint64_t id = fresh_id();
  auto ended = [this, id, group, request, answer = std::move(answer)](const Listing::Keys* keys) {
    bury(id);
    if (!keys) return answer(status_reply(pb::ClientReply::UNAVAILABLE));
    gather(group, request, *keys, [this, request, answer](const Snapshot* snapshot) {
      answer(snapshot ? page(*snapshot, request) : status_reply(pb::ClientReply::UNAVAILABLE));
    });
  };
  auto listing = std::make_unique<Listing>(context_, replica_, id, group, prefix, std::move(ended));
  auto& started = *(listings_[id] = std::move(listing));
  started.start();
}

struct Coordinator::Gathering {
  Group group;
  std::string prefix;
  std::function<void(const Snapshot*)> done;
  Snapshot snapshot;
  std::size_t left = 1;
  bool failed = false;
};

// What is settled is taken from our own registers, at once; the rest is written to a majority
// first, as any reader does.
void Coordinator::gather(const Group& group, const pb::ClientRequest& request,
                         const Listing::Keys& keys, std::function<void(const Snapshot*)> done) {
  const Epoch* epoch = replica_.held(group.id);
  if (!epoch) return done(nullptr);
  const TimePoint now = context_.clock.now();
  auto gathering =
      std::make_shared<Gathering>(Gathering{group, request.key(), std::move(done), {}});
  gathering->snapshot.look_up = request.look_up();
  auto& shown = gathering->snapshot.records;
  std::vector<std::string> unsettled;
  for (const auto& [key, found] : keys) {
    if (Listing::is_dead(found)) continue;
    const auto own = epoch->registers.find(key);
    const bool is_ours = own != epoch->registers.end() && own->second.accepted == found.latest;
    const bool is_enough =
        Listing::is_settled(found, group) || (request.look_up() && Listing::is_alike(found, group));
    if (!is_ours || !is_enough) {
      // Who was sent away holds nothing, and no replica takes what was his once more.
      const bool is_void = is_ours && own->second.value &&
                           !checker_.authentic(own->second.record, *own->second.value);
      if (!is_void) unsettled.push_back(key);
      continue;
    }
    const Register& state = own->second;
    const Duration age = std::min(found.age, now - state.since);
    const bool is_live = state.value && !state.value->removed && age <= state.value->lifetime();
    if (is_live) shown[key] = {state.record, age};
  }
  if (unsettled.size() > kRepairsMax) {
    gathering->failed = true;
    unsettled.resize(kRepairsMax);
  }
  for (const auto& key : unsettled) {
    ++gathering->left;
    refresh(group, key, [this, gathering, key](const pb::ClientReply& reply) {
      const bool is_held = reply.status() == pb::ClientReply::OK;
      if (!is_held && reply.status() != pb::ClientReply::NOT_FOUND) gathering->failed = true;
      if (is_held) {
        gathering->snapshot.records[key] = {reply.records(0),
                                            std::chrono::milliseconds(reply.age_ms(0))};
      }
      end_gathering(*gathering);
    });
  }
  end_gathering(*gathering);
}

void Coordinator::end_gathering(Gathering& gathering) {
  if (--gathering.left > 0) return;
  if (replica_.serving_id() != gathering.group.id) gathering.failed = true;
  if (gathering.failed) return gathering.done(nullptr);
  gathering.done(&keep(gathering.prefix, std::move(gathering.snapshot)));
}

// Many may list at once, and rounds about one key get in each other's way.
void Coordinator::refresh(const Group& group, const std::string& key, Round::Done done) {
  auto& waiting = refreshing_[key];
  waiting.push_back(std::move(done));
  if (waiting.size() > 1) return;
  auto change = [this](const Seen& seen) {
    auto out = decide(is_held(seen) ? pb::ClientReply::OK : pb::ClientReply::NOT_FOUND, seen);
    out.rewrite = out.force = true;
    return out;
  };
  start_round(group, key, false, change, [this, key](const pb::ClientReply& reply) {
    const auto waiting = std::move(refreshing_.extract(key).mapped());
    for (const Round::Done& each : waiting) each(reply);
  });
}

void Coordinator::refresh(const Group& group, const std::string& key) {
  refresh(group, key, [](const pb::ClientReply&) {});
}

const Coordinator::Snapshot& Coordinator::keep(const std::string& prefix, Snapshot snapshot) {
  const TimePoint now = context_.clock.now();
  snapshot.made = now;
  Writer digest;
  for (auto it = snapshot.records.begin(); it != snapshot.records.end();) {
    const auto value = Value::parse(it->second.record);
    if (value && checker_.authentic(it->second.record, *value)) {
      add_to_digest(digest, it->first, *value);
      snapshot.bytes += it->second.record.ByteSizeLong();
      ++it;
    } else {
      it = snapshot.records.erase(it);
    }
  }
  snapshot.digest.resize(SHA256_DIGEST_LENGTH);
  SHA256(digest.view().data(), digest.view().size(),
         reinterpret_cast<std::uint8_t*>(snapshot.digest.data()));
  snapshots_.erase(prefix);
  std::erase_if(snapshots_,
                [now](const auto& entry) { return now - entry.second.made >= kSnapshotLife; });
  std::size_t bytes = snapshot.bytes;
  for (const auto& [other, kept] : snapshots_) bytes += kept.bytes;
  // Who reads the one that goes lists anew.
  while (!snapshots_.empty() && (snapshots_.size() >= kSnapshotsMax || bytes > kSnapshotBytesMax)) {
    bytes -= snapshots_.begin()->second.bytes;
    snapshots_.erase(snapshots_.begin());
  }
  return snapshots_[prefix] = std::move(snapshot);
}

pb::ClientReply Coordinator::page(const Snapshot& snapshot, const pb::ClientRequest& request) {
  auto reply = status_reply(pb::ClientReply::OK);
  reply.set_digest(snapshot.digest);
  if (request.digest() == snapshot.digest) {
    reply.set_status(pb::ClientReply::UNCHANGED);
    return reply;
  }
  std::size_t bytes = 0;
  for (auto it = snapshot.records.upper_bound(request.after_key()); it != snapshot.records.end();
       ++it) {
    if (bytes > kPageBytes) {
      reply.set_more(true);
      break;
    }
    *reply.add_records() = it->second.record;
    reply.add_age_ms(to_ms(it->second.age));
    bytes += it->second.record.ByteSizeLong();
  }
  return reply;
}

}  // namespace wow::dht
