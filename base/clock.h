// Time, passed in. The core reads it only here, so a simulator can own it. TimePoint is monotonic
// and counts while the machine sleeps (CLOCK_BOOTTIME in the daemon); WallTime is the calendar,
// which may jump.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

namespace wow {

using Duration = std::chrono::nanoseconds;
using namespace std::chrono_literals;

struct BootClockTag {
  using duration = Duration;
  using rep = Duration::rep;
  using period = Duration::period;
  using time_point = std::chrono::time_point<BootClockTag>;
  static constexpr bool is_steady = true;
};
using TimePoint = std::chrono::time_point<BootClockTag>;
using WallTime = std::chrono::sys_seconds;

inline double to_seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

using TimerId = std::uint64_t;  // 0: none

class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const = 0;
  virtual WallTime wall() const = 0;
  // Calls `fire` once, at `at` or soon after, on the control thread; never from inside this call.
  virtual TimerId schedule(TimePoint at, std::function<void()> fire) = 0;
  // Forgets a timer that has not fired; harmless otherwise.
  virtual void cancel(TimerId id) = 0;
};

// One timer, cancelled with its owner. Starting it again replaces what was set.
class Timer {
 public:
  explicit Timer(Clock& clock) : clock_(&clock) {}
  Timer(Timer&& other) = delete;
  ~Timer() { cancel(); }

  void after(Duration delay, std::function<void()> fire);
  void cancel();
  bool is_set() const { return id_ != 0; }
  TimePoint due() const { return due_; }

 private:
  Clock* clock_;
  TimerId id_ = 0;
  TimePoint due_{};
  std::function<void()> fire_;  // here, so that what the clock keeps is one pointer
};

}  // namespace wow
