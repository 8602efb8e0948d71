// Small versions of what `wow sim` runs; each failure prints the command that shows it again.
#include "tools/sim/scenario.h"

#include <gtest/gtest.h>

#include <string>

#include "base/log.h"
#include "tools/sim/ring_shape.h"

namespace wow {
namespace {

class ScenarioTest : public testing::Test {
 protected:
  ScenarioTest() {
    set_log_sink([](LogLevel, const std::string&) {});
  }
  ~ScenarioTest() override { set_log_sink({}); }

  // Whether all figures were met with these seeds.
  void meets(const std::string& name, SimOptions options, std::uint64_t first, std::uint64_t last) {
    const Scenario* scenario = find_scenario(name);
    ASSERT_NE(scenario, nullptr);
    for (std::uint64_t seed = first; seed <= last; ++seed) {
      SimRun run(options, seed, scenario->nodes, {});
      ASSERT_NO_THROW(scenario->run(run)) << replay(name, options, seed);
      EXPECT_TRUE(run.report.met())
          << run.report.table() << "again: " << replay(name, options, seed);
    }
  }

  static std::string replay(const std::string& name, const SimOptions& options,
                            std::uint64_t seed) {
    std::string out = "wow sim " + name + " --nodes " + std::to_string(options.nodes) + " --seed " +
                      std::to_string(seed) + " --latency " + options.latency;
    if (options.minutes > 0) out += " --minutes " + std::to_string(options.minutes);
    if (options.part >= 0) out += " --part " + std::to_string(options.part * 100);
    return out;
  }
};

TEST_F(ScenarioTest, HalfOfTheNodesDie) { meets("half-dies", {.nodes = 40}, 1, 4); }
TEST_F(ScenarioTest, PoolsRestart) { meets("restart", {}, 1, 2); }
TEST_F(ScenarioTest, APartitionHeals) {
  meets("partition", {.nodes = 2, .minutes = 2}, 1, 3);
  meets("partition", {.nodes = 10, .minutes = 2}, 1, 3);
  meets("partition", {.nodes = 50, .minutes = 1}, 1, 1);
}
TEST_F(ScenarioTest, PairsAreBlocked) {
  meets("blocked", {.nodes = 40, .part = 0.3}, 1, 2);
  meets("blocked", {.nodes = 40, .part = 0.5}, 1, 3);
}
TEST_F(ScenarioTest, MostAreBehindHardNats) { meets("hard-nats", {.nodes = 50}, 1, 2); }
TEST_F(ScenarioTest, RoutesAreShort) { meets("hops", {.nodes = 150, .minutes = 1}, 1, 1); }
TEST_F(ScenarioTest, EverybodyIsTold) { meets("broadcast", {.nodes = 60}, 1, 1); }
TEST_F(ScenarioTest, DeathsAreNoticed) {
  SimRun run({.nodes = 20}, 1, 0, {});
  find_scenario("failure")->run(run);
  for (const Figure& figure : run.report.figures()) {
    if (figure.wanted != Figure::Wanted::kAtMost) continue;
    EXPECT_LE(figure.measured, figure.bound) << run.report.table();
  }
}

TEST_F(ScenarioTest, EveryScenarioIsSafe) {
  for (const Scenario& scenario : scenarios()) {
    SimOptions options;
    options.nodes = 25;
    options.minutes = 1;
    SimRun run(options, 7, scenario.nodes, {});
    EXPECT_NO_THROW(scenario.run(run)) << replay(scenario.name, options, 7);
    EXPECT_FALSE(run.report.figures().empty()) << scenario.name;
  }
}

// The same packets at the same nanoseconds; `wow sim` prints the same trace with sanitizers, too.
TEST_F(ScenarioTest, ASeedIsOneRun) {
  const auto trace = [](std::uint64_t seed) {
    SimOptions options;
    options.nodes = 30;
    options.latency = "model";
    options.loss = 0.02;
    SimRun run(options, seed, 0, {});
    find_scenario("half-dies")->run(run);
    return run.world.trace_hash();
  };
  EXPECT_EQ(trace(3), trace(3));
  EXPECT_NE(trace(3), trace(4));
}

TEST_F(ScenarioTest, AMemberThatCountsOnNobodyBreaksTheInvariant) {
  SimRun run({}, 1, 20, {});
  run.grow_ring(20);
  run.demand_one_ring();
  EXPECT_NO_THROW(run.check_safety());
  EXPECT_EQ(ring_shape(run.pool).cycles, 1u);
  EXPECT_EQ(ring_shape(run.pool).on_cycles, 20u);
  // Two halves that no longer see each other are two rings, each in order.
  run.world.set_blocked(
      [](const SimHost& from, const SimHost& to) { return (from.id() < 10) != (to.id() < 10); });
  run.world.run_for(40s);
  EXPECT_EQ(ring_shape(run.pool).cycles, 2u);
  EXPECT_TRUE(ring_shape(run.pool).ordered);
  EXPECT_THROW(run.check_safety(), SafetyViolation);
}

}  // namespace
}  // namespace wow
