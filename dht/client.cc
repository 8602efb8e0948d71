#include "dht/client.h"

#include <openssl/sha.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace wow::dht {
namespace {

constexpr std::size_t kCallsMax = 1024;
constexpr Duration kNextMemberAfter = 700ms;
constexpr Duration kLateLeast = 100ms;
constexpr Duration kPause = 100ms;    // the group is changing, or not known yet
constexpr Duration kSilentFor = 10s;  // asked last
constexpr std::size_t kListRecordsMax = 100'000;
constexpr int kListRestartsMax = 3;
constexpr std::uint64_t kVersionMax = std::uint64_t{1} << 62;  // beyond is a lie
constexpr std::size_t kShardsListedAtOnce = 16;

Error unavailable(const std::string& key) {
  return {ErrorCode::kUnavailable, "no majority of the store's group answered in time for \"" +
                                       key + "\": the outcome is unknown, and a retry is safe"};
}

Error not_found(const std::string& key) {
  return {ErrorCode::kNotFound, "\"" + key + "\" is not in the store"};
}

std::optional<Error> invalid(const std::string& key, ByteView data, Duration ttl) {
  if (key.empty() || key.size() > kDhtKeyBytesMax) {
    return Error{ErrorCode::kInvalidArgument, "a key has 1 to 255 bytes"};
  }
  if (data.size() > kDhtValueBytesMax) {
    return Error{ErrorCode::kInvalidArgument, "a value has at most 1024 bytes"};
  }
  if (ttl < kTtlMin || ttl > kTtlMax) {
    return Error{ErrorCode::kInvalidArgument, "a time to live is between 1 s and 366 days"};
  }
  return std::nullopt;
}

}  // namespace

Client::Client(Context& context, RecordChecker& checker, ShardOf shard)
    : context_(context), checker_(checker), shard_(std::move(shard)) {}

// --- One request ---

void Client::call(std::uint32_t shard, pb::ClientRequest request, TimePoint deadline,
                  Handler handler, Dht::Likely likely) {
  auto call = std::make_unique<Call>(context_.clock);
  call->id = context_.fresh_id();
  call->shard = shard;
  call->request = std::move(request);
  call->handler = std::move(handler);
  call->likely = std::move(likely);
  // Beyond the bound it ends at once, but still after this function.
  const bool is_full = calls_.size() >= kCallsMax;
  if (is_full) context_.metrics.add(Metric::kDropQueueFull);
  call->deadline = is_full ? context_.clock.now() : deadline;
  Call& added = *(calls_[call->id] = std::move(call));
  if (is_full) return retry_after(added, {});
  send(added);
}

std::optional<Address> Client::choose(Call& call) const {
  const Group* group = shard_(call.shard).book().newest();
  if (!group) return std::nullopt;
  std::vector<Address> members;
  for (const auto& member : group->members) members.push_back(member.address);
  const Address& self = context_.network.self();
  const TimePoint now = context_.clock.now();
  const auto cost = [&](const Address& member) {
    const auto silent = silent_.find(member);
    const bool is_silent = silent != silent_.end() && now - silent->second < kSilentFor;
    return std::pair(is_silent, member == self ? Address() : ring_distance(member, self));
  };
  std::sort(members.begin(), members.end(),
            [&](const Address& a, const Address& b) { return cost(a) < cost(b); });
  for (const auto& member : members) {
    if (std::find(call.tried.begin(), call.tried.end(), member) == call.tried.end()) return member;
  }
  call.tried.clear();
  return members.front();
}

void Client::send(Call& call) {
  const auto member = choose(call);
  if (!member) {
    shard_(call.shard).membership().look_up();
    return retry_after(call, kPause);
  }
  // A read that is late may have lost a packet: it is asked for twice (Dean and Barroso, "The Tail
  // at Scale", CACM 2013: hedged requests), and whoever answers first is believed. Writes are not:
  // each is a round among all members.
  const TimePoint now = context_.clock.now();
  const Duration late = answer_time_.late_after(kLateLeast, kNextMemberAfter);
  call.early =
      call.request.op() == pb::ClientRequest::GET && call.tried.empty() && late < kNextMemberAfter;
  if (call.tried.empty()) call.sent_at = now;
  call.asked = *member;
  call.tried.push_back(*member);
  pb::DhtMessage message;
  message.set_id(call.id);
  *message.mutable_client_request() = call.request;
  retry_after(call, call.early ? late : kNextMemberAfter);
  shard_(call.shard).send(*member, message);
}

