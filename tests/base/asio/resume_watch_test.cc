#include "base/asio/resume_watch.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

namespace wow {
namespace {

TEST(SleepMeter, TimeThatOnlyOneClockCountedWasSlept) {
  SleepMeter meter(100s, 90s);
  EXPECT_EQ(meter.slept(150s, 140s), Duration::zero()) << "both went on";
  EXPECT_EQ(meter.slept(3750s, 140s), 3600s);
  EXPECT_EQ(meter.slept(3760s, 150s), Duration::zero()) << "told once";
}

TEST(SleepMeter, ShortSleepsAddUpUntilTheyMatter) {
  SleepMeter meter(0s, 0s);
  EXPECT_EQ(meter.slept(10600ms, 10s), Duration::zero());
  EXPECT_EQ(meter.slept(21200ms, 20s), 1200ms);
}

TEST(ResumeWatch, LetsTheExecutorEndWithIt) {
  boost::asio::io_context io;
  int resumed = 0;
  {
    ResumeWatch watch(io.get_executor(), [&](Duration) { ++resumed; });
    io.poll();
    EXPECT_FALSE(io.stopped());
  }
  io.run();
  EXPECT_EQ(resumed, 0);
}

}  // namespace
}  // namespace wow
