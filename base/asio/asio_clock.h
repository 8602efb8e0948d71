// The daemon's clock: CLOCK_BOOTTIME, which counts while the machine sleeps, and timers fired on an
// Asio executor from one timerfd. Everything on that executor's thread (or strand).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "base/clock.h"

namespace wow {

class AsioClock final : public Clock {
 public:
  explicit AsioClock(boost::asio::any_io_executor executor);
  ~AsioClock() override;

  TimePoint now() const override { return boot_now(); }
  WallTime wall() const override;
  TimerId schedule(TimePoint at, std::function<void()> fire) override;
  void cancel(TimerId id) override;
  // No timer fires any more and the executor runs out of our work.
  void stop();

  static TimePoint boot_now();  // any thread

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace wow
