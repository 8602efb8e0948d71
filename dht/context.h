// The world as the parts of the DHT share it, and the one way out for their messages.
#pragma once

#include <cstdint>

#include "dht/dht.h"
#include "dht/group.h"

namespace wow::dht {

struct Context {
  DhtNetwork& network;
  DhtStore& store;
  Credentials& credentials;
  Clock& clock;
  Random& random;
  MetricSlot& metrics;
  const DhtOptions options;
  std::uint64_t incarnation = 0;  // ours; set once the store was read

  ReplicaId self() const { return {network.self(), incarnation}; }
  std::uint64_t fresh_id() { return random.u64() | 1; }

  void send(const Address& to, pb::DhtMessage& message) {
    message.set_incarnation(incarnation);
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
