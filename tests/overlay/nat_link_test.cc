// Hosts behind NATs find direct paths; until then, and where there is none, their packets are
// routed.
//
//   router (public)
//      |
//   --------- internet ---------
//    |          |          |
//   NAT A      NAT B     NATs C and D (another port, a random one, for each destination)
//   a1 a2      b1         c1, d1
#include "tests/overlay/pool_fixture.h"

namespace wow {
namespace {

class NatLinkTest : public PoolTest {
 protected:
  void SetUp() override {
    for (int i = 0; i < 12; ++i) add_public();
    ASSERT_TRUE(becomes_whole(3s));
    world_.run_for(10s);
  }
  void join() {
    ASSERT_TRUE(becomes([&] { return pool_.all_joined(); }, 2s));
    world_.run_for(10s);
  }
  // Sends from one to the other until their path is direct; all must arrive.
  ::testing::AssertionResult becomes_direct(SimNode& a, SimNode& b, Duration limit) {
    count_messages(b);
    std::size_t sent = 0;
    const auto done = [&] {
      a->send(b.address(), Service::kUserFirst, view_of("x"));
      ++sent;
      return pool_.direct(a, b);
    };
    const bool direct = world_.run_until(done, limit);
    world_.run_for(500ms);
    if (received(b) != sent) {
      return ::testing::AssertionFailure() << received(b) << " of " << sent << " arrived";
    }
    return direct ? ::testing::AssertionSuccess() : ::testing::AssertionFailure() << "not direct";
  }

  Site& a_ = world_.add_nat("203.0.113.1");
  Site& b_ = world_.add_nat("203.0.113.2", {.preserve_port = false});
  const NatRules hard_{.mapping = NatScope::kAddressPortDependent, .preserve_port = false};
  Site& c_ = world_.add_nat("203.0.113.3", hard_);
  Site& d_ = world_.add_nat("203.0.113.4", hard_);
};

TEST_F(NatLinkTest, TwoPortRestrictedNatsArePunchedThrough) {
  SimNode& a = behind(a_, "192.168.1.10");
  SimNode& b = behind(b_, "192.168.1.10");
  join();
  EXPECT_TRUE(becomes_direct(a, b, 1500ms));
  EXPECT_EQ(a->session(b.address())->path().path.endpoint.ip.text(), "203.0.113.2");
  EXPECT_EQ(a->nat_mapping(), NatMapping::kEndpointIndependent);
}

TEST_F(NatLinkTest, HostsOfOneLanLinkOverItWithoutHairpin) {
  SimNode& a1 = behind(a_, "192.168.1.10");
  SimNode& a2 = behind(a_, "192.168.1.11");
  join();
  EXPECT_TRUE(becomes_direct(a1, a2, 1500ms));
  EXPECT_EQ(a1->session(a2.address())->path().path.endpoint.text(), "192.168.1.11:4433");
}

TEST_F(NatLinkTest, AHostBehindAFirewallLinksWithOneBehindANat) {
  Site& firewall = world_.add_firewall();
  SimNode& f = behind(firewall, "198.18.0.5");
  SimNode& a = behind(a_, "192.168.1.10");
  join();
  EXPECT_TRUE(becomes_direct(a, f, 1500ms));
}

// A home router has few entries to give: the checks that open nothing are few, and our NAT is not
// asked again and again how it chooses ports.
TEST_F(NatLinkTest, AHostThatMeetsManyBehindSuchNatsTakesFewEntriesOfItsOwn) {
  constexpr int kHosts = 30;
  std::vector<Site*> sites;
  for (int i = 1; i <= kHosts; ++i) {
    const std::string number = std::to_string(i);
    sites.push_back(&world_.add_nat("203.0.114." + number, hard_));
    behind(*sites.back(), "10.0." + number + ".10");
  }
  ASSERT_TRUE(becomes([&] { return pool_.all_joined(); }, 5s));
  std::size_t most = 0;
  for (int i = 0; i < 12; ++i) {
    world_.run_for(10s);
    for (const Site* site : sites) most = std::max(most, site->gateway.entries(world_.now()));
  }
  EXPECT_LE(most, 64u);
}

TEST_F(NatLinkTest, WhatCannotLinkStaysRoutedAndLosesNothing) {
  SimNode& d = behind(d_, "192.168.1.10");
  SimNode& c = behind(c_, "192.168.1.10");
  join();
  count_messages(c);
  for (int i = 0; i < 1000; ++i) {
    d->send(c.address(), Service::kUserFirst, view_of("x"));
    world_.run_for(30ms);
  }
  world_.run_for(200ms);
  EXPECT_EQ(received(c), 1000u);
  EXPECT_FALSE(pool_.direct(d, c));
  EXPECT_EQ(c->nat_mapping(), NatMapping::kDependent);
}

// Each check would take an entry of both.
TEST_F(NatLinkTest, WhatCannotLinkIsNotCheckedAllTheTime) {
  SimNode& d = behind(d_, "192.168.1.10");
  SimNode& c = behind(c_, "192.168.1.10");
  join();
  std::size_t held = 0;
  d->want_shortcut(c.address());
  world_.run_for(60s);
  ASSERT_NE(d->session(c.address()), nullptr);
  ASSERT_FALSE(pool_.direct(d, c));
  for (int minute = 0; minute < 8; ++minute) {
    world_.run_for(1min);
    if (minute > 1) held = std::max(held, d_.gateway.entries(world_.now()));
  }
  EXPECT_LE(held, 16u) << "twelve public members, and four more";
}

TEST_F(NatLinkTest, OfAnAddressWithAPortForEachPeerOneIsTold) {
  SimNode& c = behind(c_, "192.168.1.10");
  join();
  ASSERT_EQ(c->nat_mapping(), NatMapping::kDependent);
  const auto candidates = c->own_candidates();
  ASSERT_EQ(candidates.size(), 2u);
  EXPECT_EQ(candidates[0].text(), "192.168.1.10:4433");
  EXPECT_EQ(candidates[1].ip.text(), "203.0.113.3");
}

TEST_F(NatLinkTest, CandidatesAreOwnAddressesThenWhatOthersSee) {
  SimNode& a = behind(a_, "192.168.1.10");
  join();
  const auto candidates = a->own_candidates();
  ASSERT_EQ(candidates.size(), 2u);
  EXPECT_EQ(candidates[0].text(), "192.168.1.10:4433");
  EXPECT_EQ(candidates[1].text(), "203.0.113.1:4433");
}

TEST_F(NatLinkTest, TheVirtualSubnetIsNeverACandidate) {
  NodeOptions options;
  options.bootstraps = {pool_[0].host.endpoint()};
  options.virtual_subnet = Prefix::parse("10.128.0.0/16");
  SimHost& host = world_.add_host("198.51.101.9");
  world_.add_address(host, "10.128.3.4", &a_);
  SimNode& node = pool_.add(host, options);
  join();
  ASSERT_EQ(node->own_candidates().size(), 1u);
  EXPECT_EQ(node->own_candidates()[0].text(), "198.51.101.9:4433");
}

}  // namespace
}  // namespace wow
