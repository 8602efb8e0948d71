// Rings that were one, or never were, become one.
#include "tests/overlay/pool_fixture.h"

namespace wow {
namespace {

class MergeTest : public PoolTest {};

TEST_F(MergeTest, HalvesMeetWithinThirtySecondsOfHealing) {
  for (const int n : {2, 10, 60}) {
    World world(n);
    world.set_link(::wow::Link{.latency = 50ms});
    SimPool pool(world);
    for (int i = 0; i < n; ++i) pool.add(world.add_host("198.51.100." + std::to_string(i + 1)));
    ASSERT_TRUE(world.run_until([&] { return pool.ring_is_whole(1); }, 10s)) << n;
    world.run_for(30s);
    world.set_blocked(
        [](const SimHost& from, const SimHost& to) { return (from.id() + to.id()) % 2 == 1; });
    world.run_for(5min);
    world.set_blocked({});
    EXPECT_TRUE(world.run_until([&] { return pool.ring_is_whole(1); }, 30s)) << n;
  }
}

TEST_F(MergeTest, WhoJoinsThroughTwoRingsMakesThemOne) {
  NodeOptions first, second;
  std::vector<SimNode*> all;
  for (int i = 0; i < 60; ++i) {
    SimHost& host = world_.add_host("198.51.100." + std::to_string(i + 1));
    NodeOptions& options = i % 2 == 0 ? first : second;
    // Of the second ring's founder nothing is known to the first: it names only itself.
    if (options.bootstraps.empty()) options.bootstraps = {host.endpoint()};
    all.push_back(&pool_.add(host, options));
  }
  world_.run_for(30s);
  ASSERT_FALSE(pool_.ring_is_whole(1));
  NodeOptions both;
  both.bootstraps = {first.bootstraps[0], second.bootstraps[0]};
  pool_.add(world_.add_host("198.51.101.1"), both);
  EXPECT_TRUE(becomes_whole(30s, 1));
  EXPECT_TRUE(becomes_whole(30s, 3));
}

TEST_F(MergeTest, OneRingIsNotTakenForTwo) {
  add_many(40);
  ASSERT_TRUE(becomes_whole(10s));
  world_.run_for(10min);
  for (SimNode& m : pool_.members()) EXPECT_FALSE(m->tables().gateway);
}

}  // namespace
}  // namespace wow
