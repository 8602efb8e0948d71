#include "dht/node_network.h"

#include "dht/dht.h"

namespace wow {

void NodeNetwork::attach(Dht& dht) {
  node_.set_handler(Service::kDht, [&dht](const Address& from, ByteView message) {
    dht.on_message(from, message);
  });
  node_.on_joined([&dht] { dht.on_ring_change(); });
}

}  // namespace wow
