#include "overlay/near_set.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "overlay/far.h"

namespace wow {
namespace {

Address at(int place) {
  Bytes bytes(Address::kBytes);
  bytes[0] = static_cast<std::uint8_t>(place);
  return Address::from_bytes(bytes);
}

std::vector<Address> all(std::initializer_list<int> places) {
  std::vector<Address> out;
  for (const int p : places) out.push_back(at(p));
  return out;
}

TEST(NearSet, HoldsTheNearestOnEachSideNearestFirst) {
  EXPECT_EQ(near_set(at(100), all({10, 90, 95, 98, 103, 110, 120, 200}), 2),
            all({98, 103, 95, 110}));
}

TEST(NearSet, WrapsAroundZero) {
  EXPECT_EQ(near_set(at(2), all({250, 5, 100, 130}), 1), all({5, 250}));
}

TEST(NearSet, OfAFewIsAllOfThemOnce) {
  EXPECT_EQ(near_set(at(2), all({3, 9, 3, 2}), 3), all({3, 9}));
}

TEST(NearSet, KnowsWhoWouldBelongToIt) {
  const auto members = all({10, 90, 95, 98, 103, 110, 120, 200});
  const auto near = near_set(at(100), members, 2);
  for (int place = 0; place < 256; ++place) {
    if (place == 100) continue;
    auto with_it = members;
    with_it.push_back(at(place));
    with_it = near_set(at(100), with_it, 2);
    EXPECT_EQ(is_among_nearest(at(100), near, at(place), 2),
              std::count(with_it.begin(), with_it.end(), at(place)) == 1)
        << place;
  }
}

TEST(SizeEstimate, CountsASmallRingExactly) {
  EXPECT_EQ(estimate_size(at(0), {}), 1);
  EXPECT_EQ(estimate_size(at(0), all({1, 2})), 3);
}

TEST(SizeEstimate, IsRightOnAverage) {
  SeededRandom random(1);
  const auto draw = [&] {
    Bytes bytes(Address::kBytes);
    random.fill(bytes);
    return Address::from_bytes(bytes);
  };
  double sum = 0;
  for (int run = 0; run < 100; ++run) {
    std::vector<Address> members;
    for (int i = 0; i < 999; ++i) members.push_back(draw());
    const Address self = draw();
    sum += std::log2(estimate_size(self, near_set(self, members, 3)));
  }
  EXPECT_NEAR(sum / 100, std::log2(1000), 0.5);
}

// Density proportional to 1/d: every doubling of the distance gets as many draws.
TEST(FarDraws, AreHarmonic) {
  SeededRandom random(1);
  std::map<int, int> by_octave;
  const int draws = 9000;
  for (int i = 0; i < draws; ++i) {
    const Address d = ring_distance(at(7), draw_far(at(7), 1024, random));
    ++by_octave[static_cast<int>(std::floor(log2_of(d)))];
  }
  // From 2^150 (1/1024 of the ring) to 2^159 (half of it).
  for (int octave = 150; octave < 159; ++octave) EXPECT_NEAR(by_octave[octave], draws / 9, 120);
}

TEST(FarDraws, GoBothWaysRound) {
  SeededRandom random(1);
  int forwards = 0;
  for (int i = 0; i < 1000; ++i) {
    const Address x = draw_far(at(7), 1024, random);
    if (clockwise(at(7), x) < Address::power_of_two(159)) ++forwards;
  }
  EXPECT_NEAR(forwards, 500, 60);
}

TEST(FarWanted, IsNoneWhereNearEdgesReachEverybodyElseLogN) {
  EXPECT_EQ(far_wanted(1), 0);
  EXPECT_EQ(far_wanted(7), 0);
  EXPECT_EQ(far_wanted(8), 3);
  EXPECT_EQ(far_wanted(16), 4);
  EXPECT_EQ(far_wanted(1000), 8);
  EXPECT_EQ(far_wanted(10000), 10);
  EXPECT_EQ(far_wanted(100000), 14);
  EXPECT_EQ(far_wanted(1e12), 16);
}

}  // namespace
}  // namespace wow
