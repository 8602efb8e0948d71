// A member abuses circuits: what it asks for is bounded, and nothing passes to whom has not agreed.
#include <set>

#include "overlay/limits.h"
#include "proto/headers.h"
#include "proto/overlay.pb.h"
#include "tests/overlay/hostile_member.h"
#include "tests/overlay/pool_fixture.h"

namespace wow {
namespace {

class HostileCircuits : public PoolTest {
 protected:
  void SetUp() override {
    add_many(12);
    ASSERT_TRUE(becomes_whole(4s));
    world_.run_for(10s);
    const auto ring = pool_.ring();
    evil_ = ring[2];
    hostile_.emplace(*evil_);
    relay_ = ring[3];
    victim_ = ring[4];
    ASSERT_TRUE(pool_.direct(*evil_, *relay_) && pool_.direct(*relay_, *victim_));
  }
  void send(SimNode& to, const pb::Circuit& circuit) {
    pb::Link link;
    *link.mutable_circuit() = circuit;
    hostile_->send_link(to, link);
  }
  pb::Circuit open(std::uint32_t id, const Address& destination, bool link = false,
                   unsigned relays = 1) {
    pb::Circuit out;
    out.set_op(pb::Circuit::OP_OPEN);
    out.set_id(id);
    out.set_source(to_string(evil_->address().bytes()));
    out.set_destination(to_string(destination.bytes()));
    out.set_relays(relays);
    out.set_link(link);
    return out;
  }
  pb::Circuit other(pb::Circuit::Op op, std::uint32_t id) {
    pb::Circuit out;
    out.set_op(op);
    out.set_id(id);
    return out;
  }
  // Its own node would give back what it has not asked for itself.
  void deafen() {
    evil_->host.set_receiver([](MutableBytes, const Endpoint&) {});
  }
  void hear_again() {
    evil_->host.set_receiver([node = evil_->node.get()](MutableBytes packet, const Endpoint& from) {
      node->on_datagram(packet, from);
    });
  }
  // A relay packet of evil's with something that looks sealed.
  void send_relayed(SimNode& to, std::uint32_t id) {
    Bytes packet(RelayHeader::kBytes + 60);
    RelayHeader{0, id}.write(packet.data());
    DataHeader{}.write(packet.data() + RelayHeader::kBytes);
    const Datagram datagram{to.host.endpoint(), packet, {}, 0};
    evil_->host.send({&datagram, 1});
  }
  static std::uint64_t count(SimNode& at, Metric metric) { return at.metrics.total(metric); }
  void expect_unharmed() {
    hear_again();
    EXPECT_TRUE(becomes_whole(20s));
    EXPECT_TRUE(pool_.all_routable());
  }

