// The search for what a path carries, alone: against a path that carries so much and loses some.
#include "tunnel/path_mtu.h"

#include <gtest/gtest.h>

#include <deque>

#include "base/random.h"

namespace wow {
namespace {

constexpr std::size_t kWanted = 1427;  // of frames of 1,394 bytes
const Path kPath = Path::direct({IpAddress::v4(0x0a000001), 4433});

class Wire {
 public:
  explicit Wire(std::size_t carries, Duration round_trip = 40ms, double loss = 0)
      : carries(carries), round_trip_(round_trip), loss_(loss) {}

  // Time passes, with traffic.
  void run(PathMtu& mtu, Duration span) {
    const TimePoint end = now + span;
    while (now < end) {
      for (const auto& probe : mtu.due(now, round_trip_, random_)) {
        bytes += probe.size;
        if (probe.size <= carries && random_.unit() >= loss_) {
          answers_.push_back({now + round_trip_, probe.token});
        }
      }
      now += 1ms;
      while (!answers_.empty() && answers_.front().first <= now) {
        EXPECT_TRUE(mtu.on_answer(answers_.front().second, now));
        answers_.pop_front();
      }
    }
  }

  std::size_t carries;
  TimePoint now{1s};
  std::size_t bytes = 0;

 private:
  Duration round_trip_;
  double loss_;
  SeededRandom random_{1};
  std::deque<std::pair<TimePoint, std::uint64_t>> answers_;
};

TEST(PathMtu, OnePacketTellsOfAPathThatCarriesAll) {
  PathMtu mtu(kPath, kWanted);
  Wire wire(1472);
  EXPECT_EQ(mtu.datagram_max(), kWanted);
  wire.run(mtu, 900ms);
  EXPECT_EQ(mtu.datagram_max(), kWanted);
  EXPECT_EQ(wire.bytes, kWanted);
}

class PathMtuOf : public testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(Carries, PathMtuOf,
                         testing::Values(1201, 1232, 1252, 1300, 1372, 1400, 1426));

TEST_P(PathMtuOf, IsFoundWithinTwoSeconds) {
  PathMtu mtu(kPath, kWanted);
  Wire wire(GetParam());
  wire.run(mtu, 2s);
  EXPECT_LE(mtu.datagram_max(), GetParam());
  wire.run(mtu, 3s);
  EXPECT_LE(mtu.datagram_max(), GetParam());
  EXPECT_GT(mtu.datagram_max() + PathMtu::kGranule, GetParam());
}

TEST_P(PathMtuOf, IsFoundWhenThePathChanges) {
  PathMtu mtu(kPath, kWanted);
  Wire wire(1472);
  wire.run(mtu, 10s);
  wire.carries = GetParam();
  wire.run(mtu, 2s);
  EXPECT_LE(mtu.datagram_max(), GetParam());
  EXPECT_GE(mtu.datagram_max(), PathMtu::kBase);
  wire.run(mtu, 3s);
  EXPECT_GT(mtu.datagram_max() + PathMtu::kGranule, GetParam());
  // And it is tried again whether it carries more.
  wire.carries = 1472;
  wire.run(mtu, 5s);
  EXPECT_LT(mtu.datagram_max(), kWanted);
  wire.run(mtu, PathMtu::kRaise);
  EXPECT_EQ(mtu.datagram_max(), kWanted);
}

TEST(PathMtu, AJumboPathIsUsed) {
  PathMtu mtu(kPath, 8947);
  Wire wire(8972);
  wire.run(mtu, 100ms);
  EXPECT_EQ(mtu.datagram_max(), 8947U);
  PathMtu narrow(kPath, 8947);
  Wire usual(1472);
  usual.run(narrow, 5s);
  EXPECT_GT(narrow.datagram_max() + PathMtu::kGranule, 1472U);
  EXPECT_LE(narrow.datagram_max(), 1472U);
}

TEST(PathMtu, LostPacketsAreNoBlackHole) {
  PathMtu mtu(kPath, kWanted);
  Wire wire(1472, 40ms, 0.1);
  for (int second = 0; second < 3600; ++second) {
    wire.run(mtu, 1s);
    ASSERT_EQ(mtu.datagram_max(), kWanted) << second;
  }
}

TEST(PathMtu, WhatMustPassAnywayIsNotAskedAbout) {
  PathMtu mtu(kPath, 900);
  Wire wire(1472);
  wire.run(mtu, 10s);
  EXPECT_EQ(wire.bytes, 0U);
  EXPECT_EQ(mtu.datagram_max(), PathMtu::kBase);
}

TEST(PathMtu, AStrangersAnswerIsNone) {
  PathMtu mtu(kPath, kWanted);
  SeededRandom random(7);
  const auto probes = mtu.due(TimePoint(1s), 10ms, random);
  ASSERT_EQ(probes.size(), 1U);
  EXPECT_FALSE(mtu.on_answer(probes[0].token + 1, TimePoint(1s)));
  EXPECT_TRUE(mtu.on_answer(probes[0].token, TimePoint(1s)));
  EXPECT_FALSE(mtu.on_answer(probes[0].token, TimePoint(1s)));
}

}  // namespace
}  // namespace wow
