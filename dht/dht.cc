#include "dht/dht.h"

#include "dht/client.h"
#include "dht/membership.h"
#include "overlay/rate_table.h"

namespace wow {
namespace {

constexpr std::size_t kMessageBytesMax = 64 * 1024;
// Of any one member. Replicas work for others, so they may say more.
constexpr double kRequestsPerSecond = 200, kRequestsBurst = 400;
constexpr double kReplicaPerSecond = 5000, kReplicaBurst = 10'000;

constexpr char kIncarnationKey[] = "incarnation";

}  // namespace

class Dht::Impl {
 public:
  Impl(DhtNetwork& network, DhtStore& store, Credentials& credentials, Clock& clock, Random& random,
       MetricSlot& metrics, DhtOptions options)
      : context_{network, store, credentials, clock, random, metrics, std::move(options)},
        checker_(context_),
        replica_(context_, checker_),
        book_(context_, replica_),
        coordinator_(context_, replica_, book_, checker_),
        membership_(context_, replica_, book_, coordinator_),
        client_(context_, book_, checker_, [this] { membership_.look_up(); }) {}

  void start() {
    context_.store.load([this](const std::string& key, ByteView value) {
      if (key == kIncarnationKey && value.size() == 8) {
        context_.incarnation = get_big_endian(value.data(), 8);
      }
      replica_.load(key, value);
      book_.load(key, value);
    });
    if (context_.incarnation == 0) {
      context_.incarnation = context_.random.u64() | 1;
      context_.store.write(kIncarnationKey, Writer().u64(context_.incarnation).take());
    }
    replica_.loaded();
    membership_.start();
  }

  void on_message(const Address& from, ByteView bytes) {
    pb::DhtMessage message;
    if (bytes.size() > kMessageBytesMax ||
        !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) ||
        message.shard() != 0) {
      return context_.metrics.add(Metric::kDropMalformed);
    }
    const dht::ReplicaId sender{from, message.incarnation()};
    const bool is_replica = book_.newest() && book_.newest()->find(from);
    if (!(is_replica ? replica_rates_ : rates_).take(from, context_.clock.now())) {
      return context_.metrics.add(Metric::kDropRateLimited);
    }
    if (message.has_known()) {
      if (const auto group = dht::Group::parse(message.known())) book_.learn(*group);
    }
    switch (message.kind_case()) {
      case pb::DhtMessage::kPrepare:
      case pb::DhtMessage::kAccept:
      case pb::DhtMessage::kListKeys:
        return on_replica_request(sender, message);
      case pb::DhtMessage::kFetch:
        return membership_.on_fetch(sender, message);
      case pb::DhtMessage::kFetchReply:
        return membership_.on_fetch_reply(sender, message);
      case pb::DhtMessage::kListKeysReply:
        return coordinator_.on_reply(sender, message);
      default:
        break;
    }
    book_.hear_serving(sender, dht::epoch_of(message));
    membership_.hear_serving(sender, dht::epoch_of(message));
    switch (message.kind_case()) {
      case pb::DhtMessage::kClientRequest:
        return coordinator_.on_request(from, message);
      case pb::DhtMessage::kClientReply:
        return client_.on_reply(sender, message);
      case pb::DhtMessage::kReplicaReply:
        return coordinator_.on_reply(sender, message);
      case pb::DhtMessage::kQuery:
        return membership_.on_query(from, message);
      case pb::DhtMessage::kAnnounce:
        return membership_.on_announce(sender, message.announce());
      default:
        context_.metrics.add(Metric::kDropMalformed);
    }
  }

  DhtStatus status() const {
    DhtStatus out;
    const dht::Group* group = book_.newest();
    if (!group) return out;
    out.lineage = group->id.lineage.number;
    out.founder = group->id.lineage.founder;
    out.epoch = group->id.epoch;
    for (const auto& member : group->members) out.members.push_back(member.address);
    out.member = group->has(context_.self());
    const dht::Epoch* epoch = replica_.serving();
    out.serving = epoch && epoch->group.id == group->id;
    out.groups_known = 1;
    out.groups_held = out.member;
    out.groups_serving = out.serving;
    if (!epoch) return out;
    for (const auto& [key, state] : epoch->registers) {
      const bool is_record = state.value && !state.value->removed;
      out.records += is_record && !state.is_expired(context_.clock.now());
    }
    return out;
  }

