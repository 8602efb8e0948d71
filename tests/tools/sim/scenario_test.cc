// Small versions of what `wow sim` runs; each failure prints the command that shows it again.
#include <gtest/gtest.h>

#include <string>

#include "base/log.h"
#include "tools/sim/ring_shape.h"
#include "tools/sim/seed_runs.h"

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
      const Outcome outcome = runs(*scenario, options).run(seed);
      EXPECT_EQ(outcome.violation, "") << replay(name, options, seed);
      EXPECT_TRUE(outcome.report.met())
          << outcome.report.table() << "again: " << replay(name, options, seed);
    }
  }

  static SeedRuns runs(const Scenario& scenario, const SimOptions& options) {
    return {scenario, options, [](std::uint64_t) { return SimRun::Progress(); }};
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

TEST_F(ScenarioTest, HalfOfTheNodesDie) {
  meets("half-dies", {.nodes = 40}, 1, 4);
  // Those that are looked at further.
  for (const std::uint64_t seed : {11, 21, 31}) meets("half-dies", {.nodes = 40}, seed, seed);
}
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
    const Outcome outcome = runs(scenario, options).run(7);
    EXPECT_EQ(outcome.violation, "") << replay(scenario.name, options, 7);
    EXPECT_FALSE(outcome.report.figures().empty()) << scenario.name;
  }
}

// The same packets at the same nanoseconds; `wow sim` prints the same trace with sanitizers, too.
TEST_F(ScenarioTest, ASeedIsOneRun) {
  SimOptions options;
  options.nodes = 30;
  options.latency = "model";
  options.loss = 0.02;
  const auto trace = [&](std::uint64_t seed) {
    return runs(*find_scenario("half-dies"), options).run(seed).trace_hash;
  };
  EXPECT_EQ(trace(3), trace(3));
  EXPECT_NE(trace(3), trace(4));
}

// One ring for a hundred seeds, each in a process of its own: the same run as alone.
TEST_F(ScenarioTest, ASeedAmongManyIsTheSameRun) {
  SimOptions options;
  options.nodes = 30;
  options.loss = 0.02;
  const Scenario& scenario = *find_scenario("half-dies");
  SeedRuns many = runs(scenario, options);
  for (const std::uint64_t seed : {201, 202, 301}) {
    const Outcome among = many.run_one_of_many(seed), alone = runs(scenario, options).run(seed);
    EXPECT_EQ(among.trace_hash, alone.trace_hash) << seed;
    EXPECT_EQ(among.report.json(), alone.report.json()) << seed;
  }
}

TEST_F(ScenarioTest, AReportIsReadAsItWasWritten) {
  Report report;
  report.at_most("a \"late\" one", kNever, 10, "s");
  report.at_least("part", 0.9998, 0.9999);
  report.note("seen", 3);
  const Report read = Report::parse(report.json());
  EXPECT_EQ(read.json(), report.json());
  EXPECT_EQ(read.table(), report.table());
  EXPECT_FALSE(read.met());
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
