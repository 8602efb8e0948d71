// The pool's replicated store: a client and, where the group names us, a replica, of CASPaxos
// registers (Rystsov, "CASPaxos: Replicated State Machines without logs", 2018) kept by an explicit
// group (lineage, epoch, members). Synchronous; control thread only. docs/dht.md explains the
// rules.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/metrics.h"
#include "base/random.h"
#include "dht/dht_network.h"
#include "dht/dht_store.h"
#include "tunnel/credentials.h"

namespace wow {

inline constexpr std::size_t kDhtKeyBytesMax = 255;
inline constexpr std::size_t kDhtValueBytesMax = 1024;
inline constexpr Duration kDhtOperationLimit =
    5s;  // each operation ends within this, one way or another
inline constexpr std::size_t kDhtShardsMax = 256;

// A verified value of a key.
struct DhtRecord {
  std::string key;
  Bytes data;
  Address owner;
  std::uint64_t version = 0;
  Duration ttl{};
  Duration age{};  // by the replica that answered; at least this much of the ttl is gone
};

// For how long nobody may have reached a majority before the shard is begun anew: longer than any
// lease of this time to live can last, by its owner's count or by a replica's.
constexpr Duration majority_lost_after(Duration lease_ttl) {
  return lease_ttl + lease_ttl / 100 + 10s;
}

struct DhtOptions {
  std::optional<Address>
      founder;  // from the settings; empty: the first node to find nobody for `found_after`
  Duration found_after = 3s;
  // Into how many shards the keys are cut: a power of two, at most kDhtShardsMax. All nodes of a
  // pool must say the same, so the daemon takes it from the pool's settings; what another number of
  // shards keeps is not found.
  std::size_t shards = 1;
  // G: without a majority for so long, a shard's nearest node founds the next lineage, empty.
  Duration majority_lost_after = wow::majority_lost_after(7 * 24h);
  std::size_t replicas_max = 5;
  Duration group_change_after = 10s;  // the nearest nodes differ from the members for so long
  // "ip/" keys must lie inside, or in a route of the invite of a host that may bridge; in the
  // second, of guests' IPv6, only such hosts have any.
  std::optional<Prefix> lease_subnet, lease_subnet6;
  // What one node keeps for others, removed and expired records included until they are forgotten.
  std::size_t records_per_owner_max = 1024;
  std::size_t records_per_invite_max = 50'000;
  std::size_t records_max = 100'000;
};

struct DhtStatus {
  // The first shard's group.
  std::uint64_t lineage = 0, epoch = 0;  // 0: none is known
  Address founder;
  std::vector<Address> members;
  bool member = false;   // we are one
  bool serving = false;  // and installed
  // Over all shards.
  std::size_t shards = 1;
  std::size_t groups_known = 0;    // in a big pool a node knows only those that it keeps or uses
  std::size_t groups_held = 0;     // that name us a member
  std::size_t groups_serving = 0;  // of these, installed here
  std::size_t groups_unavailable = 0;  // whose majority does not answer us
  std::size_t records = 0;             // kept here, live
  // How often since the start a shard's lineage gave way to another, and when that was last: what
  // we had written there may be gone.
  std::size_t lineages_lost = 0;
  std::optional<Duration> lineage_lost_ago;
};

// One key's shard, group and holder, as this node sees them.
struct DhtStat {
  std::uint32_t shard = 0;
  std::uint64_t lineage = 0, epoch = 0;  // 0: no group is known
  Address founder;
  std::vector<Address> members;
  std::optional<Address> coordinator;  // the member that answered; none: unavailable
  std::optional<DhtRecord> holder;     // none: the key is free, or unavailable
};

// Some shards are now kept by another lineage: what this node wrote there is gone, unless the new
// one has it, too. Owners write again at once.
struct DhtLineageChange {
  std::size_t shards = 0;
  std::uint64_t lineage = 0;  // the new one of (the first of) them
  Address founder;
};

// Errors: kAlreadyExists (the message names the holder), kNotFound, kPermission (not the owner's,
// or refused by a rule of the namespace), kUnavailable (no majority within kDhtOperationLimit: the
// outcome is unknown, and a retry is safe), kInvalidArgument.
class Dht {
 public:
  using Done = std::function<void(Result<DhtRecord>)>;
  using Listed = std::function<void(Result<std::vector<DhtRecord>>, Bytes digest)>;
  using Stated = std::function<void(Result<DhtStat>)>;
  // Who may turn out to hold a key.
  using Likely = std::function<void(const Address& holder)>;

  Dht(DhtNetwork& network, DhtStore& store, Credentials& credentials, Clock& clock, Random& random,
      MetricSlot& metrics, DhtOptions options);
  ~Dht();

  void start();
  void on_message(const Address& from, ByteView message);
  // The ring around us changed: groups may have to follow.
  void on_ring_change();
  // Another machine has, or had, a copy of our store, and may answer with what we promised: in each
  // group whose others are a majority we are a member no more, until it takes us in anew.
  void on_store_copied();

  void get(const std::string& key, Done done);
  // As get(), sooner where the key's group has lately changed: answered with what a majority of the
  // new one has taken over, which is then made certain. It may differ from a get() only where a
  // write was not finished when the group changed. For directories, which may be corrected; not for
  // what decides. `likely`, if any, is called once at most, an exchange among the members earlier
  // than `done`, with what the member that was asked holds: unproven, it may be wrong or a lie. For
  // what can be begun meanwhile.
  void look_up(const std::string& key, Done done, Likely likely = nullptr);
  // Succeeds if the key is free or already ours (then it is renewed with this data).
  void create(const std::string& key, ByteView data, Duration ttl, Done done);
  void put(const std::string& key, ByteView data, Duration ttl, Done done);
  void renew(const std::string& key, Duration ttl, Done done);
  void remove(const std::string& key, Done done);
  // Live keys that start with `prefix`. With the digest of an earlier answer that still holds: an
  // empty list and the same digest.
  void list(const std::string& prefix, const Bytes& digest, Listed done);
  // To list() as look_up() is to get().
  void look_up_all(const std::string& prefix, const Bytes& digest, Listed done);

  // Reads the key, and says who answered. Only kInvalidArgument: without an answer within
  // kDhtOperationLimit it says what is known.
  void stat(const std::string& key, Stated done);

  // Called after lineages have changed, from a timer of its own: it may use this object, which
  // keeps it for as long as it lives.
  void on_lineage_change(std::function<void(const DhtLineageChange&)> observer);

  DhtStatus status() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace wow