void Client::retry_after(Call& call, Duration delay) {
  const Duration left = call.deadline - context_.clock.now();
  call.timer.after(std::min(delay, left), [this, id = call.id] {
    const auto found = calls_.find(id);
    if (found == calls_.end()) return;
    Call& call = *found->second;
    if (context_.clock.now() >= call.deadline) {
      shard_(call.shard).membership().look_up();
      return end(id, nullptr);
    }
    if (!call.asked.is_zero() && !call.early) {
      if (silent_.size() > kCallsMax) silent_.clear();
      silent_[call.asked] = context_.clock.now();
      shard_(call.shard).membership().look_up();
    }
    send(call);
  });
}

void Client::end(std::uint64_t id, const pb::ClientReply* reply) {
  auto call = calls_.extract(id);
  if (!reply) answered_.reset();
  if (call) call.mapped()->handler(reply);
}

void Client::on_reply(const ReplicaId& from, const pb::DhtMessage& message) {
  const auto found = calls_.find(message.id());
  if (found == calls_.end()) return;
  Call& call = *found->second;
  silent_.erase(from.address);
  const auto& reply = message.client_reply();
  if (reply.status() == pb::ClientReply::LIKELY) return on_likely(call, reply);
  if (reply.status() == pb::ClientReply::WRONG_GROUP ||
      reply.status() == pb::ClientReply::UNAVAILABLE || !believe(call, reply)) {
    if (from.address != call.asked) return;
    call.asked = {};
    const Group* group = shard_(call.shard).book().newest();
    const EpochId known = group ? group->id : EpochId{};
    const auto theirs = Group::parse(message.known());
    // A redirect is followed at once; and who reads asks all before it waits: while the group
    // changes, its old members still know what they held.
    const bool redirected = theirs && theirs->id == known && !group->find(from.address);
    const bool reads = call.request.op() == pb::ClientRequest::GET;
    const bool all_asked = !group || call.tried.size() >= group->members.size();
    return retry_after(call, redirected || (reads && !all_asked) ? Duration{} : kPause);
  }
  answered_ = from.address;
  const bool is_list = call.request.op() == pb::ClientRequest::LIST;
  // RFC 6298, 3 (Karn): not of what was sent twice.
  if (call.tried.size() == 1 && !is_list) answer_time_.note(context_.clock.now() - call.sent_at);
  end(call.id, &reply);
}

void Client::on_likely(Call& call, const pb::ClientReply& reply) {
  const auto holder = Address::parse(view_of(reply.holder()));
  if (!holder) return;
  // It may do anything, and `call` be gone then.
  if (const Dht::Likely likely = std::exchange(call.likely, nullptr)) likely(*holder);
}

bool Client::believe(const Call& call, const pb::ClientReply& reply) {
  const TimePoint now = context_.clock.now();
  if (const Group* group = shard_(call.shard).book().newest()) {
    Lineage& lineage = lineages_.try_emplace(call.shard, group->id.lineage).first->second;
    if (lineage != std::exchange(lineage, group->id.lineage)) versions_.clear();
  }
  const bool is_list = call.request.op() == pb::ClientRequest::LIST;
  const bool has_record =
      reply.status() == pb::ClientReply::OK || reply.status() == pb::ClientReply::TAKEN;
  if (is_list || !has_record) return true;  // lists are verified record by record
  if (reply.records_size() != 1 || reply.age_ms_size() != 1) return false;
  const auto value = Value::parse(reply.records(0));
  if (!value || value->key != call.request.key()) return false;
  if (!checker_.authentic(reply.records(0), *value)) return false;
  if (value->version < versions_.seen(value->key, value->owner, now)) return false;
  versions_.note(*value, now);
  return true;
}

std::optional<DhtRecord> Client::verified(const pb::Record& record, std::uint64_t age_ms) const {
  auto value = Value::parse(record);
  if (!value || value->removed) return std::nullopt;
  return DhtRecord{std::move(value->key),
                   std::move(value->data),
                   value->owner,
                   value->version,
                   value->ttl,
                   std::chrono::milliseconds(std::min(age_ms, 2 * to_ms(kTtlMax)))};
}

// --- Operations on one key ---

void Client::get(const std::string& key, Dht::Done done) {
  read(key, {}, deadline(), std::move(done));
}

void Client::look_up(const std::string& key, Dht::Done done, Dht::Likely likely) {
  pb::ClientRequest request;
  request.set_look_up(true);
  request.set_likely(likely != nullptr);
  read(key, std::move(request), deadline(), std::move(done), std::move(likely));
}

void Client::read(const std::string& key, pb::ClientRequest request, TimePoint deadline,
                  Dht::Done done, Dht::Likely likely) {
  if (auto error = invalid(key, {}, kTtlMin)) return done(*error);
  request.set_op(pb::ClientRequest::GET);
  request.set_key(key);
  auto handler = [this, key, done](const pb::ClientReply* reply) {
    if (!reply) return done(unavailable(key));
    auto record = reply->status() == pb::ClientReply::OK
                      ? verified(reply->records(0), reply->age_ms(0))
                      : std::nullopt;
    if (!record) return done(not_found(key));
    done(std::move(*record));
  };
  call(shard_of_key(key), std::move(request), deadline, std::move(handler), std::move(likely));
}

