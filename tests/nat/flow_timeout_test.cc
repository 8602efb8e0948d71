// How soon flows are forgotten, told by what was kept out.
#include "nat/flow_timeout.h"

#include <gtest/gtest.h>

namespace wow {
namespace {

constexpr Duration kNothing{};
const TimePoint kStart{1h};

TEST(FlowTimeout, OneCaseMayHaveBeenAnOutage) {
  FlowTimeout flow;
  EXPECT_FALSE(flow.on_missed(26s, kStart));
  EXPECT_FALSE(flow.on_missed(26s, kStart + 6min)) << "long ago";
  EXPECT_EQ(flow.keepalive(kStart + 6min), kNothing);
  EXPECT_TRUE(flow.on_missed(26s, kStart + 7min));
  EXPECT_EQ(flow.keepalive(kStart + 7min), 13s);
  EXPECT_EQ(flow.keepalive(kStart + 7min + FlowTimeout::kHolds), kNothing) << "seen anew";
}

TEST(FlowTimeout, ShortSilencesSayNothingAtFirst) {
  FlowTimeout flow;
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(flow.on_missed(14s, kStart + i * 1s));
}

TEST(FlowTimeout, GoesDownStepByStep) {
  FlowTimeout flow;
  TimePoint now = kStart;
  const auto twice = [&](Duration silence) {
    now += 10s;
    EXPECT_FALSE(flow.on_missed(silence, now));
    return flow.on_missed(silence, now + 1s);
  };
  EXPECT_TRUE(twice(20s));
  EXPECT_EQ(flow.keepalive(now), 10s);
  EXPECT_TRUE(twice(9s));
  EXPECT_EQ(flow.keepalive(now), 4500ms);
  EXPECT_TRUE(twice(4s));
  EXPECT_EQ(flow.keepalive(now), FlowTimeout::kLeast);
  EXPECT_FALSE(twice(3s)) << "no further";
  flow.forget();
  EXPECT_EQ(flow.keepalive(now), kNothing) << "another network";
}

// The longer of two silences counts: a flow that was forgotten in the shorter one may have been
// another's outage.
TEST(FlowTimeout, TheLongerSilenceCounts) {
  FlowTimeout flow;
  EXPECT_FALSE(flow.on_missed(16s, kStart));
  EXPECT_TRUE(flow.on_missed(24s, kStart + 1s));
  EXPECT_EQ(flow.keepalive(kStart + 1s), 12s);
}

}  // namespace
}  // namespace wow
