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

// A verified value of a key.
struct DhtRecord {
  std::string key;
  Bytes data;
  Address owner;
  std::uint64_t version = 0;
  Duration ttl{};
  Duration age{};  // by the replica that answered; at least this much of the ttl is gone
};

struct DhtOptions {
  std::optional<Address>
      founder;  // from the settings; empty: the first node to find nobody for `found_after`
  Duration found_after = 3s;
  std::size_t replicas_max = 5;
  Duration group_change_after = 10s;   // the nearest nodes differ from the members for so long
  std::optional<Prefix> lease_subnet;  // "ip/" keys must lie inside
  std::size_t records_per_owner_max = 1024;
  std::size_t records_max = 100'000;
};

struct DhtStatus {
  std::uint64_t lineage = 0, epoch = 0;
  Address founder;
  std::vector<Address> members;
  bool member = false;   // we are one
  bool serving = false;  // and installed
  std::size_t records = 0;
};

// Errors: kAlreadyExists (the message names the holder), kNotFound, kPermission (not the owner's,
// or refused by a rule of the namespace), kUnavailable (no majority within kDhtOperationLimit: the
// outcome is unknown, and a retry is safe), kInvalidArgument.
class Dht {
 public:
  using Done = std::function<void(Result<DhtRecord>)>;
  using Listed = std::function<void(Result<std::vector<DhtRecord>>, Bytes digest)>;

  Dht(DhtNetwork& network, DhtStore& store, Credentials& credentials, Clock& clock, Random& random,
      MetricSlot& metrics, DhtOptions options);
  ~Dht();

  void start();
  void on_message(const Address& from, ByteView message);
  // The ring around us changed: groups may have to follow.
  void on_ring_change();

  void get(const std::string& key, Done done);
  // Succeeds if the key is free or already ours (then it is renewed with this data).
  void create(const std::string& key, ByteView data, Duration ttl, Done done);
  void put(const std::string& key, ByteView data, Duration ttl, Done done);
  void renew(const std::string& key, Duration ttl, Done done);
  void remove(const std::string& key, Done done);
  // Live keys that start with `prefix`. With the digest of an earlier answer that still holds: an
  // empty list and the same digest.
  void list(const std::string& prefix, const Bytes& digest, Listed done);

  DhtStatus status() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace wow
