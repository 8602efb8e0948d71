// Races for keys in many small runs from seeds, under every fault, judged by a linearizability
// checker. The long mode is the same test over more seeds:
//   WOW_SEEDS=1-10000 bazel run //tests/dht:races_test
// is 10^6 races; it says from time to time with which seed to go on after an interruption.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "base/log.h"
#include "tests/dht/race_run.h"

namespace wow {
namespace {

constexpr int kRacesPerSeed = 100;
constexpr std::uint64_t kSeeds = 100;
constexpr std::uint64_t kReportEvery = 100;  // seeds
constexpr int kFailuresMax = 20;             // then it ends
constexpr int kRacesToJudge = 1000;          // fewer say nothing about how many are won

// WOW_SEEDS=FIRST-LAST replays or widens a test.
std::pair<std::uint64_t, std::uint64_t> seeds() {
  const char* given = std::getenv("WOW_SEEDS");
  if (!given) return {1, kSeeds};
  char* end = nullptr;
  const auto first = std::strtoull(given, &end, 10);
  return {first, *end == '-' ? std::strtoull(end + 1, nullptr, 10) : first};
}

// Silent but where one seed is replayed: what the nodes say would bury the line that says where to
// go on.
class DhtRaces : public testing::Test {
 protected:
  DhtRaces() {
    const auto [first, last] = seeds();
    if (first < last) set_log_sink([](LogLevel, const std::string&) {});
  }
  ~DhtRaces() override { set_log_sink({}); }
};

TEST_F(DhtRaces, CreateIsLinearizableAndNoTwoHoldAKeyWhateverFails) {
  const auto [first, last] = seeds();
  RaceCounts counts;
  int failures = 0;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    RaceRun run(seed, kRacesPerSeed);
    const std::string& failure = run.run();
    EXPECT_EQ(failure, "") << "replay: WOW_SEEDS=" << seed << " bazel run //tests/dht:races_test";
    counts += run.counts();
    failures += !failure.empty();
    ASSERT_LT(failures, kFailuresMax);
    if (seed % kReportEvery == 0 && seed < last) {
      std::cout << counts.text() << "; go on with WOW_SEEDS=" << seed + 1 << '-' << last
                << std::endl;
    }
  }
  std::cout << counts.text() << std::endl;
  if (failures > 0) return;
  EXPECT_EQ(counts.races, static_cast<int>(last - first + 1) * kRacesPerSeed);
  if (counts.races < kRacesToJudge) return;
  EXPECT_GT(counts.won, counts.races / 2) << "the test tested something";
  EXPECT_GT(counts.lost, counts.races / 2);
}

// Each found a fault that is mended.
TEST_F(DhtRaces, SeedsThatFailedOnce) {
  for (const std::uint64_t seed : {193, 1016, 2608, 2716, 2724, 3357, 5140, 6187, 7903, 8110}) {
    RaceRun run(seed, kRacesPerSeed);
    EXPECT_EQ(run.run(), "") << "seed " << seed;
  }
}

}  // namespace
}  // namespace wow
