// The world as the parts of one shard share it, and the one way out for their messages.
#pragma once

#include <cstdint>

#include "dht/dht.h"
#include "dht/group.h"
#include "dht/peers.h"

namespace wow::dht {

// What a node keeps in all its shards together: storage is bounded per node, not per shard.
struct Usage {
  std::size_t owner = 0, invite = 0;  // registers, dead ones too: they take as much room
  std::size_t owner_live = 0;         // not expired; tombstones count
  std::size_t invite_live = 0;
};
class Holdings {
 public:
  virtual ~Holdings() = default;
  virtual std::size_t registers() const = 0;
  // Of this owner and invite, without `except` (a key is being written again).
  virtual Usage usage(const Address& owner, const std::string& invite,
                      const std::string& except) const = 0;
};

inline const std::string kGenerationKey = "generation";  // in the shard's store

struct Context {
  DhtNetwork& network;
  DhtStore& store;
  Credentials& credentials;
  Clock& clock;
  Random& random;
  MetricSlot& metrics;
  const DhtOptions options;
  std::uint64_t incarnation = 0;  // ours in this shard; set once the store was read
  std::uint64_t generation = 0;   // grows when we become another replica; counted in it
  std::uint32_t shard = 0;
  Address centre = shard_centre(0);
  Peers* peers = nullptr;  // of all shards
  const Holdings* holdings = nullptr;

  ReplicaId self() const { return {network.self(), incarnation}; }
  std::uint64_t fresh_id() { return random.u64() | 1; }

  void send(const Address& to, pb::DhtMessage& message) {
    message.set_incarnation(incarnation);
    message.set_shard(shard);
    message.set_same_everywhere(peers && !peers->renounced);
    network.send(to, view_of(message.SerializeAsString()));
  }
  void reply(const Address& to, const pb::DhtMessage& request, pb::DhtMessage& message) {
    message.set_id(request.id());
    message.set_reply(true);
    send(to, message);
  }
};

inline std::uint64_t to_ms(Duration d) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(d).count());
}

}  // namespace wow::dht
