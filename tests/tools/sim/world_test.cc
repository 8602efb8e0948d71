#include "tools/sim/world.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace wow {
namespace {

Endpoint at(std::string_view text) { return *Endpoint::parse(text); }

// Keeps what arrives at a host.
struct Inbox {
  explicit Inbox(SimHost& host) : host(&host) {
    host.set_receiver([this](MutableBytes packet, const Endpoint& from) {
      texts.push_back(to_string(packet));
      senders.push_back(from);
    });
  }
  void send(const Endpoint& to, std::string_view text) {
    const Datagram datagram{to, view_of(text.substr(0, 1)), view_of(text.substr(1))};
    host->transport().send({&datagram, 1});
  }
  void answer(std::string_view text) { send(senders.back(), text); }

  SimHost* host;
  std::vector<std::string> texts;
  std::vector<Endpoint> senders;
};

TEST(World, DatagramArrivesAfterItsLatencyAndIsCounted) {
  World world(1);
  Inbox a(world.add_host("198.51.100.1")), b(world.add_host("198.51.100.2"));
  world.set_link(Link{30ms});
  a.send(at("198.51.100.2:4433"), "hello");
  world.run_for(29ms);
  EXPECT_TRUE(b.texts.empty());
  world.run_for(1ms);
  EXPECT_EQ(b.texts, std::vector<std::string>{"hello"});
  EXPECT_EQ(b.senders[0], at("198.51.100.1:4433"));
  EXPECT_EQ(a.host->counters().bytes_out, 5u);
  EXPECT_EQ(b.host->counters().datagrams_in, 1u);
}

TEST(World, IPv6AndIPv4LiveSideBySide) {
  World world(1);
  SimHost& both = world.add_host("198.51.100.1");
  world.add_address(both, "2001:db8::1");
  Inbox a(both), b(world.add_host("2001:db8::2"));
  a.send(at("[2001:db8::2]:4433"), "six");
  world.run_for(1s);
  ASSERT_EQ(b.texts.size(), 1u);
  EXPECT_EQ(b.senders[0], at("[2001:db8::1]:4433"));
  EXPECT_EQ(both.local_endpoints().size(), 2u);
}

TEST(World, HostsOfOneSiteTalkOverTheLanAndOthersNeedAHole) {
  World world(1);
  Site& home = world.add_nat("203.0.113.1");
  Inbox a(world.add_host("10.1.0.2", home)), b(world.add_host("10.1.0.3", home));
  Inbox outside(world.add_host("198.51.100.1"));
  a.send(at("10.1.0.3:4433"), "lan");
  outside.send(at("10.1.0.2:4433"), "private");
  outside.send(at("203.0.113.1:4433"), "unasked");
  world.run_for(1s);
  EXPECT_EQ(b.texts, std::vector<std::string>{"lan"});
  EXPECT_EQ(b.senders[0], at("10.1.0.2:4433"));
  EXPECT_TRUE(a.texts.empty());

  a.send(at("198.51.100.1:4433"), "out");
  world.run_for(1s);
  EXPECT_EQ(outside.senders.back(), at("203.0.113.1:4433"));
  outside.answer("back");
  world.run_for(1s);
  EXPECT_EQ(a.texts, std::vector<std::string>{"back"});
}

TEST(World, NoHairpinUnlessTheRouterDoesIt) {
  World world(1);
  NatRules hairpin;
  hairpin.hairpin = true;
  hairpin.filtering = NatScope::kEndpointIndependent;
  for (Site* site : {&world.add_nat("203.0.113.1"), &world.add_nat("203.0.113.2", hairpin)}) {
    Inbox a(world.add_host("10.1.0.2", site)), b(world.add_host("10.1.0.3", site));
    Inbox outside(world.add_host(site->gateway.rules().hairpin ? "198.51.100.2" : "198.51.100.1"));
    b.send(outside.host->endpoint(), "hole");
    world.run_for(1s);
    a.send(outside.senders.back(), "round");
    world.run_for(1s);
    EXPECT_EQ(b.texts.size(), site->gateway.rules().hairpin ? 1u : 0u);
  }
}

TEST(World, FirewallLetsOnlyAnswersIn) {
  World world(1);
  Site& lab = world.add_firewall();
  Inbox inside(world.add_host("192.0.2.5", lab)), outside(world.add_host("198.51.100.1"));
  outside.send(at("192.0.2.5:4433"), "unasked");
  world.run_for(1s);
  EXPECT_TRUE(inside.texts.empty());
  inside.send(at("198.51.100.1:4433"), "out");
  world.run_for(1s);
  EXPECT_EQ(outside.senders.back(), at("192.0.2.5:4433"));
  outside.answer("back");
  world.run_for(1s);
  EXPECT_EQ(inside.texts.size(), 1u);
}

TEST(World, PartitionCutsAndHeals) {
  World world(1);
  Inbox a(world.add_host("198.51.100.1")), b(world.add_host("198.51.100.2"));
  world.set_blocked([](const SimHost& from, const SimHost&) { return from.id() == 0; });
  a.send(b.host->endpoint(), "lost");
  b.send(a.host->endpoint(), "one way");
  world.run_for(1s);
  EXPECT_TRUE(b.texts.empty());
  EXPECT_EQ(a.texts.size(), 1u);
  world.set_blocked(nullptr);
  a.send(b.host->endpoint(), "healed");
  world.run_for(1s);
  EXPECT_EQ(b.texts.size(), 1u);
  EXPECT_EQ(world.drops().blocked, 1u);
}

TEST(World, CrashForgetsTimersAndRestartBeginsAnew) {
  World world(1);
  SimHost& host = world.add_host("198.51.100.1");
  int old_life = 0, new_life = 0;
  host.clock().schedule(host.now() + 1s, [&] { ++old_life; });
  world.crash(host);
  world.restart(host);
  host.clock().schedule(host.now() + 1s, [&] { ++new_life; });
  world.run_for(2s);
  EXPECT_EQ(old_life, 0);
  EXPECT_EQ(new_life, 1);
}

TEST(World, AReceiverMayCrashItsOwnHost) {
  World world(1);
  SimHost& a = world.add_host("198.51.100.1");
  Inbox b(world.add_host("198.51.100.2"));
  int seen = 0;
  a.set_receiver([&](MutableBytes, const Endpoint&) {
    world.crash(a);
    ++seen;
  });
  b.send(a.endpoint(), "x");
  b.send(a.endpoint(), "y");
  world.run_for(1s);
  EXPECT_EQ(seen, 1);
}

TEST(World, AMovedHostIsReachedAtItsNewAddressOnly) {
  World world(1);
  Site& home = world.add_nat("203.0.113.1");
  Inbox a(world.add_host("10.1.0.2", home)), b(world.add_host("198.51.100.2"));
  a.send(b.host->endpoint(), "from home");
  world.run_for(1s);
  world.move(*a.host, "192.0.2.9");
  b.answer("too late");
  b.send(at("192.0.2.9:4433"), "found");
  world.run_for(1s);
  EXPECT_EQ(a.texts, std::vector<std::string>{"found"});
}

// A hundred datagrams over a bad link; what arrived, in order.
std::pair<std::vector<std::string>, std::uint64_t> bad_link_run(std::uint64_t seed) {
  World world(seed);
  Inbox a(world.add_host("198.51.100.1")), b(world.add_host("198.51.100.2"));
  world.set_link(Link{20ms, 50ms, 0.2, 0.1});
  for (int i = 0; i < 100; ++i) a.send(b.host->endpoint(), std::to_string(1000 + i));
  world.run_for(1s);
  return {b.texts, world.trace_hash()};
}

TEST(World, BadLinksLoseDuplicateAndReorderAndSeedsReplay) {
  const auto [texts, hash] = bad_link_run(7);
  EXPECT_FALSE(std::is_sorted(texts.begin(), texts.end()));
  const std::set<std::string> distinct(texts.begin(), texts.end());
  EXPECT_GT(distinct.size(), 60u);
  EXPECT_LT(distinct.size(), 95u);
  EXPECT_GT(texts.size(), distinct.size());
  EXPECT_EQ(bad_link_run(7).second, hash);
  EXPECT_NE(bad_link_run(8).second, hash);
}

TEST(World, RunUntilStopsWhenTrueOrOutOfTime) {
  World world(1);
  SimHost& host = world.add_host("198.51.100.1");
  bool fired = false;
  host.clock().schedule(host.now() + 1s, [&] { fired = true; });
  const TimePoint begun = world.now();
  EXPECT_TRUE(world.run_until([&] { return fired; }, 5s));
  EXPECT_EQ(world.now() - begun, 1s);
  EXPECT_FALSE(world.run_until([] { return false; }, 5s));
  EXPECT_EQ(world.now() - begun, 6s);
}

TEST(World, ASiteWithinASiteIsTwoNatsDeep) {
  World world(1);
  Site& carrier = world.add_nat("203.0.113.1");
  Site& home = world.add_nat("100.64.0.7", {}, &carrier);
  Inbox a(world.add_host("10.1.0.2", home)), neighbour(world.add_host("100.64.0.8", carrier));
  Inbox outside(world.add_host("198.51.100.1"));
  a.send(outside.host->endpoint(), "out");
  a.send(neighbour.host->endpoint(), "next door");
  world.run_for(1s);
  ASSERT_EQ(outside.texts.size(), 1u);
  EXPECT_EQ(outside.senders[0].ip, IpAddress::parse("203.0.113.1"));
  ASSERT_EQ(neighbour.texts.size(), 1u);
  EXPECT_EQ(neighbour.senders[0].ip, IpAddress::parse("100.64.0.7"));
  outside.answer("back");
  neighbour.answer("hello");
  neighbour.send(at("203.0.113.1:4433"), "not asked for");
  world.run_for(1s);
  EXPECT_EQ(a.texts, (std::vector<std::string>{"hello", "back"}));
}

TEST(World, AnUplinkSerializesAndItsQueueIsBounded) {
  World world(1);
  Inbox a(world.add_host("198.51.100.1")), b(world.add_host("198.51.100.2"));
  world.set_link(Link{10ms});
  a.host->set_uplink({.bytes_per_second = 1000, .queue_bytes = 300});
  for (int i = 0; i < 10; ++i) a.send(b.host->endpoint(), std::string(72, 'x'));  // 100 bytes each
  world.run_for(105ms);
  EXPECT_TRUE(b.texts.empty());
  world.run_for(10ms);
  EXPECT_EQ(b.texts.size(), 1u);
  world.run_for(1s);
  EXPECT_EQ(b.texts.size(), 4u);
  EXPECT_EQ(world.drops().queue_full, 6u);
}

TEST(World, APausedHostIsLateAndItsClockRunsOn) {
  World world(1);
  Inbox a(world.add_host("198.51.100.1")), b(world.add_host("198.51.100.2"));
  const TimePoint begun = a.host->now();
  TimePoint fired{}, later{};
  a.host->clock().schedule(begun + 1s, [&] { fired = a.host->now(); });
  a.host->clock().schedule(begun + 40s, [&] { later = a.host->now(); });
  world.pause(*a.host, 30s, PausedClock::kRuns);
  for (int i = 0; i < 300; ++i) b.send(a.host->endpoint(), "x");
  world.run_for(29s);
  EXPECT_TRUE(a.texts.empty());
  world.run_for(20s);
  EXPECT_EQ(fired - begun, 30s);
  EXPECT_EQ(later - begun, 40s);
  EXPECT_EQ(a.texts.size(), World::kHeldMax);
}

TEST(World, AFrozenClockKnowsNothingOfThePause) {
  World world(1);
  SimHost& host = world.add_host("198.51.100.1");
  const TimePoint begun = host.now(), world_begun = world.now();
  TimePoint fired{}, world_fired{};
  host.clock().schedule(begun + 1s, [&] {
    fired = host.now();
    world_fired = world.now();
  });
  world.pause(host, 30s, PausedClock::kStops);
  world.run_for(1min);
  EXPECT_EQ(fired - begun, 1s);
  EXPECT_EQ(world_fired - world_begun, 31s);
  EXPECT_EQ(host.now() - begun, 30s);
}

TEST(World, ADriftingClockIsNeverEarly) {
  World world(1);
  for (const int ppm : {-500, 500, 100'000}) {
    SimHost& host = world.add_host("198.51.100." + std::to_string(world.host_count() + 1));
    host.set_drift(ppm);
    const TimePoint begun = host.now(), world_begun = world.now();
    TimePoint fired{};
    host.clock().schedule(begun + 1000s, [&] { fired = host.now(); });
    world.run_for(1002s);
    EXPECT_GE(fired - begun, 1000s);
    EXPECT_LT(fired - begun, 1000s + 1ms);
    const auto gained = (host.now() - begun) - (world.now() - world_begun);
    EXPECT_NEAR(to_seconds(gained), 1002e-6 * ppm, 1e-3);
  }
}

TEST(World, TwoHostsCannotShareAnAddress) {
  World world(1);
  world.add_host("198.51.100.1");
  EXPECT_THROW(world.add_host("198.51.100.1"), std::invalid_argument);
  EXPECT_THROW(world.add_host("not an address"), std::invalid_argument);
}

}  // namespace
}  // namespace wow