void Client::stat(const std::string& key, Dht::Stated done) {
  read(key, {}, deadline(), [this, key, done](Result<DhtRecord> record) {
    if (!record && record.error().code == ErrorCode::kInvalidArgument) return done(record.error());
    DhtStat out;
    out.shard = shard_of_key(key);
    if (record || record.error().code == ErrorCode::kNotFound) out.coordinator = answered_;
    if (record) out.holder = std::move(*record);
    if (const Group* group = shard_(out.shard).book().newest()) {
      out.lineage = group->id.lineage.number;
      out.epoch = group->id.epoch;
      out.founder = group->id.lineage.founder;
      for (const auto& member : group->members) out.members.push_back(member.address);
    }
    done(std::move(out));
  });
}

std::uint64_t Client::next_version(const std::string& key) {
  // The calendar keeps versions growing over restarts; a version that is held is learnt of.
  const auto wall = static_cast<std::uint64_t>(context_.clock.wall().time_since_epoch().count());
  const auto seen = versions_.seen(key, context_.network.self(), context_.clock.now());
  last_version_ = std::max({last_version_ + 1, wall, seen + 1});
  return last_version_;
}

void Client::write(pb::ClientRequest::Op op, const std::string& key, ByteView data, Duration ttl,
                   Dht::Done done) {
  if (auto error = invalid(key, data, ttl)) return done(*error);
  write_signed(op, {key, to_bytes(data), context_.network.self(), 0, ttl, false}, deadline(),
               std::move(done));
}

void Client::write_signed(pb::ClientRequest::Op op, Value value, TimePoint deadline,
                          Dht::Done done) {
  value.version = next_version(value.key);
  pb::ClientRequest request;
  request.set_op(op);
  request.set_key(value.key);
  *request.mutable_record() = sign_record(context_.credentials, value);
  auto handler = [=, this](const pb::ClientReply* reply) {
    if (!reply) return done(unavailable(value.key));
    switch (reply->status()) {
      case pb::ClientReply::OK:
        return done(DhtRecord{value.key, value.data, value.owner, value.version, value.ttl, {}});
      case pb::ClientReply::NOT_FOUND:
        return done(not_found(value.key));
      case pb::ClientReply::STALE:
        if (reply->version() > kVersionMax) return done(unavailable(value.key));
        last_version_ = std::max(last_version_, reply->version());
        return write_signed(op, value, deadline, done);
      case pb::ClientReply::TAKEN:
        break;
      default:
        return done(
            Error{ErrorCode::kPermission, "\"" + value.key + "\" was refused: " + reply->reason()});
    }
    const Address holder = Value::parse(reply->records(0))->owner;
    // Our own, from before a restart: now its version is known.
    if (holder == value.owner) return write_signed(op, value, deadline, done);
    done(Error{op == pb::ClientRequest::CREATE ? ErrorCode::kAlreadyExists : ErrorCode::kPermission,
               "\"" + value.key + "\" is held by " + holder.hex()});
  };
  call(shard_of_key(value.key), std::move(request), deadline, std::move(handler));
}

void Client::with_own(const std::string& key, TimePoint deadline, Dht::Done done,
                      std::function<void(DhtRecord own)> then) {
  read(key, {}, deadline, [=, this](Result<DhtRecord> record) {
    if (!record) return done(record.error());
    if (record->owner != context_.network.self()) {
      return done(
          Error{ErrorCode::kPermission, "\"" + key + "\" is held by " + record->owner.hex()});
    }
    then(std::move(*record));
  });
}

void Client::renew(const std::string& key, Duration ttl, Dht::Done done) {
  if (auto error = invalid(key, {}, ttl)) return done(*error);
  const TimePoint limit = deadline();
  with_own(key, limit, done, [=, this](DhtRecord own) {
    write_signed(pb::ClientRequest::RENEW, {key, own.data, own.owner, 0, ttl, false}, limit, done);
  });
}

void Client::remove(const std::string& key, Dht::Done done) {
  const TimePoint limit = deadline();
  with_own(key, limit, done, [=, this](DhtRecord own) {
    // The tombstone lasts as long as what it removes could.
    write_signed(pb::ClientRequest::REMOVE, {key, {}, own.owner, 0, own.ttl, true}, limit, done);
  });
}

// --- Lists ---

struct Client::List {
  std::uint32_t shard = 0;
  pb::ClientRequest request;
  TimePoint deadline{};
  Dht::Listed done;
  Bytes digest;  // of the first page
  std::vector<DhtRecord> records;
  int restarts = 0;
};

