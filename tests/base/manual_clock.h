// A clock that is moved by hand, for tests of what asks for nothing else of the world.
#pragma once

#include <algorithm>
#include <functional>
#include <utility>

#include "base/clock.h"
#include "base/timer_queue.h"

namespace wow {

class ManualClock final : public Clock {
 public:
  TimePoint now() const override { return now_; }
  WallTime wall() const override { return {}; }
  TimerId schedule(TimePoint at, std::function<void()> fire) override {
    return timers_.add(at, std::move(fire));
  }
  void cancel(TimerId id) override { timers_.cancel(id); }

  void run_for(Duration span) {
    const TimePoint end = now_ + span;
    while (const auto due = timers_.next_due()) {
      if (*due > end) break;
      now_ = std::max(now_, *due);
      timers_.fire_one(now_);
    }
    now_ = end;
  }
  // The machine sleeps: time passes and no timer fires.
  void sleep_for(Duration span) { now_ += span; }

 private:
  TimePoint now_{1h};
  TimerQueue timers_;
};

}  // namespace wow
