#include "tunnel/path_set.h"

#include <gtest/gtest.h>

namespace wow {
namespace {

Path direct(int n) { return Path::direct({IpAddress::v4(0xc6336400 + n), 4433}); }

class Paths : public testing::Test {
 protected:
  PathRecord& proven(const Path& path, Duration round_trip) {
    PathRecord& record = set_.add(path, now_);
    set_.prove(record, round_trip, now_);
    set_.choose();
    return record;
  }
  Path best() { return set_.best() == nullptr ? Path() : set_.best()->state.path; }

  TimePoint now_{1000s};
  SeededRandom random_{1};
  PathSet set_{8};
};

TEST_F(Paths, AnUnprovenEndpointIsNotUsed) {
  set_.add(direct(1), now_);
  set_.choose();
  EXPECT_EQ(best(), Path());
}

TEST_F(Paths, ProvenDirectBeforeRoutedBeforeSuspect) {
  set_.add(Path::routed(), now_);
  set_.choose();
  EXPECT_EQ(best(), Path::routed());
  proven(direct(1), 300ms);
  EXPECT_EQ(best(), direct(1));
  set_.find(direct(1))->doubt();
  set_.choose();
  EXPECT_EQ(best(), Path::routed());
  set_.remove(Path::routed());
  set_.choose();
  EXPECT_EQ(best(), direct(1));
  EXPECT_FALSE(set_.best()->state.validated);
}

TEST_F(Paths, RelayedStandsBetweenDirectAndRouted) {
  const Path relayed = Path::relayed(Address::from_bytes(Bytes(Address::kBytes, 1)), 7);
  set_.add(Path::routed(), now_);
  set_.add(relayed, now_);
  set_.choose();
  EXPECT_EQ(best(), Path::routed()) << "a circuit must prove itself";
  proven(relayed, 300ms);
  EXPECT_EQ(best(), relayed);
  proven(direct(1), 900ms);
  EXPECT_EQ(best(), direct(1));
  set_.find(direct(1))->doubt();
  set_.choose();
  EXPECT_EQ(best(), relayed);
  set_.find(relayed)->doubt();
  set_.choose();
  EXPECT_EQ(best(), Path::routed());
}

TEST_F(Paths, OfTwoCircuitsTheQuicker) {
  const Address relay = Address::from_bytes(Bytes(Address::kBytes, 1));
  proven(Path::relayed(relay, 7), 100ms);
  proven(Path::relayed(relay, 8), 50ms);
  EXPECT_EQ(best(), Path::relayed(relay, 8));
}

TEST_F(Paths, TheQuickerIsUsedButNoiseMovesNothing) {
  proven(direct(1), 20ms);
  proven(direct(2), 18ms);
  EXPECT_EQ(best(), direct(1));
  proven(direct(3), 5ms);
  EXPECT_EQ(best(), direct(3));
}

TEST_F(Paths, FollowingNeverFlaps) {
  for (int ours = 1; ours < 60; ++ours) {
    for (int theirs = 1; theirs < 60; ++theirs) {
      PathSet set(8);
      set.prove(set.add(direct(1), now_), ours * 1ms, now_);
      set.choose();
      set.prove(set.add(direct(2), now_), theirs * 1ms, now_);
      set.follow(direct(2));
      const Path followed = set.best()->state.path;
      set.choose();
      EXPECT_EQ(set.best()->state.path, followed) << ours << " " << theirs;
    }
  }
}

TEST_F(Paths, TheTableIsBoundedAndTheBestStays) {
  proven(direct(0), 10ms);
  for (int i = 1; i < 100; ++i) set_.add(direct(i), now_);
  EXPECT_EQ(set_.records().size(), 8u);
  EXPECT_EQ(best(), direct(0));
}

TEST_F(Paths, AnAnswerCountsOnceAndNotTooLate) {
  const std::uint64_t token = set_.challenge(direct(1), random_, now_);
  EXPECT_FALSE(set_.answered(token + 1, now_));
  const auto answer = set_.answered(token, now_ + 30ms);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->path, direct(1));
  EXPECT_EQ(answer->round_trip, 30ms);
  EXPECT_FALSE(set_.answered(token, now_ + 30ms));
  const std::uint64_t late = set_.challenge(direct(1), random_, now_);
  EXPECT_FALSE(set_.answered(late, now_ + PathSet::kChallengeLife + 1ms));
}

TEST_F(Paths, OutstandingChallengesAreBounded) {
  const std::uint64_t first = set_.challenge(direct(1), random_, now_);
  for (std::size_t i = 0; i < PathSet::kChallengesMax; ++i) {
    set_.challenge(direct(2), random_, now_);
  }
  EXPECT_FALSE(set_.answered(first, now_));
}

TEST_F(Paths, WhatNeverAnsweredIsForgotten) {
  set_.add(direct(1), now_);
  proven(direct(2), 10ms);
  set_.forget_unproven(now_ + 5s);
  EXPECT_EQ(set_.records().size(), 2u);
  set_.forget_unproven(now_ + 11s);
  EXPECT_EQ(set_.records().size(), 1u);
}

}  // namespace
}  // namespace wow
