#include "base/asio/asio_clock.h"

#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <system_error>

#include "base/timer_queue.h"

namespace wow {

namespace asio = boost::asio;

// Shared with the pending wait, which may outlive the clock by one turn of the executor.
class AsioClock::Impl : public std::enable_shared_from_this<AsioClock::Impl> {
 public:
  explicit Impl(asio::any_io_executor executor) : timer_(std::move(executor)) {
    const int fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (fd < 0) throw std::system_error(errno, std::generic_category(), "timerfd_create");
    timer_.assign(fd);
  }

  TimerId schedule(TimePoint at, std::function<void()> fire) {
    const TimerId id = queue_.add(at, std::move(fire));
    arm();
    return id;
  }
  void cancel(TimerId id) { queue_.cancel(id); }
  void stop() {
    stopped_ = true;
    timer_.close();
  }

 private:
  // The timerfd is set only when an earlier time is wanted; a cancelled timer costs one idle
  // wake-up.
  void arm() {
    const auto due = queue_.next_due();
    if (stopped_ || firing_ || !due || (armed_for_ && *armed_for_ <= *due)) return;
    armed_for_ = *due;
    const auto ns = std::max<Duration::rep>(due->time_since_epoch().count(), 1);
    itimerspec when{};
    when.it_value.tv_sec = ns / 1'000'000'000;
    when.it_value.tv_nsec = ns % 1'000'000'000;
    timerfd_settime(timer_.native_handle(), TFD_TIMER_ABSTIME, &when, nullptr);
    if (waiting_) return;
    waiting_ = true;
    timer_.async_wait(asio::posix::stream_descriptor::wait_read,
                      [self = shared_from_this()](const boost::system::error_code& error) {
                        self->waiting_ = false;
                        if (!error) self->fire();
                      });
  }

  void fire() {
    std::uint64_t expirations;
    [[maybe_unused]] const auto got =
        read(timer_.native_handle(), &expirations, sizeof expirations);
    armed_for_.reset();
    firing_ = true;
    // The limit lets sockets have their turn when timers breed timers.
    for (int fired = 0; fired < 1000 && !stopped_ && queue_.fire_one(boot_now()); ++fired) {
    }
    firing_ = false;
    arm();
  }

  asio::posix::stream_descriptor timer_;
  TimerQueue queue_;
  std::optional<TimePoint> armed_for_;
  bool waiting_ = false;
  bool firing_ = false;
  bool stopped_ = false;
};

AsioClock::AsioClock(asio::any_io_executor executor)
    : impl_(std::make_shared<Impl>(std::move(executor))) {}
AsioClock::~AsioClock() { stop(); }

TimePoint AsioClock::boot_now() {
  timespec t;
  clock_gettime(CLOCK_BOOTTIME, &t);
  return TimePoint(std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec));
}

WallTime AsioClock::wall() const {
  return std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
}

TimerId AsioClock::schedule(TimePoint at, std::function<void()> fire) {
  return impl_->schedule(at, std::move(fire));
}
void AsioClock::cancel(TimerId id) { impl_->cancel(id); }
void AsioClock::stop() { impl_->stop(); }

}  // namespace wow
