#include "dht/dht.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "dht/client.h"
#include "overlay/rate_table.h"

namespace wow {
namespace {

constexpr std::size_t kMessageBytesMax = 64 * 1024;
// Of any one member. Replicas work for others, so they may say more.
constexpr double kRequestsPerSecond = 200, kRequestsBurst = 400;
constexpr double kReplicaPerSecond = 5000, kReplicaBurst = 10'000;

constexpr Duration kLookSearching = 250ms;  // while a shard of ours has no group
constexpr Duration kLookIdle = 5s;

constexpr char kIncarnationKey[] = "incarnation";

}  // namespace

class Dht::Impl final : public dht::Holdings {
 public:
  Impl(DhtNetwork& network, DhtStore& store, Credentials& credentials, Clock& clock, Random& random,
       MetricSlot& metrics, DhtOptions options)
      : store_(store),
        common_{network, dht::StoreBatch(store),      credentials, clock, random,
                metrics, checked(std::move(options)), 0,           {},    this},
        context_{network, store, credentials, clock, random, metrics, common_.options},
        checker_(context_),
        client_(
            context_, checker_, [this](std::uint32_t number) -> auto& { return shard(number); }),
        shards_(common_.options.shards),
        look_timer_(clock),
        lineage_timer_(clock) {}

  void start() {
    store_.load([this](const std::string& key, ByteView value) {
      if (key == kIncarnationKey && value.size() == 8) {
        common_.incarnation = get_big_endian(value.data(), 8);
      }
    });
    if (common_.incarnation == 0) {
      common_.incarnation = context_.random.u64() | 1;
      store_.write(kIncarnationKey, Writer().u64(common_.incarnation).take());
    }
    store_.load([this](const std::string& key, ByteView value) {
      const auto place = dht::ShardStore::split(key);
      if (!place || place->first >= shards_.size() || key == kIncarnationKey) return;
      made(place->first).load(place->second, value);
    });
    for (const auto& shard : shards_) {
      if (shard) shard->start();
    }
    started_ = true;
    look_after_shards();
  }

  void on_message(const Address& from, ByteView bytes) {
    pb::DhtMessage message;
    if (bytes.size() > kMessageBytesMax ||
        !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) ||
        message.shard() >= shards_.size()) {
      return context_.metrics.add(Metric::kDropMalformed);
    }
    const auto& known = shards_[message.shard()];
    const bool is_replica = known && known->is_of_group(from);
    if (!(is_replica ? replica_rates_ : rates_).take(from, context_.clock.now())) {
      return context_.metrics.add(Metric::kDropRateLimited);
    }
    dht::Shard& shard = this->shard(message.shard());
    const dht::ReplicaId sender{from, message.incarnation()};
    shard.on_message(sender, message);
    if (message.has_client_reply()) client_.on_reply(sender, message);
  }

  void on_ring_change() {
    for (const auto& shard : shards_) {
      if (shard) shard->membership().on_ring_change();
    }
    look_after_shards();
  }

  void on_store_copied() {
    common_.batch.open();
    for (const auto& shard : shards_) {
      if (shard) shard->membership().on_store_copied();
    }
    common_.batch.close();
  }

  DhtStatus status() const {
    DhtStatus out;
    out.shards = shards_.size();
    for (const auto& shard : shards_) {
      if (!shard || !shard->book().newest()) continue;
      ++out.groups_known;
      out.groups_held += shard->is_member();
      out.groups_serving += shard->is_serving();
      out.groups_unavailable += shard->membership().is_lost();
      out.records += live_records(*shard);
    }
    out.lineages_lost = lineages_lost_;
    if (lineages_lost_ > 0) out.lineage_lost_ago = context_.clock.now() - lineage_lost_;
    const auto& first = shards_.front();
    const dht::Group* group = first ? first->book().newest() : nullptr;
    if (!group) return out;
    out.lineage = group->id.lineage.number;
    out.founder = group->id.lineage.founder;
    out.epoch = group->id.epoch;
    for (const auto& member : group->members) out.members.push_back(member.address);
    out.member = first->is_member();
    out.serving = first->is_serving();
    return out;
  }

  dht::Client& client() { return client_; }
  std::vector<std::function<void(const DhtLineageChange&)>> lineage_observers_;

  // Holdings
  std::size_t registers() const override {
    std::size_t count = 0;
    for (const auto& shard : shards_) {
      if (shard) count += shard->replica().size();
    }
    return count;
  }
  dht::Usage usage(const Address& owner, const std::string& invite,
                   const std::string& except) const override {
    dht::Usage out;
    for (const auto& shard : shards_) {
      if (shard) shard->replica().add_usage(owner, invite, except, out);
    }
    return out;
  }

