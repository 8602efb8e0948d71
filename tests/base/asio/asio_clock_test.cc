#include "base/asio/asio_clock.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <vector>

namespace wow {
namespace {

class AsioClockTest : public testing::Test {
 protected:
  // Runs until nothing is pending any more, which a forgotten timer would prevent.
  void run() {
    io_.run_for(std::chrono::seconds(20));
    EXPECT_TRUE(io_.stopped());
  }
  void at(Duration delay, int mark) {
    clock_.schedule(start_ + delay, [this, mark] { fired_.push_back(mark); });
  }

  boost::asio::io_context io_{1};
  AsioClock clock_{io_.get_executor()};
  const TimePoint start_ = clock_.now();
  std::vector<int> fired_;
};

TEST_F(AsioClockTest, TimersFireInOrderOfTimeThenOfSetting) {
  at(3ms, 30);
  at(1ms, 10);
  at(2ms, 20);
  at(1ms, 11);
  at(-5s, 1);  // due already
  EXPECT_TRUE(fired_.empty());
  run();
  EXPECT_EQ(fired_, (std::vector<int>{1, 10, 11, 20, 30}));
  EXPECT_GE(clock_.now() - start_, 3ms);
}

TEST_F(AsioClockTest, ACancelledTimerDoesNotFire) {
  at(2ms, 2);
  const TimerId id = clock_.schedule(start_ + 1ms, [this] { fired_.push_back(1); });
  clock_.cancel(id);
  clock_.cancel(id);  // harmless
  run();
  EXPECT_EQ(fired_, std::vector<int>{2});
}

TEST_F(AsioClockTest, ATimerMayCancelAndSetOthers) {
  const TimerId later = clock_.schedule(start_ + 2ms, [this] { fired_.push_back(2); });
  clock_.schedule(start_ + 1ms, [this, later] {
    fired_.push_back(1);
    clock_.cancel(later);
    at(3ms, 3);
  });
  run();
  EXPECT_EQ(fired_, (std::vector<int>{1, 3}));
}

TEST_F(AsioClockTest, AnEarlierTimerOvertakesTheOneArmedFor) {
  at(20s, 2);
  at(1ms, 1);
  clock_.schedule(start_ + 2ms, [this] { io_.stop(); });
  io_.run_for(std::chrono::seconds(10));
  EXPECT_EQ(fired_, std::vector<int>{1});
}

TEST_F(AsioClockTest, TimersThatBreedTimersLeaveOthersTheirTurn) {
  int bred = 0;
  std::function<void()> breed = [&] {
    if (++bred < 100'000) clock_.schedule(start_, breed);
  };
  clock_.schedule(start_, [&] {
    boost::asio::post(io_, [&] { EXPECT_LT(bred, 100'000); });
    breed();
  });
  run();
  EXPECT_EQ(bred, 100'000);
}

TEST_F(AsioClockTest, AfterStopNothingFiresAndTheExecutorRunsOut) {
  at(1h, 1);
  clock_.schedule(start_, [this] {
    at(-1s, 2);
    clock_.stop();
  });
  run();
  EXPECT_TRUE(fired_.empty());
}

TEST(AsioClock, MayDieInsideItsOwnTimer) {
  boost::asio::io_context io{1};
  auto clock = std::make_unique<AsioClock>(io.get_executor());
  int fired = 0;
  clock->schedule(clock->now(), [&] {
    ++fired;
    clock.reset();
  });
  clock->schedule(clock->now() + 1ms, [&] { ++fired; });
  io.run();
  EXPECT_EQ(fired, 1);
}

}  // namespace
}  // namespace wow
