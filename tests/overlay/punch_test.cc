// NATs with another port for each destination: predicted where they count, met by chance where one
// side's are random, left alone where both sides' are.
//
//   twelve public members
//      |
//   --------- internet ---------
//      |            |
//    NAT A        NAT B
//      a            b
#include "nat/punch_plan.h"
#include "overlay/limits.h"
#include "proto/overlay.pb.h"
#include "tests/overlay/hostile_member.h"
#include "tests/overlay/pool_fixture.h"

namespace wow {
namespace {

constexpr auto kEim = NatScope::kEndpointIndependent, kAdm = NatScope::kAddressDependent,
               kApdm = NatScope::kAddressPortDependent;

NatRules hard(NatScope mapping, int step) {
  return {.mapping = mapping, .preserve_port = false, .step = step};
}

// A world for one pair.
struct Pair {
  Pair(std::uint64_t seed, const NatRules& at_a, const NatRules& at_b, double loss = 0,
       PunchBudget budget = {})
      : world(seed), pool(world) {
    world.set_link(Link{.latency = 20ms, .loss = loss});
    NodeOptions options;
    options.punch = budget;
    for (int i = 0; i < 12; ++i)
      pool.add(world.add_host("198.51.100." + std::to_string(i + 1)), options);
    world.run_until([&] { return pool.ring_is_whole(3); }, 5s);
    options.bootstraps = {pool[0].host.endpoint(), pool[1].host.endpoint()};
    site_a = &add_site("203.0.113.1", at_a);
    site_b = &add_site("203.0.113.2", at_b);
    a = &pool.add(add_host("192.168.1.10", *site_a), options);
    b = &pool.add(add_host("192.168.2.10", *site_b), options);
    world.run_until([&] { return pool.all_joined(); }, 5s);
    world.run_for(10s);
  }
  Site& add_site(const char* outside, const NatRules& rules) {
    return rules.translate ? world.add_nat(outside, rules)
                           : world.add_firewall(rules.filtering, nullptr);
  }
  SimHost& add_host(const char* inside, Site& site) {
    return world.add_host(site.gateway.rules().translate ? inside : "192.0.2.10", site);
  }
  // From the first packet until both ends have a direct path; nothing: not within `limit`.
  std::optional<Duration> until_direct(Duration limit) {
    std::size_t received = 0;
    (*b)->set_handler(Service::kUserFirst, [&](const Address&, ByteView) { ++received; });
    const TimePoint begin = world.now();
    const auto done = [&] {
      if (has_packets) (*a)->want_shortcut(b->address());
      (*a)->send(b->address(), Service::kUserFirst, view_of("x"));
      ++sent;
      return pool.direct(*a, *b);
    };
    const bool direct = world.run_until(done, limit, 20ms);
    const Duration took = world.now() - begin;
    world.run_for(500ms);
    lost = sent - received;
    (*b)->set_handler(Service::kUserFirst, {});
    return direct ? std::optional(took) : std::nullopt;
  }
  // Whether they are neighbours on the ring, and have tried already.
  bool met() { return (*a)->session(b->address()) != nullptr; }
  std::uint64_t probes() {
    return a->metrics.total(Metric::kPunchProbes) + b->metrics.total(Metric::kPunchProbes);
  }

