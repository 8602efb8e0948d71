// What a line does to frames, exactly: time and chance are passed in.
#include "tools/lab/delay_line.h"

#include <gtest/gtest.h>

namespace wow::lab {
namespace {

constexpr std::size_t kFrame = 1514;
const TimePoint kStart{1000s};
using Fate = DelayLine::Fate;

TEST(DelayLine, DelaysByWhatItIsTold) {
  DelayLine line(1);
  LineQuality quality;
  quality.delay = 20ms;
  EXPECT_EQ(line.admit(quality, kFrame, kStart).due, kStart + 20ms);
  quality.delay = 0ms;
  EXPECT_EQ(line.admit(quality, kFrame, kStart + 30ms).due, kStart + 30ms);
}

TEST(DelayLine, KeepsTheOrderUnlessItMayNot) {
  DelayLine kept(1), mixed(1);
  LineQuality quality;
  quality.delay = 20ms;
  quality.jitter = 10ms;
  TimePoint last{};
  int overtaken = 0;
  for (int i = 0; i < 1000; ++i) {
    const TimePoint due = kept.admit(quality, kFrame, kStart + i * 1ms).due;
    EXPECT_GE(due, last);
    EXPECT_GE(due, kStart + i * 1ms + 10ms);
    last = due;
  }
  quality.reorder = true;
  last = {};
  for (int i = 0; i < 1000; ++i) {
    const TimePoint due = mixed.admit(quality, kFrame, kStart + i * 1ms).due;
    EXPECT_LE(due, kStart + i * 1ms + 30ms);
    overtaken += due < last;
    last = due;
  }
  EXPECT_GT(overtaken, 100);
}

TEST(DelayLine, LosesWhatItShould) {
  DelayLine line(7);
  LineQuality quality;
  quality.loss = 0.05;
  int lost = 0;
  for (int i = 0; i < 20'000; ++i) lost += line.admit(quality, kFrame, kStart).fate == Fate::kLost;
  EXPECT_NEAR(lost, 1000, 150);
}

TEST(DelayLine, SendsAtItsRateAndDropsWhatWaitsTooLong) {
  DelayLine line(1);
  LineQuality quality;
  quality.bits_per_second = 10'000'000;
  const Duration each = Duration((kFrame + kWireBytes) * 8 * 100);  // 100 ns a bit
  EXPECT_EQ(line.admit(quality, kFrame, kStart).due, kStart + each);
  EXPECT_EQ(line.admit(quality, kFrame, kStart).due, kStart + 2 * each);
  // After a pause it is as new.
  EXPECT_EQ(line.admit(quality, kFrame, kStart + 1s).due, kStart + 1s + each);
  int passed = 0;
  for (int i = 0; i < 1000; ++i)
    passed += line.admit(quality, kFrame, kStart + 2s).fate == Fate::kPasses;
  EXPECT_NEAR(passed, kLineQueueMax / each + 1, 2);
  EXPECT_EQ(line.admit(quality, kFrame, kStart + 2s).fate, Fate::kQueueFull);
}

TEST(DelayLine, SwallowsWhatIsTooLarge) {
  DelayLine line(1);
  LineQuality quality;
  quality.mtu = 1280;
  EXPECT_EQ(line.admit(quality, 1280 + kEthernetHeaderBytes, kStart).fate, Fate::kPasses);
  EXPECT_EQ(line.admit(quality, 1281 + kEthernetHeaderBytes, kStart).fate, Fate::kTooLarge);
  quality.mtu = kMtuMax;
  EXPECT_EQ(line.admit(quality, kMtuMax + kEthernetHeaderBytes, kStart).fate, Fate::kPasses);
}

}  // namespace
}  // namespace wow::lab