 private:
  static DhtOptions checked(DhtOptions options) {
    options.shards = std::bit_floor(std::clamp<std::size_t>(options.shards, 1, kDhtShardsMax));
    return options;
  }

  std::size_t live_records(const dht::Shard& shard) const {
    std::size_t count = 0;
    const dht::Epoch* epoch = shard.replica().serving();
    if (!epoch) return 0;
    for (const auto& [key, state] : epoch->registers) {
      count += state.is_live(context_.clock.now());
    }
    return count;
  }

  dht::Shard& made(std::uint32_t number) {
    auto& shard = shards_[number];
    if (!shard) {
      shard = std::make_unique<dht::Shard>(
          common_, checker_, number,
          [this](const dht::Lineage& lineage) { on_lineage_change(lineage); });
    }
    return *shard;
  }

  dht::Shard& shard(std::uint32_t number) {
    const bool is_new = !shards_[number];
    dht::Shard& shard = made(number);
    if (is_new && started_) shard.start();
    return shard;
  }

  // In a big pool most shards are other nodes' business. Those whose centre is nearest to us are
  // ours to find, and to found where there is none; the settings' founder founds them all.
  void look_after_shards() {
    bool is_searching = false;
    common_.batch.open();
    common_.peers.served = 0;
    for (std::uint32_t number = 0; number < shards_.size(); ++number) {
      if (!shards_[number] && is_ours(number)) shard(number);
      if (!shards_[number]) continue;
      dht::Membership& membership = shards_[number]->membership();
      membership.consider_founding();
      is_searching |= !membership.knows_group();
      common_.peers.served += shards_[number]->is_serving();
    }
    common_.batch.close();
    look_timer_.after(is_searching ? kLookSearching : kLookIdle, [this] { look_after_shards(); });
  }

  bool is_ours(std::uint32_t number) const {
    if (common_.options.founder == context_.network.self() || shards_.size() == 1) return true;
    const auto nearest = context_.network.nearest_known(dht::shard_centre(number), 1);
    return nearest.empty() || nearest.front() == context_.network.self();
  }

  void on_lineage_change(const dht::Lineage& lineage) {
    ++lineages_lost_;
    lineage_lost_ = context_.clock.now();
    if (lineage_change_.shards++ == 0) {
      lineage_change_.lineage = lineage.number;
      lineage_change_.founder = lineage.founder;
    }
    lineage_timer_.after({}, [this] {
      const auto change = std::exchange(lineage_change_, {});
      for (const auto& observer : lineage_observers_) observer(change);
    });
  }

  DhtStore& store_;
  dht::Common common_;
  dht::Context context_;
  dht::RecordChecker checker_;
  dht::Client client_;
  std::vector<std::unique_ptr<dht::Shard>> shards_;  // null: none of our business so far
  bool started_ = false;
  DhtLineageChange lineage_change_;
  std::size_t lineages_lost_ = 0;
  TimePoint lineage_lost_{};
  RateTable rates_{kRequestsPerSecond, kRequestsBurst};
  RateTable replica_rates_{kReplicaPerSecond, kReplicaBurst};
  Timer look_timer_, lineage_timer_;
};

Dht::Dht(DhtNetwork& network, DhtStore& store, Credentials& credentials, Clock& clock,
         Random& random, MetricSlot& metrics, DhtOptions options)
    : impl_(std::make_unique<Impl>(network, store, credentials, clock, random, metrics,
                                   std::move(options))) {}
Dht::~Dht() = default;

void Dht::start() { impl_->start(); }
void Dht::on_message(const Address& from, ByteView message) { impl_->on_message(from, message); }
void Dht::on_ring_change() { impl_->on_ring_change(); }
void Dht::on_store_copied() { impl_->on_store_copied(); }

void Dht::get(const std::string& key, Done done) { impl_->client().get(key, std::move(done)); }
void Dht::look_up(const std::string& key, Done done, Likely likely) {
  impl_->client().look_up(key, std::move(done), std::move(likely));
}
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
void Dht::look_up_all(const std::string& prefix, const Bytes& digest, Listed done) {
  impl_->client().list(prefix, digest, std::move(done), true);
}

void Dht::stat(const std::string& key, Stated done) { impl_->client().stat(key, std::move(done)); }
void Dht::on_lineage_change(std::function<void(const DhtLineageChange&)> observer) {
  impl_->lineage_observers_.push_back(std::move(observer));
}
DhtStatus Dht::status() const { return impl_->status(); }

}  // namespace wow
