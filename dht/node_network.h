// The ring as the DHT sees it: messages of service kDht through overlay::Node. Control thread only.
#pragma once

#include "dht/dht_network.h"
#include "overlay/node.h"

namespace wow {

class Dht;

class NodeNetwork final : public DhtNetwork {
 public:
  explicit NodeNetwork(Node& node) : node_(node) {}

  // Messages and changes of the ring go to `dht`, which must live as long as the node.
  void attach(Dht& dht);

  const Address& self() const override { return node_.address(); }
  void send(const Address& to, ByteView message) override {
    node_.send(to, Service::kDht, message);
  }
  void locate(const Address& target, std::function<void(std::optional<Address>)> done) override {
    node_.locate(target, std::move(done));
  }
  std::vector<Address> nearest_known(const Address& target, std::size_t count) const override {
    return node_.nearest_known(target, count);
  }
  bool joined() const override { return node_.joined(); }
  bool alone() const override { return node_.alone(); }

 private:
  Node& node_;
};

}  // namespace wow
