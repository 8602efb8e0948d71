// What the DHT needs of the ring; overlay::Node in life (dht/node_network.h), a queue of messages
// in unit tests.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"

namespace wow {

class DhtNetwork {
 public:
  virtual ~DhtNetwork() = default;
  virtual const Address& self() const = 0;
  // Best effort; to ourselves too (delivered later, never from inside this call).
  virtual void send(const Address& to, ByteView message) = 0;
  // The member nearest to `target` along the ring; nothing after some seconds without an answer.
  virtual void locate(const Address& target, std::function<void(std::optional<Address>)> done) = 0;
  // Nearest first in our own view, ourselves included.
  virtual std::vector<Address> nearest_known(const Address& target, std::size_t count) const = 0;
  virtual bool joined() const = 0;
  virtual bool alone() const = 0;
};

}  // namespace wow
