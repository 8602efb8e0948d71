// Notices that the machine has slept: CLOCK_BOOTTIME went on meanwhile and CLOCK_MONOTONIC did not.
// Without waking up to look: the kernel ends a wait on a timerfd when the calendar clock is set,
// and it is set at every resume (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>

#include "base/clock.h"

namespace wow {

// How much the one clock has gained on the other.
class SleepMeter {
 public:
  // Shorter ones are nothing that a NAT or a peer would notice.
  static constexpr Duration kSleepMin = 1s;

  SleepMeter(Duration boot, Duration monotonic) : gained_(boot - monotonic) {}
  // How long the machine has slept since the last call; zero if it did not, or less than kSleepMin.
  Duration slept(Duration boot, Duration monotonic);

 private:
  Duration gained_;
};

class ResumeWatch {
 public:
  // Calls `resumed` on the executor after each sleep with its length.
  ResumeWatch(boost::asio::any_io_executor executor, std::function<void(Duration)> resumed);
  ~ResumeWatch();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace wow
