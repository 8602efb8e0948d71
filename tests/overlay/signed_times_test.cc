#include "overlay/signed_times.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/overlay/pool_fixture.h"

namespace wow {
namespace {

using Age = SignedTimes::Age;

Address source(std::uint64_t i) { return FakeCredentials::address_of(i); }

constexpr TimePoint kNow{Duration(1h)};
constexpr SignedTimes::Limits kLimits{100, 8, 2s, 60s};

// As its users do.
Age take(SignedTimes& times, std::uint64_t from, const SignedTimes::Mark& mark, TimePoint now) {
  const Age age = times.age(source(from), mark, now);
  if (age == Age::kNew) times.remember(source(from), mark, now);
  return age;
}

TEST(SignedTimes, RefusesRepeatedAndOlderOnesOfASourceOnly) {
  SignedTimes times(kLimits);
  EXPECT_EQ(take(times, 1, {50'000, 7}, kNow), Age::kNew);
  EXPECT_EQ(take(times, 1, {50'000, 7}, kNow + 1s), Age::kRepeated);
  EXPECT_EQ(take(times, 1, {49'000, 8}, kNow + 1s), Age::kNew);  // overtaken on the way
  EXPECT_EQ(take(times, 1, {47'000, 9}, kNow + 1s), Age::kOld);
  EXPECT_EQ(take(times, 1, {50'000, 9}, kNow + 1s), Age::kNew);
  EXPECT_EQ(take(times, 2, {47'000, 9}, kNow + 1s), Age::kNew);
  EXPECT_EQ(take(times, 1, {50'000, 7}, kNow + 30s), Age::kOld);  // so late nothing is on its way
}

TEST(SignedTimes, AClockThatIsSetBackIsHeardAgainAfterAWhile) {
  SignedTimes times(kLimits);
  EXPECT_EQ(take(times, 1, {1'000'000'000, 1}, kNow), Age::kNew);
  EXPECT_EQ(take(times, 1, {1, 2}, kNow + 30s), Age::kOld);
  EXPECT_EQ(take(times, 1, {1, 3}, kNow + kLimits.memory + 1s), Age::kNew);
}

TEST(SignedTimes, WhatIsNotRememberedSinglyIsOld) {
  SignedTimes times(kLimits);
  for (std::uint64_t i = 0; i < 2 * kLimits.ids; ++i) {
    EXPECT_EQ(take(times, 1, {static_cast<std::int64_t>(i), i}, kNow), Age::kNew);
  }
  EXPECT_EQ(take(times, 1, {0, 0}, kNow), Age::kOld);
}

TEST(SignedTimes, TimesWithoutReasonDoNoHarm) {
  SignedTimes times(kLimits);
  const auto most = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(take(times, 1, {-most, 1}, kNow), Age::kNew);
  EXPECT_EQ(take(times, 1, {most, 2}, kNow), Age::kNew);
  EXPECT_EQ(take(times, 1, {-most, 3}, kNow), Age::kOld);
}

TEST(SignedTimes, IsBounded) {
  SignedTimes times(kLimits);
  for (std::uint64_t i = 1; i <= kLimits.sources + 50; ++i) {
    take(times, i, {1, 1}, kNow + Duration(i));
  }
  EXPECT_EQ(times.size(), kLimits.sources);
  EXPECT_EQ(take(times, kLimits.sources + 50, {1, 1}, kNow + 1s), Age::kRepeated);
  times.sweep(kNow + kLimits.memory + 1s);
  EXPECT_EQ(times.size(), 0u);
}

class DeadClockTest : public PoolTest {};

TEST_F(DeadClockTest, AMemberWhoseClockIsDeadJoinsLikeAnyOther) {
  add_many(8);
  ASSERT_TRUE(becomes_whole(5s));
  NodeOptions options;
  options.bootstraps = {pool_[0].host.endpoint()};
  for (const auto off : {-std::chrono::hours(24 * 365 * 50), std::chrono::hours(26)}) {
    SimHost& host = world_.add_host("203.0.113." + std::to_string(pool_.members().size()));
    host.set_wall_offset(off);
    pool_.add(host, options);
    EXPECT_TRUE(becomes_whole(3s));
  }
  EXPECT_TRUE(pool_.all_routable());
}

}  // namespace
}  // namespace wow
