#include "base/asio/resume_watch.h"

#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <limits>

namespace wow {

namespace asio = boost::asio;

namespace {
Duration read_clock(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}
}  // namespace

Duration SleepMeter::slept(Duration boot, Duration monotonic) {
  const Duration more = boot - monotonic - gained_;
  if (more < kSleepMin) return {};
  gained_ += more;
  return more;
}

// Shared with the pending wait, which may outlive the watch by one turn of the executor.
class ResumeWatch::Impl : public std::enable_shared_from_this<ResumeWatch::Impl> {
 public:
  Impl(asio::any_io_executor executor, std::function<void(Duration)> resumed)
      : timer_(std::move(executor)),
        resumed_(std::move(resumed)),
        meter_(read_clock(CLOCK_BOOTTIME), read_clock(CLOCK_MONOTONIC)) {
    const int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (fd >= 0) timer_.assign(fd);
  }

  void wait() {
    if (!timer_.is_open()) return;
    itimerspec never{};
    never.it_value.tv_sec = std::numeric_limits<std::int32_t>::max();
    timerfd_settime(timer_.native_handle(), TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never,
                    nullptr);
    timer_.async_wait(asio::posix::stream_descriptor::wait_read,
                      [self = shared_from_this()](const boost::system::error_code& error) {
                        if (!error) self->look();
                      });
  }
  void stop() { timer_.close(); }

 private:
  void look() {
    std::uint64_t expirations = 0;
    const ssize_t got = read(timer_.native_handle(), &expirations, sizeof expirations);
    const bool cancelled = got < 0 && errno == ECANCELED;
    const Duration slept = meter_.slept(read_clock(CLOCK_BOOTTIME), read_clock(CLOCK_MONOTONIC));
    if (slept > Duration::zero()) resumed_(slept);
    // A calendar beyond 2038 would end every wait at once.
    if (cancelled && timer_.is_open()) wait();
  }

  asio::posix::stream_descriptor timer_;
  std::function<void(Duration)> resumed_;
  SleepMeter meter_;
};

ResumeWatch::ResumeWatch(asio::any_io_executor executor, std::function<void(Duration)> resumed)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(resumed))) {
  impl_->wait();
}
ResumeWatch::~ResumeWatch() { impl_->stop(); }

}  // namespace wow