  World world;
  SimPool pool;
  Site *site_a, *site_b;
  SimNode *a, *b;
  std::size_t sent = 0, lost = 0;
  bool has_packets = true;  // of the virtual network: else it is an edge of the ring's
};

struct Outcome {
  int direct = 0, in_time = 0, lossless = 0, pairs = 0;
};

Outcome of_many(const NatRules& at_a, const NatRules& at_b, int pairs, double loss = 0) {
  Outcome out;
  for (std::uint64_t seed = 1; out.pairs < pairs; ++seed) {
    Pair pair(seed, at_a, at_b, loss);
    if (pair.met()) continue;
    ++out.pairs;
    pair.has_packets = false;
    const auto took = pair.until_direct(6s);
    out.direct += took.has_value();
    out.in_time += took && *took <= 3s;
    out.lossless += pair.lost == 0;
  }
  return out;
}

constexpr int kPairs = 4;  // of each combination

class PunchTest : public testing::Test {
 protected:
  PunchTest() {
    set_log_sink([](LogLevel, const std::string&) {});
  }
  ~PunchTest() override { set_log_sink({}); }
};

TEST_F(PunchTest, PortsThatStepArePredicted) {
  const NatRules cone{.preserve_port = false};
  for (const auto mapping : {kAdm, kApdm}) {
    for (const int step : {1, -2}) {
      const auto there = of_many(hard(mapping, step), cone, kPairs);
      EXPECT_EQ(there.in_time, kPairs) << "step " << step;
      EXPECT_EQ(there.lossless, kPairs);
      const auto back = of_many(cone, hard(mapping, step), kPairs);
      EXPECT_EQ(back.in_time, kPairs) << "step " << step;
      EXPECT_EQ(back.lossless, kPairs);
    }
  }
}

TEST_F(PunchTest, OnBothSidesToo) {
  for (const auto at_a : {kAdm, kApdm}) {
    for (const auto at_b : {kAdm, kApdm}) {
      const auto outcome = of_many(hard(at_a, 1), hard(at_b, 1), kPairs);
      EXPECT_EQ(outcome.in_time, kPairs) << static_cast<int>(at_a) << static_cast<int>(at_b);
      EXPECT_EQ(outcome.lossless, kPairs);
    }
  }
}

TEST_F(PunchTest, LostPacketsAreMadeGood) {
  // Of 200 pairs 196 to 198, and 188 to 190.
  constexpr int kMany = 40, kEnough = 37, kEnoughOfBoth = 34;
  EXPECT_GE(of_many(hard(kApdm, 1), {.preserve_port = false}, kMany, 0.05).in_time, kEnough);
  EXPECT_GE(of_many(hard(kApdm, 1), hard(kApdm, 1), kMany, 0.05).in_time, kEnoughOfBoth);
}

// Of so many pairs, with random ports at one end: 240 sockets, 768 checks at 200 a second, 94 % in
// the end.
int met_by_chance(const NatRules& at_b, int many) {
  int direct = 0;
  for (std::uint64_t seed = 1, pairs = 0; pairs < static_cast<std::uint64_t>(many); ++seed) {
    Pair pair(seed, hard(seed % 2 == 0 ? kApdm : kAdm, 0), at_b);
    if (pair.met()) continue;
    ++pairs;
    direct += pair.until_direct(8s).has_value();
    EXPECT_EQ(pair.lost, 0u);
  }
  return direct;
}

TEST_F(PunchTest, RandomPortsOnOneSideAreMetByChance) {
  EXPECT_GE(met_by_chance({.preserve_port = false}, 20), 16);
}

TEST_F(PunchTest, AFirewallOnTheOtherSideToo) {
  EXPECT_EQ(of_many(hard(kApdm, 1), {.translate = false}, kPairs).in_time, kPairs);
  EXPECT_GE(met_by_chance({.translate = false}, 10), 7);
}

TEST_F(PunchTest, ItEndsWithTheFirstMeetingAndKeepsOneSocket) {
  for (std::uint64_t seed = 1;; ++seed) {
    Pair pair(seed, hard(kApdm, 0), {.preserve_port = false});
    if (pair.met() || !pair.until_direct(8s)) continue;
    const auto probes = pair.probes();
    pair.world.run_for(2min);
    EXPECT_EQ(pair.probes(), probes);
    EXPECT_TRUE(pair.pool.direct(*pair.a, *pair.b));
    EXPECT_LE(pair.a->host.sockets_open(), 2u);
    EXPECT_EQ(pair.b->host.sockets_open(), 0u);
    EXPECT_LE(pair.site_a->gateway.entries(pair.world.now()), 64u);
    break;
  }
}

TEST_F(PunchTest, WhereBothAreRandomNothingIsProbed) {
  Pair pair(1, hard(kApdm, 0), hard(kApdm, 0));
  EXPECT_FALSE(pair.until_direct(20s));
  EXPECT_EQ(pair.lost, 0u);
  EXPECT_EQ(pair.probes(), 0u);
  EXPECT_LE(pair.site_a->gateway.entries(pair.world.now()), 64u);
}

// Two that have not met on the ring, of the first seed that gives such.
std::unique_ptr<Pair> strangers(const NatRules& at_a, const NatRules& at_b) {
  for (std::uint64_t seed = 1;; ++seed) {
    auto pair = std::make_unique<Pair>(seed, at_a, at_b);
    if (!pair->met()) return pair;
  }
}

// For the ring's own edges nobody's router is filled.
TEST_F(PunchTest, WithoutPacketsNothingIsGuessed) {
  const auto pair = strangers(hard(kApdm, 0), {.preserve_port = false});
  for (int second = 0; second < 30; ++second) {
    (*pair->a)->send(pair->b->address(), Service::kUserFirst, view_of("x"));
    pair->world.run_for(1s);
  }
  EXPECT_EQ(pair->probes(), 0u);
  EXPECT_LE(pair->site_a->gateway.entries(pair->world.now()), 64u);
}

TEST_F(PunchTest, OnePeerAfterTheOtherIsMet) {
  constexpr std::size_t kPeers = 4;
  Pair pair(1, hard(kApdm, 0), {.preserve_port = false});
  NodeOptions options = pair.b->options;
  std::vector<SimNode*> peers;
  for (std::size_t i = 0; i < kPeers; ++i) {
    Site& site =
        pair.world.add_nat("203.0.113." + std::to_string(20 + i), {.preserve_port = false});
    peers.push_back(&pair.pool.add(pair.world.add_host("192.168.3.10", site), options));
  }
  pair.world.run_for(20s);
  const auto all_direct = [&] {
    for (SimNode* peer : peers) (*pair.a)->want_shortcut(peer->address());
    return std::ranges::all_of(peers, [&](SimNode* p) { return pair.pool.direct(*pair.a, *p); });
  };
  EXPECT_TRUE(pair.world.run_until(all_direct, 2min, 100ms));
  pair.world.run_for(1min);
  EXPECT_LE(pair.a->host.sockets_open(), 2 * kPeers);
}

TEST_F(PunchTest, NoBudgetNoProbes) {
  Pair pair(1, hard(kApdm, 0), {.preserve_port = false}, 0, {.probes = 0});
  EXPECT_FALSE(pair.until_direct(20s));
  EXPECT_EQ(pair.lost, 0u);
  EXPECT_EQ(pair.probes(), 0u);
  EXPECT_EQ(pair.a->host.sockets_open(), 0u);
}

// They can hear of each other, but nothing gets through.
void cut(Pair& pair) {
  pair.world.set_blocked([&pair](const SimHost& from, const SimHost& to) {
    const SimHost &a = pair.a->host, &b = pair.b->host;
    return (&from == &a && &to == &b) || (&from == &b && &to == &a);
  });
}

TEST_F(PunchTest, NoMoreIsSentThanTheRateAndTheBudgetAllow) {
  const auto owned = strangers(hard(kApdm, 0), {.preserve_port = false});
  Pair& pair = *owned;
  cut(pair);
  std::uint64_t most = 0, last = 0;
  for (int second = 0; second < 60; ++second) {
    (*pair.a)->want_shortcut(pair.b->address());
    for (int i = 0; i < 50; ++i) {
      (*pair.a)->send(pair.b->address(), Service::kUserFirst, view_of("x"));
      pair.world.run_for(20ms);
    }
    most = std::max(most, pair.probes() - last);
    last = pair.probes();
  }
  const PunchBudget budget;
  EXPECT_GT(last, static_cast<std::uint64_t>(budget.probes / 2)) << "it did try";
  EXPECT_LE(last, static_cast<std::uint64_t>(budget.probes + kPunchSockets));
  EXPECT_LE(most, 2u * static_cast<std::uint64_t>(budget.probes_per_second) * 11 / 10);
  EXPECT_EQ(pair.a->host.sockets_open(), 0u);
}

// A liar has others check ports of somebody else: it pays a third of what that costs.
TEST_F(PunchTest, ReportsBuyThreeTimesTheirBytes) {
  const auto owned = strangers({}, {});
  Pair& pair = *owned;
  cut(pair);
  (*pair.a)->want_shortcut(pair.b->address());
  pair.world.run_for(2s);
  ASSERT_NE((*pair.a)->session(pair.b->address()), nullptr);
  HostileMember liar(*pair.a);
  const Endpoint victim = *Endpoint::parse("203.0.113.66:1234");
  std::size_t paid = 0;
  const auto lie = [&](std::size_t padding) {
    pb::Link link;
    pb::Ports& ports = *link.mutable_ports();
    ports.set_choice(pb::Ports::CHOICE_RANDOM);
    ports.set_outside(to_string(victim.bytes()));
    ports.set_padding(std::string(padding, 'x'));
    paid += link.ByteSizeLong();
    liar.send_link(*pair.b, link);
    pair.world.run_for(400ms);
    EXPECT_LE(pair.probes() * ring::kCheckBytes, 3 * paid);
  };
  for (int i = 0; i < 8; ++i) lie(0);
  for (int i = 0; i < 8; ++i) lie(1000);
  EXPECT_GT(pair.probes(), 300u) << "and that much is sent";
  pair.world.run_for(30s);
  EXPECT_LE(pair.probes() * ring::kCheckBytes, 3 * paid);
}

// One peer that sees us says only that there is a NAT: if it gave us another port for each,
// hundreds of guesses would fill it for nothing.
TEST_F(PunchTest, WhoDoesNotKnowItsOwnPortsGuessesNobodys) {
  World world(1);
  SimPool pool(world);
  pool.add(world.add_host("198.51.100.1"));
  SimNode& a = pool.add(world.add_host("192.168.1.10", world.add_nat("203.0.113.1", {})));
  SimNode& b = pool.add(world.add_host("192.168.2.10", world.add_nat("203.0.113.2", {})));
  world.set_blocked([&](const SimHost& from, const SimHost& to) {
    return (&from == &a.host && &to == &b.host) || (&from == &b.host && &to == &a.host);
  });
  world.run_for(5s);
  a->want_shortcut(b.address());
  world.run_for(2s);
  HostileMember teller(a);
  const auto tell = [&] {
    pb::Link link;
    pb::Ports& ports = *link.mutable_ports();
    ports.set_choice(pb::Ports::CHOICE_RANDOM);
    ports.set_outside(to_string(Endpoint::parse("203.0.113.66:1234")->bytes()));
    ports.set_padding(std::string(ring::kPortsBytes, 'x'));
    teller.send_link(b, link);
    world.run_for(1s);
  };
  tell();
  EXPECT_EQ(b.metrics.total(Metric::kPunchProbes), 0u);
  for (const char* ip : {"198.51.100.2", "198.51.100.3"}) pool.add(world.add_host(ip));
  world.run_for(10s);
  tell();
  EXPECT_GT(b.metrics.total(Metric::kPunchProbes), 0u);
}

TEST_F(PunchTest, WhatIsNoReportIsCountedAndDropped) {
  const auto owned = strangers({}, {});
  Pair& pair = *owned;
  cut(pair);
  (*pair.a)->send(pair.b->address(), Service::kUserFirst, view_of("x"));
  pair.world.run_for(2s);
  HostileMember liar(*pair.a);
  const auto tell = [&](pb::Ports::Choice choice, const Bytes& outside, int step) {
    pb::Link link;
    link.mutable_ports()->set_choice(choice);
    link.mutable_ports()->set_outside(to_string(outside));
    link.mutable_ports()->set_step(step);
    link.mutable_ports()->set_padding(std::string(1000, 'x'));
    liar.send_link(*pair.b, link);
    pair.world.run_for(300ms);
  };
  const Bytes good = Endpoint::parse("203.0.113.66:1234")->bytes();
  const auto before = pair.b->metrics.total(Metric::kDropMalformed);
  tell(pb::Ports::CHOICE_STEPPING, good, 0);
  tell(pb::Ports::CHOICE_STEPPING, good, 17);
  tell(pb::Ports::CHOICE_UNKNOWN, good, 1);
  tell(pb::Ports::CHOICE_RANDOM, {}, 0);
  for (const char* where : {"127.0.0.1:1", "10.0.0.1:1", "224.0.0.1:1", "[2001:db8::1]:1",
                            "tcp://203.0.113.66:1", "203.0.113.66:0"}) {
    const auto endpoint = Endpoint::parse(where);
    tell(pb::Ports::CHOICE_RANDOM, endpoint ? endpoint->bytes() : Bytes(6), 0);
  }
  EXPECT_EQ(pair.b->metrics.total(Metric::kDropMalformed) - before, 10u);
  EXPECT_EQ(pair.probes(), 0u);
}

}  // namespace
}  // namespace wow