  dht::Client& client() { return client_; }
  dht::Membership& membership() { return membership_; }
  std::function<void(const DhtLineageChange&)> lineage_observer_;

 private:
  // From another coordinator, which must be a member of the epoch that it names.
  void on_replica_request(const dht::ReplicaId& from, const pb::DhtMessage& message) {
    const dht::EpochId asked = dht::epoch_of(message);
    const dht::Epoch* epoch = replica_.held(asked);
    pb::DhtMessage out;
    if (message.has_list_keys()) {
      auto page = epoch && epoch->group.has(from) ? replica_.list(asked, message.list_keys())
                                                  : std::nullopt;
      if (!page) return;
      set_epoch(out, asked);
      *out.mutable_list_keys_reply() = std::move(*page);
      return context_.reply(from.address, message, out);
    }
    std::optional<pb::ReplicaReply> answer;
    if (!epoch || !epoch->group.has(from)) {
      answer.emplace().set_status(pb::ReplicaReply::WRONG_EPOCH);
    } else if (message.has_accept()) {
      answer = replica_.accept(asked, message.accept());
    } else {
      answer = replica_.prepare(asked, message.prepare());
    }
    if (!answer) return;
    if (answer->status() == pb::ReplicaReply::WRONG_EPOCH && book_.newest()) {
      *out.mutable_known() = book_.newest()->to_wire();
    }
    set_epoch(out, replica_.serving_id());
    *out.mutable_replica_reply() = std::move(*answer);
    context_.reply(from.address, message, out);
  }

  dht::Context context_;
  dht::RecordChecker checker_;
  dht::Replica replica_;
  dht::GroupBook book_;
  dht::Coordinator coordinator_;
  dht::Membership membership_;
  dht::Client client_;
  RateTable rates_{kRequestsPerSecond, kRequestsBurst};
  RateTable replica_rates_{kReplicaPerSecond, kReplicaBurst};
};

Dht::Dht(DhtNetwork& network, DhtStore& store, Credentials& credentials, Clock& clock,
         Random& random, MetricSlot& metrics, DhtOptions options)
    : impl_(std::make_unique<Impl>(network, store, credentials, clock, random, metrics,
                                   std::move(options))) {}
Dht::~Dht() = default;

void Dht::start() { impl_->start(); }
void Dht::on_message(const Address& from, ByteView message) { impl_->on_message(from, message); }
void Dht::on_ring_change() { impl_->membership().on_ring_change(); }

void Dht::get(const std::string& key, Done done) { impl_->client().get(key, std::move(done)); }
void Dht::create(const std::string& key, ByteView data, Duration ttl, Done done) {
  impl_->client().write(pb::ClientRequest::CREATE, key, data, ttl, std::move(done));
}
void Dht::put(const std::string& key, ByteView data, Duration ttl, Done done) {
  impl_->client().write(pb::ClientRequest::PUT, key, data, ttl, std::move(done));
}
void Dht::renew(const std::string& key, Duration ttl, Done done) {
  impl_->client().renew(key, ttl, std::move(done));
}
void Dht::remove(const std::string& key, Done done) {
  impl_->client().remove(key, std::move(done));
}
void Dht::list(const std::string& prefix, const Bytes& digest, Listed done) {
  impl_->client().list(prefix, digest, std::move(done));
}

void Dht::stat(const std::string& key, Stated done) { impl_->client().stat(key, std::move(done)); }
void Dht::set_lineage_observer(std::function<void(const DhtLineageChange&)> observer) {
  impl_->lineage_observer_ = std::move(observer);
}
DhtStatus Dht::status() const { return impl_->status(); }

}  // namespace wow
