#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/timer_queue.h"

namespace wow {
namespace {

// Time moves by advance() alone.
class ManualClock final : public Clock {
 public:
  TimePoint now() const override { return now_; }
  WallTime wall() const override { return WallTime(); }
  TimerId schedule(TimePoint at, std::function<void()> fire) override {
    return queue.add(at, std::move(fire));
  }
  void cancel(TimerId id) override { queue.cancel(id); }
  void advance(Duration by) {
    now_ += by;
    while (queue.fire_one(now_)) {
    }
  }
  TimerQueue queue;

 private:
  TimePoint now_{};
};

TEST(TimerQueue, FiresInOrderOfTimeThenOfSetting) {
  TimerQueue queue;
  std::vector<int> fired;
  const TimePoint t{};
  queue.add(t + 2s, [&] { fired.push_back(3); });
  queue.add(t + 1s, [&] { fired.push_back(1); });
  queue.add(t + 1s, [&] { fired.push_back(2); });
  EXPECT_EQ(queue.next_due(), t + 1s);
  EXPECT_FALSE(queue.fire_one(t));
  while (queue.fire_one(t + 5s)) {
  }
  EXPECT_EQ(fired, (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(queue.next_due(), std::nullopt);
}

TEST(TimerQueue, CancelledTimersStaySilentAndDeadIdsDoNoHarm) {
  TimerQueue queue;
  int fired = 0;
  const TimerId first = queue.add(TimePoint(), [&] { ++fired; });
  const TimerId second = queue.add(TimePoint(), [&] { ++fired; });
  queue.cancel(first);
  queue.cancel(first);
  queue.cancel(999);
  EXPECT_TRUE(queue.fire_one(TimePoint()));
  queue.cancel(second);
  EXPECT_FALSE(queue.fire_one(TimePoint()));
  EXPECT_EQ(fired, 1);
  EXPECT_EQ(queue.size(), 0u);
}

TEST(Timer, FiresOnceAfterItsDelay) {
  ManualClock clock;
  Timer timer(clock);
  int fired = 0;
  timer.after(1s, [&] { ++fired; });
  EXPECT_TRUE(timer.is_set());
  EXPECT_EQ(timer.due(), clock.now() + 1s);
  clock.advance(999ms);
  EXPECT_EQ(fired, 0);
  clock.advance(1ms);
  EXPECT_EQ(fired, 1);
  EXPECT_FALSE(timer.is_set());
  clock.advance(10s);
  EXPECT_EQ(fired, 1);
}

TEST(Timer, StartingAgainReplacesWhatWasSet) {
  ManualClock clock;
  Timer timer(clock);
  std::vector<int> fired;
  timer.after(1s, [&] { fired.push_back(1); });
  timer.after(2s, [&] { fired.push_back(2); });
  clock.advance(5s);
  EXPECT_EQ(fired, std::vector<int>{2});
}

TEST(Timer, ARunningTimerMaySetItselfAgain) {
  ManualClock clock;
  Timer timer(clock);
  int fired = 0;
  std::function<void()> again = [&] {
    if (++fired < 3) timer.after(1s, again);
  };
  timer.after(1s, again);
  for (int i = 0; i < 5; ++i) clock.advance(1s);
  EXPECT_EQ(fired, 3);
}

TEST(Timer, GoesWithItsOwnerEvenFromInside) {
  ManualClock clock;
  int fired = 0;
  {
    Timer timer(clock);
    timer.after(1s, [&] { ++fired; });
  }
  clock.advance(2s);
  EXPECT_EQ(fired, 0);

  auto owner = std::make_unique<Timer>(clock);
  const auto witness = std::make_shared<int>(7);
  owner->after(1s, [&owner, &fired, witness] {
    owner.reset();
    fired += *witness;  // what was captured outlives the timer
  });
  clock.advance(2s);
  EXPECT_EQ(fired, 7);
  EXPECT_EQ(witness.use_count(), 1);
}

}  // namespace
}  // namespace wow
