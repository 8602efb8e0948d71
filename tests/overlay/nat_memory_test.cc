// NATs that forget: silent flows sooner than most, and all of them when they restart.
#include "tests/overlay/pool_fixture.h"

namespace wow {
namespace {

class NatMemoryTest : public PoolTest {
 protected:
  void SetUp() override {
    add_many(20);
    ASSERT_TRUE(becomes_whole(3s));
    world_.run_for(10s);
  }
  // What NATs keep out, or nobody has a port for any more.
  std::uint64_t not_let_in() const { return world_.drops().filtered + world_.drops().unreachable; }
  // Packets in both directions, one each 20 ms; the longest time that either end hears nothing.
  Duration longest_silence(SimNode& a, SimNode& b, Duration span) {
    struct End {
      std::size_t heard = 0;
      TimePoint last;
    };
    std::map<SimNode*, End> ends;
    Duration longest{};
    for (SimNode* node : {&a, &b}) {
      received_[node].clear();
      ends[node].last = world_.now();
    }
    const TimePoint until = world_.now() + span;
    while (world_.now() < until) {
      a->send(b.address(), Service::kUserFirst, view_of("x"));
      b->send(a.address(), Service::kUserFirst, view_of("x"));
      world_.run_for(20ms);
      for (auto& [node, end] : ends) {
        if (received(*node) == end.heard) continue;
        longest = std::max(longest, world_.now() - end.last);
        end = {received(*node), world_.now()};
      }
    }
    for (const auto& [node, end] : ends) longest = std::max(longest, world_.now() - end.last);
    return longest;
  }
};

TEST_F(NatMemoryTest, FlowsOfOneThatForgetsSoonAreKeptOpen) {
  Site& usual = world_.add_nat("203.0.113.1");
  SimNode& calm = behind(usual, "192.168.1.10");
  world_.run_for(10min);
  const auto kept_out = not_let_in();
  world_.run_for(10min);
  EXPECT_EQ(not_let_in(), kept_out);
  EXPECT_EQ(calm->flow_keepalive(), Duration::zero());

  SimNode& hurried = behind(world_.add_nat("203.0.113.2", {.timeout = 20s}), "192.168.1.10");
  world_.run_for(5min);
  EXPECT_GT(hurried->flow_keepalive(), Duration::zero());
  const auto learnt = not_let_in();
  world_.run_for(10min);
  EXPECT_LE(not_let_in(), learnt + 3) << "else 27";
}

// Sooner than the first answer to that, 13 s, helps: shown by what peers have to say now and then.
TEST_F(NatMemoryTest, TheTimeoutIsMeasuredDownToAFewSeconds) {
  for (const auto& [timeout, net] : {std::pair(10s, "203.0.113.3"), {6s, "203.0.113.4"}}) {
    SCOPED_TRACE(net);
    SimNode& hurried = behind(world_.add_nat(net, {.timeout = timeout}), "192.168.1.10");
    world_.run_for(10s);
    count_messages(hurried);
    std::size_t said = 0;
    // Each neighbour once in a while, at odd moments.
    const auto converse = [&](Duration span) {
      for (const TimePoint end = world_.now() + span; world_.now() < end; ++said) {
        auto edges = hurried->edges();
        std::erase_if(edges, [](const EdgeInfo& edge) { return edge.roles.empty(); });
        SimNode& peer = *pool_.find(edges[said % edges.size()].peer);
        peer->send(hurried.address(), Service::kUserFirst, view_of("x"));
        world_.run_for(1700ms);
      }
    };
    converse(5min);
    EXPECT_GT(hurried->flow_keepalive(), Duration::zero());
    EXPECT_LT(hurried->flow_keepalive(), timeout);
    const auto learnt = not_let_in();
    const std::size_t lost = said - received(hurried);
    converse(10min);
    EXPECT_LE(not_let_in(), learnt + 30) << "else 74 and 393";
    EXPECT_LE(said - received(hurried), lost + 4) << "else 3 and 23";
  }
}

TEST_F(NatMemoryTest, WhatARestartedRouterForgotIsBackWithinASecondOfTraffic) {
  for (const bool preserve : {true, false}) {
    SCOPED_TRACE(preserve);
    const std::string net = preserve ? "203.0.113." : "203.0.114.";
    Site& site = world_.add_nat(net + "1", {.preserve_port = preserve});
    SimNode& a = behind(site, "192.168.1.10");
    SimNode& b = behind(world_.add_nat(net + "2", {.preserve_port = preserve}), "192.168.2.10");
    ASSERT_TRUE(becomes([&] { return pool_.all_joined(); }, 5s));
    count_messages(a);
    count_messages(b);
    longest_silence(a, b, 5s);
    ASSERT_TRUE(pool_.direct(a, b));
    site.gateway.forget();
    EXPECT_LE(longest_silence(a, b, 10s), 1s);
    EXPECT_TRUE(pool_.direct(a, b));
    // With a host that is not behind a NAT.
    SimNode& c = pool_[5];
    count_messages(c);
    longest_silence(a, c, 5s);
    site.gateway.forget();
    EXPECT_LE(longest_silence(a, c, 10s), 1s);
  }
}

}  // namespace
}  // namespace wow