// A prefix without a slash may begin keys of any shard.
struct Client::Lists {
  std::string prefix;
  Bytes digest;  // that the caller has
  bool look_up = false;
  TimePoint deadline{};
  Dht::Listed done;
  std::uint32_t next = 0;
  std::size_t waiting = 0;
  std::map<std::uint32_t, Bytes> digests;
  std::vector<DhtRecord> records;
  bool failed = false;
};

void Client::list(const std::string& prefix, const Bytes& digest, Dht::Listed done, bool look_up) {
  if (prefix.size() > kDhtKeyBytesMax) {
    return done(Error{ErrorCode::kInvalidArgument, "a prefix has at most 255 bytes"}, {});
  }
  if (context_.options.shards <= 1 || prefix.find('/') != std::string::npos) {
    return list_shard(shard_of_key(prefix), prefix, digest, look_up, deadline(), std::move(done));
  }
  auto lists = std::make_shared<Lists>();
  lists->prefix = prefix;
  lists->digest = digest;
  lists->look_up = look_up;
  lists->deadline = deadline();
  lists->done = std::move(done);
  for (std::size_t i = 0; i < kShardsListedAtOnce; ++i) list_next_shard(lists);
}

void Client::list_next_shard(const std::shared_ptr<Lists>& lists) {
  const std::uint32_t shard = lists->next;
  if (lists->failed || shard >= context_.options.shards) return;
  ++lists->next;
  ++lists->waiting;
  auto answered = [this, lists, shard](Result<std::vector<DhtRecord>> records, Bytes digest) {
    --lists->waiting;
    if (lists->failed) return;
    if (!records) {
      lists->failed = true;
      return lists->done(records.error(), {});
    }
    lists->digests[shard] = std::move(digest);
    std::ranges::move(*records, std::back_inserter(lists->records));
    list_next_shard(lists);
    if (lists->waiting > 0 || lists->next < context_.options.shards) return;
    Bytes all;
    for (const auto& [number, part] : lists->digests)
      all.insert(all.end(), part.begin(), part.end());
    Bytes whole(SHA256_DIGEST_LENGTH);
    SHA256(all.data(), all.size(), whole.data());
    if (whole == lists->digest) lists->records.clear();
    std::ranges::sort(lists->records, {}, &DhtRecord::key);
    lists->done(std::move(lists->records), std::move(whole));
  };
  list_shard(shard, lists->prefix, {}, lists->look_up, lists->deadline, std::move(answered));
}

void Client::list_shard(std::uint32_t shard, const std::string& prefix, const Bytes& digest,
                        bool look_up, TimePoint deadline, Dht::Listed done) {
  auto list = std::make_shared<List>();
  list->shard = shard;
  list->request.set_op(pb::ClientRequest::LIST);
  list->request.set_key(prefix);
  list->request.set_digest(to_string(digest));
  list->request.set_look_up(look_up);
  list->deadline = deadline;
  list->done = std::move(done);
  next_page(std::move(list));
}

void Client::next_page(std::shared_ptr<List> list) {
  call(list->shard, list->request, list->deadline, [this, list](const pb::ClientReply* reply) {
    if (!reply || reply->status() == pb::ClientReply::REFUSED) {
      return list->done(unavailable(list->request.key()), {});
    }
    Bytes digest = to_bytes(reply->digest());
    if (reply->status() == pb::ClientReply::UNCHANGED) {
      return list->done(std::vector<DhtRecord>(), std::move(digest));
    }
    if (list->request.after_key().empty()) {
      list->digest = std::move(digest);
      list->records.clear();
    } else if (digest != list->digest && list->restarts++ < kListRestartsMax) {
      list->request.clear_after_key();  // it changed between two pages
      return next_page(list);
    }
    // From the second page on, the caller's digest has been found not to hold.
    list->request.clear_digest();
    std::string last = list->request.after_key();
    for (int i = 0; i < std::min(reply->records_size(), reply->age_ms_size()); ++i) {
      const auto value = Value::parse(reply->records(i));
      if (!value || value->key <= last || !value->key.starts_with(list->request.key())) continue;
      last = value->key;
      if (!checker_.authentic(reply->records(i), *value)) continue;
      if (auto record = verified(reply->records(i), reply->age_ms(i))) {
        list->records.push_back(std::move(*record));
      }
    }
    const bool has_progress = last != list->request.after_key();
    if (!reply->more() || !has_progress || list->records.size() > kListRecordsMax) {
      return list->done(std::move(list->records), list->digest);
    }
    list->request.set_after_key(last);
    next_page(list);
  });
}

}  // namespace wow::dht
