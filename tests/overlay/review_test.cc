// What a member, a dead clock or mere idleness once could do to a node: each story ends well.
#include "overlay/ctm.h"
#include "overlay/limits.h"
#include "proto/headers.h"
#include "proto/overlay.pb.h"
#include "tests/overlay/pool_fixture.h"

namespace wow {
namespace {

class ReviewTest : public PoolTest {
 protected:
  void settle(int count) {
    add_many(count);
    ASSERT_TRUE(becomes_whole(5s));
    world_.run_for(10s);
  }
  // From one member to another, in their session.
  static void send_ctm(SimNode& from, SimNode& to, const Bytes& ctm) {
    RoutedHeader header;
    header.payload = RoutedPayload::kCtm;
    header.destination = to.address();
    header.source = from.address();
    Bytes packet(RoutedHeader::kBytes);
    header.write(packet.data());
    packet.insert(packet.end(), ctm.begin(), ctm.end());
    from->sessions().send(to.address(), DataKind::kRouted, packet);
  }
  // Of somebody who costs nothing but a key.
  static Bytes ghost_ctm(std::uint64_t seed, WallTime at) {
    const FakeCredentials ghost(seed);
    Ctm ctm;
    ctm.id = seed;
    ctm.source = {ghost.address(), {*Endpoint::parse("203.0.113.66:1")}};
    ctm.target = ghost.address();
    return sign_ctm(std::move(ctm), ghost, at);
  }
};

TEST_F(ReviewTest, RequestsOfStrangersDoNotKeepANodeFromLinking) {
  settle(40);
  SimNode& victim = pool_[30];
  SimNode *evil = nullptr, *far = nullptr;
  for (SimNode& m : pool_.members()) {
    if (&m == &victim) continue;
    const Session* session = victim->session(m.address());
    if (session == nullptr) far = &m;
    if (session != nullptr && session->is_direct()) evil = &m;
  }
  ASSERT_TRUE(evil != nullptr && far != nullptr);
  for (std::uint64_t i = 0; i < 1800; ++i) {
    send_ctm(*evil, victim, ghost_ctm(1000 + i, victim.host.wall()));
    if (i % 10 == 0) world_.run_for(1ms);
  }
  world_.run_for(50ms);
  EXPECT_EQ(victim->tables().links, ring::kLinksMax / 2);
  count_messages(*far);
  victim->send(far->address(), Service::kUserFirst, view_of("x"));
  EXPECT_TRUE(becomes([&] { return received(*far) == 1; }, 500ms));
}

TEST_F(ReviewTest, OurOwnLinksHaveTheirBoundAndWhatWaitsInVainIsForgotten) {
  settle(2);
  for (std::uint64_t i = 0; i < ring::kLinksMax + 200; ++i) {
    pool_[0]->send(FakeCredentials::address_of(5000 + i), Service::kUserFirst, Bytes(1000));
  }
  EXPECT_EQ(pool_[0]->tables().links, ring::kLinksMax);
  EXPECT_EQ(pool_[0]->tables().outbox_bytes, (ring::kLinksMax + 200) * 1000);
  world_.run_for(2min);
  EXPECT_EQ(pool_[0]->tables().links, 0u);
  EXPECT_EQ(pool_[0]->tables().outbox_bytes, 0u);
}

TEST_F(ReviewTest, AHandlerThatWasTakenAwayIsNotCalled) {
  settle(2);
  pool_[1]->set_handler(Service::kUserFirst, nullptr);
  pool_[0]->send(pool_[1].address(), Service::kUserFirst, view_of("x"));
  world_.run_for(1s);
  EXPECT_EQ(pool_[1].metrics.total(Metric::kDropMalformed), 1u);
}

// An endpoint that a neighbour tells of may be a trap, in the file of remembered members, too.
TEST_F(ReviewTest, OnlyUsableEndpointsOfMembersAreRememberedAndDialled) {
  settle(4);
  pb::Link link;
  link.set_number(1'000'000);
  auto& told = *link.mutable_neighbours()->add_members();
  Member{FakeCredentials::address_of(900),
         {*Endpoint::parse("127.0.0.1:22"), *Endpoint::parse("203.0.113.9:4433")}}
      .write(told, 8);
  pool_[1]->send(pool_[0].address(), Service::kLink, view_of(link.SerializeAsString()));
  world_.run_for(100ms);
  bool found = false;
  for (const Member& m : pool_[0]->remember()) {
    found = found || m.address == FakeCredentials::address_of(900);
    for (const Endpoint& e : m.endpoints) EXPECT_FALSE(e.ip.is_loopback());
  }
  EXPECT_TRUE(found);

  SimHost& host = world_.add_host("203.0.113.50");
  NodeOptions options;
  options.bootstraps = {host.endpoint()};  // itself: nobody
  options.virtual_subnet = Prefix::parse("10.128.0.0/16");
  options.remembered = {{pool_[0].address(),
                         {*Endpoint::parse("10.128.0.9:4433"), *Endpoint::parse("127.0.0.1:9"),
                          *Endpoint::parse("169.254.1.1:9")}}};
  pool_.add(host, options);
  world_.run_for(10s);
  EXPECT_EQ(host.counters().datagrams_out, 0u);
}

TEST_F(ReviewTest, NoSessionRunsOverTheNetworkThatItCarries) {
  settle(3);
  NodeOptions options;
  options.bootstraps = {pool_[0].host.endpoint()};
  SimNode& inside = pool_.add(world_.add_host("10.128.0.7"), options);
  options.virtual_subnet = Prefix::parse("10.128.0.0/16");
  SimNode& careful = pool_.add(world_.add_host("198.51.100.200"), options);
  world_.run_for(20s);
  ASSERT_NE(careful->session(pool_[0].address()), nullptr);
  const Session* session = careful->session(inside.address());
  EXPECT_TRUE(session == nullptr || !session->is_direct());
  EXPECT_GT(careful.metrics.total(Metric::kDropGarbage), 0u);
}

TEST_F(ReviewTest, AllPeersTogetherHaveUsCheckOnlySoMuch) {
  settle(6);
  const auto behind = [&](int n, const NatRules& rules) -> SimNode& {
    NodeOptions options;
    options.punch.probes = 0;  // they are to have no direct path
    options.bootstraps = {pool_[0].host.endpoint(), pool_[1].host.endpoint()};
    Site& site = world_.add_nat("203.0.113." + std::to_string(n), rules);
    return pool_.add(world_.add_host("192.168.1.10", site), options);
  };
  SimNode& victim = behind(1, {.mapping = NatScope::kAddressPortDependent, .preserve_port = false});
  std::vector<SimNode*> evil;
  for (int i = 2; i < 12; ++i) evil.push_back(&behind(i, {.preserve_port = false}));
  ASSERT_TRUE(becomes([&] { return pool_.all_joined(); }, 10s));
  for (SimNode* e : evil) (*e)->send(victim.address(), Service::kUserFirst, view_of("x"));
  world_.run_for(30s);
  const auto before = world_.drops().unreachable;
  for (std::size_t i = 0; i < evil.size(); ++i) {
    pb::Link link;
    link.set_number(1'000'000);
    for (int n = 1; n <= 8; ++n) {
      const Endpoint target{IpAddress::v4(0xc0000200 + static_cast<std::uint32_t>(8 * i) + n), 9};
      link.mutable_candidates()->add_endpoints(to_string(ByteView(target.bytes())));
    }
    (*evil[i])->send(victim.address(), Service::kLink, view_of(link.SerializeAsString()));
  }
  world_.run_for(1s);
  const auto checks = world_.drops().unreachable - before;
  EXPECT_GT(checks, 50u);
  EXPECT_LE(checks, 64u + 100u);  // without that limit: 320
}

}  // namespace
}  // namespace wow
