// One shard as this node takes part in it: what it keeps as a replica, which group it knows, and
// what it does about both.
#pragma once

#include "dht/membership.h"
#include "dht/shard_store.h"

namespace wow::dht {

// What all shards of a node share.
struct Common {
  DhtNetwork& network;
  StoreBatch batch;
  Credentials& credentials;
  Clock& clock;
  Random& random;
  MetricSlot& metrics;
  const DhtOptions options;
  std::uint64_t incarnation = 0;  // of the node
  Peers peers;
  const Holdings* holdings = nullptr;
};

class Shard {
 public:
  Shard(Common& common, RecordChecker& checker, std::uint32_t number,
        std::function<void(const Lineage&)> lineage_changed);

  // Entries of the store as load() of it gave them, then start().
  void load(const std::string& key, ByteView value);
  void start();
  // What its message says, of whom it is. Client replies are the client's own.
  void on_message(const ReplicaId& from, const pb::DhtMessage& message);
  void send(const Address& to, pb::DhtMessage& message) { context_.send(to, message); }
  // In the rate that replicas of one group need of each other.
  bool is_of_group(const Address& node) const;

  GroupBook& book() { return book_; }
  const GroupBook& book() const { return book_; }
  Membership& membership() { return membership_; }
  const Membership& membership() const { return membership_; }
  const Replica& replica() const { return replica_; }
  bool is_member() const { return book_.newest() && book_.newest()->has(context_.self()); }
  bool is_serving() const;

 private:
  void on_replica_request(const ReplicaId& from, const pb::DhtMessage& message);

  const std::uint64_t node_incarnation_;
  ShardStore store_;
  Context context_;
  Replica replica_;
  GroupBook book_;
  Coordinator coordinator_;
  Membership membership_;
};

}  // namespace wow::dht
