// The parts of one node's Dht, without the Dht: what they send is kept, and tests answer for
// others.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "dht/coordinator.h"
#include "tests/dht/fake_pool.h"

namespace wow {

class Bench {
 public:
  explicit Bench(DhtOptions options = {}) : context_options_(std::move(options)) {}

  // A group of us and two others, in this epoch.
  dht::Group group_of_three(std::uint64_t epoch = 1) const {
    dht::Group group{{{1, 1, address(1)}, epoch}, {id(1), id(2), id(3)}, {}};
    if (epoch > 1) group.previous = group.members;
    return group;
  }
  static Address address(std::uint64_t node) { return FakeCredentials::address_of(node); }
  static dht::ReplicaId id(std::uint64_t node) { return {address(node), node}; }

  static pb::Record record(std::uint64_t owner, const std::string& key, std::uint64_t version,
                           Duration ttl = 1h, bool removed = false) {
    return dht::sign_record(FakeCredentials(owner),
                            {key, {}, address(owner), version, ttl, removed});
  }
  static pb::Accept accept_of(const std::string& key, std::uint64_t round, std::uint64_t proposer,
                              pb::Record record) {
    pb::Accept out;
    out.set_key(key);
    dht::Ballot{round, address(proposer)}.to_wire(*out.mutable_ballot());
    *out.mutable_record() = std::move(record);
    return out;
  }
  static pb::Prepare prepare_of(const std::string& key, std::uint64_t round,
                                std::uint64_t proposer) {
    pb::Prepare out;
    out.set_key(key);
    dht::Ballot{round, address(proposer)}.to_wire(*out.mutable_ballot());
    return out;
  }

 private:
  class Network final : public DhtNetwork {
   public:
    Network(Bench& bench) : bench_(bench), self_(address(1)) {}
    const Address& self() const override { return self_; }
    void send(const Address& to, ByteView bytes) override {
      pb::DhtMessage message;
      message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
      bench_.sent.emplace_back(to, std::move(message));
    }
    void locate(const Address&, std::function<void(std::optional<Address>)>) override {}
    std::vector<Address> nearest_known(const Address&, std::size_t) const override { return {}; }
    bool joined() const override { return true; }
    bool alone() const override { return false; }

   private:
    Bench& bench_;
    const Address self_;
  };

  DhtOptions context_options_;

 public:
  std::vector<std::pair<Address, pb::DhtMessage>> sent;
  FakePool clock{1};
  FakeCredentials credentials{1};
  MemoryStore store;
  MetricSlot metrics;
  SeededRandom random{1};
  Network network{*this};
  dht::Context context{network, store, credentials, clock, random, metrics, context_options_, 1};
  dht::RecordChecker checker{context};
  dht::Replica replica{context, checker};
  dht::GroupBook book{context, replica};
  dht::Coordinator coordinator{context, replica, book, checker};
};

}  // namespace wow