  SimNode* evil_ = nullptr;
  SimNode* relay_ = nullptr;
  SimNode* victim_ = nullptr;
  std::optional<HostileMember> hostile_;
};

TEST_F(HostileCircuits, ThousandsAreBoundedCountedAndForgotten) {
  deafen();
  for (std::uint32_t i = 1; i <= 5000; ++i) {
    send(*relay_, open(i, pool_[i % pool_.members().size()].address(), i % 2 == 0, 1 + i % 2));
    if (i % 50 == 0) world_.run_for(20ms);
  }
  EXPECT_GT((*relay_)->tables().circuits, 0u);
  EXPECT_LE((*relay_)->tables().circuits, CircuitTable::kLegsPerPeerMax);
  EXPECT_LE((*relay_)->tables().circuit_requests, ring::kRequestedPerPeer);
  EXPECT_GT(count(*relay_, Metric::kDropRateLimited), 1000u);
  for (SimNode& m : pool_.members()) {
    EXPECT_LE(m->tables().circuit_ends, ring::kCircuitsPerFarEnd * 3) << "of one far end so many";
  }
  expect_unharmed();
  world_.run_for(2min);
  for (SimNode& m : pool_.members()) {
    EXPECT_EQ(m->tables().circuits + m->tables().circuit_ends, 0u) << "nobody used them";
  }
}

TEST_F(HostileCircuits, NothingPassesToWhoHasNotAgreed) {
  deafen();
  // As many as the victim takes from one far end, and one more.
  for (std::uint32_t i = 1; i <= ring::kCircuitsPerFarEnd + 1; ++i)
    send(*relay_, open(i, victim_->address()));
  world_.run_for(200ms);
  EXPECT_EQ((*victim_)->tables().circuit_ends, ring::kCircuitsPerFarEnd);
  EXPECT_EQ((*relay_)->tables().circuits, ring::kCircuitsPerFarEnd);
  EXPECT_GT(count(*victim_, Metric::kCircuitRefused), 0u);
  // It says itself that the victim agrees.
  for (std::uint32_t id = 1; id < 100; ++id) send(*relay_, other(pb::Circuit::OP_ACCEPT, id));
  world_.run_for(200ms);
  EXPECT_EQ((*relay_)->tables().circuits, ring::kCircuitsPerFarEnd);
  const auto passed = count(*relay_, Metric::kCircuitForwarded);
  const std::uint32_t refused = ring::kCircuitsPerFarEnd + 1;
  for (int i = 0; i < 100; ++i) send_relayed(*relay_, refused);
  world_.run_for(100ms);
  EXPECT_EQ(count(*relay_, Metric::kCircuitForwarded), passed);
  EXPECT_EQ(count(*relay_, Metric::kDropCircuit), 100u);
  EXPECT_EQ(count(*victim_, Metric::kDropCircuit), 0u);
  expect_unharmed();
}

TEST_F(HostileCircuits, NumbersThatAreGuessedLeadNowhere) {
  SeededRandom random(3);
  const auto before = world_.deliveries();
  for (int i = 0; i < 10'000; ++i) send_relayed(*relay_, random.u32() | 1);
  world_.run_for(15ms);
  EXPECT_EQ(count(*relay_, Metric::kDropCircuit), 10'000u);
  EXPECT_EQ(count(*relay_, Metric::kCircuitForwarded), 0u);
  EXPECT_LT(world_.deliveries() - before, 10'500u) << "and nobody is answered";
  expect_unharmed();
}

TEST_F(HostileCircuits, NobodyElseEndsACircuit) {
  const auto ring = pool_.ring();
  SimNode& a = *ring[9];
  SimNode& b = *ring[10];
  world_.set_blocked([&](const SimHost& from, const SimHost& to) {
    return (&from == &a.host && &to == &b.host) || (&from == &b.host && &to == &a.host);
  });
  ASSERT_TRUE(becomes([&] { return a->session(b.address())->is_relayed(); }, 30s));
  world_.run_for(45s);
  const Path path = a->session(b.address())->path().path;
  SimNode& relay = *pool_.find(path.via);
  ASSERT_NE(&relay, evil_) << "another seed, then";
  ASSERT_TRUE((*evil_)->session(relay.address()) != nullptr);
  send(relay, other(pb::Circuit::OP_CLOSE, path.circuit));
  send(a, other(pb::Circuit::OP_CLOSE, path.circuit));
  world_.run_for(500ms);
  EXPECT_EQ(a->session(b.address())->path().path, path);
  EXPECT_TRUE(b->session(a.address())->is_relayed());
}

TEST_F(HostileCircuits, LinkingOnPurposeIsRare) {
  const auto started = count(*relay_, Metric::kHandshakesStarted);
  for (std::uint32_t i = 1; i <= 600; ++i) {
    send(*relay_, open(i, FakeCredentials::address_of(9000 + i), true));
    world_.run_for(50ms);
  }
  world_.run_for(5s);
  const auto tries = count(*relay_, Metric::kHandshakesStarted) - started;
  EXPECT_GT(tries, 0u);
  EXPECT_LE(tries, static_cast<std::uint64_t>(ring::kPurposeLinksBurst + ring::kPurposeLinks * 36));
  EXPECT_EQ((*relay_)->tables().circuit_requests, 0u);
  expect_unharmed();
}

TEST_F(HostileCircuits, NobodyIsSentAfterTheDead) {
  SimNode& dead = *pool_.ring()[5];
  ASSERT_TRUE(pool_.direct(*relay_, dead));
  const Address address = dead.address();
  pool_.crash(dead);
  world_.run_for(30s);
  // Lost members are dialled now and then, in case they live on beyond a cut: between two attempts.
  ASSERT_TRUE(becomes([&] { return (*relay_)->session(address) == nullptr; }, 30s));
  const auto started = count(*relay_, Metric::kHandshakesStarted);
  const auto refused = count(*relay_, Metric::kCircuitRefused);
  send(*relay_, open(7, address, true));
  world_.run_for(100ms);
  EXPECT_EQ(count(*relay_, Metric::kCircuitRefused), refused + 1);
  world_.run_for(3s);
  EXPECT_EQ(count(*relay_, Metric::kHandshakesStarted), started);
}

TEST_F(HostileCircuits, MalformedRequestsAreCountedAndDropped) {
  auto bad = open(7, victim_->address());
  bad.set_relays(3);  // a chain of three
  send(*relay_, bad);
  bad = open(7, victim_->address());
  bad.set_relays(0);
  send(*relay_, bad);
  send(*relay_, open(0, victim_->address()));
  send(*relay_, open(7, evil_->address()));  // back to who asks
  bad = open(7, victim_->address());
  bad.set_source("short");
  send(*relay_, bad);
  bad = open(7, victim_->address());
  bad.set_destination(std::string(500, 'x'));
  send(*relay_, bad);
  send(*relay_, other(static_cast<pb::Circuit::Op>(9), 7));
  world_.run_for(100ms);
  EXPECT_EQ(count(*relay_, Metric::kDropMalformed), 7u);
  EXPECT_EQ((*relay_)->tables().circuits, 0u);
  EXPECT_EQ((*relay_)->tables().circuit_requests, 0u);
  expect_unharmed();
}

}  // namespace
}  // namespace wow
