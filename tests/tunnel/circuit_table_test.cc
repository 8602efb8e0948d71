#include "tunnel/circuit_table.h"

#include <gtest/gtest.h>

namespace wow {
namespace {

Address node(std::uint32_t n) {
  return Address::from_bytes(concat({Writer().u32(n).view(), Bytes(Address::kBytes - 4)}));
}

class Circuits : public testing::Test {
 protected:
  TimePoint now_{1000s};
  CircuitTable table_;
};

TEST_F(Circuits, BothLegsLeadToEachOther) {
  ASSERT_TRUE(table_.add_passed_on(1, node(1), 2, node(2), now_));
  ASSERT_NE(table_.find(1), nullptr);
  EXPECT_EQ(table_.find(1)->onward, 2u);
  EXPECT_EQ(table_.find(2)->onward, 1u);
  EXPECT_EQ(table_.find(2)->peer, node(2));
  EXPECT_FALSE(table_.find(1)->ends_here());
  EXPECT_EQ(table_.passed_on(), 1u);
  table_.erase(2);
  EXPECT_EQ(table_.find(1), nullptr);
  EXPECT_EQ(table_.passed_on(), 0u);
}

TEST_F(Circuits, OneThatWasClosedLingers) {
  ASSERT_TRUE(table_.add_passed_on(1, node(1), 2, node(2), now_));
  ASSERT_TRUE(table_.add_end(3, node(1), node(9), now_));
  table_.retire(2, now_);
  table_.retire(3, now_ + 100ms);
  EXPECT_TRUE(table_.find(1)->is_retired() && table_.find(2)->is_retired());
  EXPECT_TRUE(table_.passed_on_legs().empty());
  EXPECT_TRUE(table_.forget_retired(now_ + CircuitTable::kLinger));
  EXPECT_EQ(table_.find(1), nullptr);
  EXPECT_NE(table_.find(3), nullptr);
  EXPECT_FALSE(table_.forget_retired(now_ + CircuitTable::kLinger + 100ms));
  EXPECT_EQ(table_.passed_on() + table_.ends(), 0u);
}

TEST_F(Circuits, ANumberIsTakenOnce) {
  ASSERT_TRUE(table_.add_end(1, node(1), node(9), now_));
  EXPECT_FALSE(table_.add_end(1, node(2), node(9), now_));
  EXPECT_FALSE(table_.add_passed_on(1, node(1), 2, node(2), now_));
  EXPECT_FALSE(table_.add_passed_on(2, node(1), 1, node(2), now_));
  EXPECT_FALSE(table_.add_passed_on(3, node(1), 3, node(2), now_));
  EXPECT_FALSE(table_.add_end(0, node(1), node(9), now_));
  EXPECT_EQ(table_.find(2), nullptr);
  EXPECT_EQ(table_.ends(), 1u);
}

TEST_F(Circuits, NoneGoesBackWhereItCameFrom) {
  EXPECT_FALSE(table_.add_passed_on(1, node(1), 2, node(1), now_));
}

TEST_F(Circuits, WhoIsNoRelayHasItsOwnOnly) {
  CircuitTable none{0};
  EXPECT_FALSE(none.add_passed_on(1, node(1), 2, node(2), now_));
  EXPECT_TRUE(none.add_end(1, node(1), node(9), now_));
  EXPECT_EQ(none.load(now_), 100);
}

TEST_F(Circuits, OnePeerGetsAShareAndAllTogetherABound) {
  std::uint32_t id = 0, made = 0;
  for (std::uint32_t peer = 1; peer <= 100; ++peer) {
    std::size_t of_peer = 0;
    for (int i = 0; i < 100; ++i) {
      const std::uint32_t in = ++id, out = ++id;
      of_peer += table_.add_passed_on(in, node(peer), out, node(1000 + id), now_) ? 1 : 0;
    }
    EXPECT_LE(of_peer, CircuitTable::kLegsPerPeerMax);
    made += of_peer;
  }
  EXPECT_EQ(made, CircuitTable::kPassedOnMax);
  EXPECT_EQ(table_.passed_on(), CircuitTable::kPassedOnMax);
  std::size_t ends = 0;
  for (int i = 0; i < 1000; ++i)
    ends += table_.add_end(++id, node(5000 + i), node(9), now_) ? 1 : 0;
  EXPECT_EQ(ends, CircuitTable::kEndsMax);
}

TEST_F(Circuits, WhatIsErasedGivesItsRoomBack) {
  for (int round = 0; round < 100; ++round) {
    ASSERT_TRUE(table_.add_passed_on(1, node(1), 2, node(2), now_));
    ASSERT_TRUE(table_.add_end(3, node(1), node(2), now_));
    table_.erase(1);
    table_.erase(3);
    table_.erase(3);
  }
  EXPECT_EQ(table_.ends() + table_.passed_on(), 0u);
}

TEST_F(Circuits, IdleOnesAreNamedBothLegsAlike) {
  table_.add_passed_on(1, node(1), 2, node(2), now_);
  table_.add_passed_on(3, node(1), 4, node(2), now_);
  table_.add_end(5, node(1), node(7), now_);
  const TimePoint later = now_ + CircuitTable::kIdle - 1s;
  EXPECT_TRUE(table_.pass(*table_.find(1), later));
  EXPECT_EQ(table_.idle(now_ + CircuitTable::kIdle), (std::vector<std::uint32_t>{3, 4, 5}));
  EXPECT_EQ(table_.with_peer(node(1)), (std::vector<std::uint32_t>{1, 3, 5}));
  EXPECT_EQ(table_.ends_with(node(7)), (std::vector<std::uint32_t>{5}));
}

TEST_F(Circuits, ACircuitPassesOnSoManyASecond) {
  table_.add_passed_on(1, node(1), 2, node(2), now_);
  int passed = 0;
  for (int i = 0; i < 10 * CircuitLeg::kPacketsPerSecond; ++i) {
    passed +=
        table_.pass(*table_.find(1), now_ + Duration(1s) * i / CircuitLeg::kPacketsPerSecond / 10)
            ? 1
            : 0;
  }
  EXPECT_GE(passed, CircuitLeg::kPacketsPerSecond);
  EXPECT_LE(passed, 2 * CircuitLeg::kPacketsPerSecond);
  EXPECT_TRUE(table_.pass(*table_.find(2), now_ + 1s)) << "the other way has its own rate";
}

}  // namespace
}  // namespace wow
