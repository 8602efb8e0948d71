#include "tunnel/linux/packet_worker.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <system_error>

#include "base/asio/asio_clock.h"
#include "tunnel/linux/frames_in.h"
#include "tunnel/linux/frames_out.h"
#include "tunnel/linux/send_batch.h"

namespace wow {
namespace {

std::int64_t now_ns() { return AsioClock::boot_now().time_since_epoch().count(); }

// A look that found nothing takes a microsecond or two; one that took longer was interrupted by
// somebody who wants the processor.
constexpr std::int64_t kLookNs = 20'000;
// Polling would then take others' time, and our own priority: not for so long, doubled each time.
constexpr std::int64_t kPauseNs = 10'000'000, kPauseMaxNs = 1'000'000'000;

}  // namespace

class PacketWorker::Loop {
 public:
  explicit Loop(const Parts& parts)
      : p_(parts),
        batch_(parts.socket, parts.streams, parts.tables.sent_lately[parts.number], parts.metrics),
        in_(parts.socket, parts.tap, parts.punts, parts.metrics),
        out_(parts.tap, static_cast<std::size_t>(parts.number) + 1, batch_, parts.punts,
             parts.metrics, parts.random) {
    event_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event_fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  }
  ~Loop() { close(event_fd_); }

  void run() {
    std::array<pollfd, 3> fds = {
        {{p_.socket.fd(), POLLIN, 0}, {p_.tap.fd, POLLIN, 0}, {event_fd_, POLLIN, 0}}};
    while (!stop_.load(std::memory_order_relaxed)) {
      p_.tables.readers.asleep(p_.number);
      poll(fds.data(), fds.size(), -1);
      p_.tables.readers.awake(p_.number);
      // What lies nowhere costs no call: for a lone packet that is half of them.
      if (turn(now_ns(), fds[0].revents != 0, fds[1].revents != 0) && p_.poll_for.count() != 0)
        look_on();
      // The interface was deleted: waiting for it would return at once for ever.
      if (fds[1].revents & (POLLERR | POLLHUP | POLLNVAL)) fds[1].fd = -1;
    }
    p_.tables.readers.asleep(p_.number);
  }
  void stop() {
    stop_ = true;
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = write(event_fd_, &one, sizeof one);
  }

 private:
  bool turn(std::int64_t now, bool in, bool out) {
    const bool came_in = in && in_.turn(p_.tables, now);
    const bool went_out = out && out_.turn(p_.tables, now);
    return came_in || went_out;
  }
  // For more, as long as that is worth while.
  void look_on() {
    std::int64_t last_work_ns = now_ns(), last_look_ns = 0;
    while (!stop_.load(std::memory_order_relaxed)) {
      p_.tables.readers.quiet(p_.number);
      const std::int64_t now = now_ns();
      if (turn(now, true, true)) {
        // What was worth waiting for.
        if (last_look_ns != 0) pause_ns_ = kPauseNs;
        last_work_ns = now;
        last_look_ns = 0;
        continue;
      }
      if (last_look_ns != 0 && now - last_look_ns > kLookNs) {
        no_polling_before_ns_ = now + pause_ns_;
        pause_ns_ = std::min(2 * pause_ns_, kPauseMaxNs);
      }
      if (now - last_work_ns >= p_.poll_for.count() || now < no_polling_before_ns_) return;
      last_look_ns = now;
    }
  }

  const Parts p_;
  int event_fd_ = -1;
  std::atomic<bool> stop_{false};
  std::int64_t no_polling_before_ns_ = 0, pause_ns_ = kPauseNs;
  SendBatch batch_;
  FramesIn in_;
  FramesOut out_;
};

PacketWorker::PacketWorker(const Parts& parts)
    : loop_(std::make_unique<Loop>(parts)), thread_([this] { loop_->run(); }) {}

PacketWorker::~PacketWorker() {
  loop_->stop();
  thread_.join();
}

}  // namespace wow
