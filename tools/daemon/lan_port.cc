#include "tools/daemon/lan_port.h"

#include <unistd.h>

#include <array>
#include <utility>

namespace wow {
namespace {

// Then others of the control thread have their turn.
constexpr int kFramesPerTurn = 64;
constexpr std::size_t kFrameBytesMax = 2048;

}  // namespace

LanPort::LanPort(NodeHost& host, TapDevice tap)
    : tap_(std::move(tap)), metrics_(host.metric_slot()), readable_(host.executor()) {
  readable_.assign(dup(tap_.fds().front()));
}

LanPort::~LanPort() = default;

void LanPort::start(VirtualNetwork& network) {
  network_ = &network;
  wait();
}

void LanPort::wait() {
  readable_.async_wait(
      boost::asio::posix::stream_descriptor::wait_read,
      [this, alive = std::weak_ptr<bool>(alive_)](const boost::system::error_code& error) {
        if (error || alive.expired()) return;
        read_some();
        wait();
      });
}

void LanPort::read_some() {
  std::array<std::uint8_t, kFrameBytesMax> frame;
  for (int i = 0; i < kFramesPerTurn; ++i) {
    const ssize_t got = read(tap_.fds().front(), frame.data(), frame.size());
    if (got <= 0) return;
    metrics_.add(Metric::kFramesOut);
    network_->on_frame_lan(ByteView(frame).first(static_cast<std::size_t>(got)));
  }
}

void LanPort::write(std::span<const ByteView> frames) {
  for (const ByteView frame : frames) {
    const bool written = ::write(tap_.fds().front(), frame.data(), frame.size()) ==
                         static_cast<ssize_t>(frame.size());
    metrics_.add(written ? Metric::kFramesIn : Metric::kDropQueueFull);
  }
}

}  // namespace wow
