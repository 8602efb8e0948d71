#include "tools/sim/sim_pool.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tools/sim/ring_checker.h"

namespace wow {
namespace {

// A bootstrap on the open internet, and sites of two hosts each behind port-restricted NATs.
struct ThreeSites {
  explicit ThreeSites(std::uint64_t seed) : world(seed), pool(world) {
    pool.add(world.add_host("198.51.100.1"));
    for (const std::string n : {"1", "2", "3"}) {
      Site& site = world.add_nat("203.0.113." + n);
      pool.add(world.add_host("10." + n + ".0.2", site));
      pool.add(world.add_host("10." + n + ".0.3", site));
    }
  }
  bool whole_within(Duration limit) {
    return world.run_until([&] { return pool.ring_is_whole(); }, limit);
  }

  World world;
  SimPool pool;
};

TEST(SimPool, HostsBehindThreeNatsMakeOneRing) {
  ThreeSites sites(1);
  EXPECT_FALSE(sites.pool.ring_is_whole());
  EXPECT_TRUE(sites.whole_within(10s));
  EXPECT_TRUE(sites.pool.all_joined());
  EXPECT_TRUE(sites.pool.all_routable());
  EXPECT_EQ(sites.pool.total(Metric::kDropForged), 0u);
}

TEST(SimPool, ACrashIsNoticedHealedAndUndone) {
  ThreeSites sites(2);
  ASSERT_TRUE(sites.whole_within(10s));
  SimNode& victim = sites.pool[3];
  const Address address = victim.address();
  sites.pool.crash(victim);
  EXPECT_EQ(sites.pool.ring().size(), 6u);
  EXPECT_TRUE(sites.whole_within(10s));
  sites.pool.restart(victim);
  EXPECT_EQ(victim.address(), address);
  EXPECT_FALSE(sites.pool.ring_is_whole());
  EXPECT_TRUE(sites.whole_within(10s));
  EXPECT_TRUE(sites.pool.routable(sites.pool[1], victim));
}

TEST(SimPool, AMovedHostIsReachedAgain) {
  ThreeSites sites(3);
  ASSERT_TRUE(sites.whole_within(10s));
  sites.pool.move(sites.pool[1], "192.0.2.9");
  EXPECT_TRUE(sites.whole_within(10s));
  EXPECT_TRUE(sites.pool.routable(sites.pool[6], sites.pool[1]));
  EXPECT_TRUE(sites.pool.routable(sites.pool[1], sites.pool[6]));
}

std::vector<SimHost*> public_hosts(World& world, std::uint32_t count) {
  std::vector<SimHost*> out;
  for (std::uint32_t i = 0; i < count; ++i)
    out.push_back(&world.add_host(IpAddress::v4(0x14000000 + i)));
  return out;
}

TEST(SimPool, AConstructedRingIsWholeAndWalksArrive) {
  World world(1);
  SimPool pool(world);
  int told = 0;
  pool.set_progress([&] { ++told; });
  ASSERT_TRUE(pool.construct(public_hosts(world, 60)));
  EXPECT_GT(told, 60) << "and while it is not yet whole";
  EXPECT_TRUE(pool.ring_is_whole(3));
  world.run_for(10s);
  int hops = 0;
  for (SimNode* from : pool.ring()) {
    for (SimNode* to : pool.ring()) {
      const Walk way = walk(pool, *from, to->address());
      ASSERT_TRUE(way.arrived);
      EXPECT_EQ(way.last, to->address());
      EXPECT_EQ(way.latency, way.hops * Link{}.latency);
      hops += way.hops;
    }
  }
  EXPECT_LT(hops, 3 * 60 * 60);
  EXPECT_TRUE(pool.routable(pool[3], pool[44]));
}

TEST(SimPool, TheCheckerSeesTheDeadAndTheirWidows) {
  World world(1);
  SimPool pool(world);
  ASSERT_TRUE(pool.construct(public_hosts(world, 30)));
  RingChecker checker(pool);
  EXPECT_EQ(checker.health(), 1);
  pool.crash(*pool.ring()[7]);
  EXPECT_FALSE(checker.whole());
  EXPECT_LT(checker.health(), 1);
  EXPECT_GT(checker.health(), 0.7);
  EXPECT_TRUE(world.run_until([&] { return checker.whole(); }, 10s));
  EXPECT_EQ(checker.health(), 1);
}

TEST(SimPool, APartitionIsNoRing) {
  ThreeSites sites(4);
  ASSERT_TRUE(sites.whole_within(10s));
  sites.world.set_blocked(
      [](const SimHost& from, const SimHost& to) { return (from.id() < 3) != (to.id() < 3); });
  EXPECT_FALSE(sites.pool.routable(sites.pool[1], sites.pool[5]));
  EXPECT_FALSE(sites.pool.all_routable());
}

TEST(SimPool, SeedsReplay) {
  const auto run = [](std::uint64_t seed) {
    ThreeSites sites(seed);
    sites.world.set_link(Link{20ms, 10ms, 0.05, 0});
    sites.world.run_for(20s);
    return sites.world.trace_hash();
  };
  EXPECT_EQ(run(5), run(5));
  EXPECT_NE(run(5), run(6));
}

}  // namespace
}  // namespace wow
