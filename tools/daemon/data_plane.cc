#include "tools/daemon/data_plane.h"

#include <unistd.h>

#include <boost/asio/post.hpp>

namespace wow {

namespace {
// Snapshots that a worker still held at the last publication are freed this much later.
constexpr Duration kCollectAfter = 1s;
}  // namespace

void TapPort::write(std::span<const ByteView> frames) {
  for (const ByteView frame : frames) {
    const bool written =
        ::write(fd_, frame.data(), frame.size()) == static_cast<ssize_t>(frame.size());
    metrics_.add(written ? Metric::kFramesIn : Metric::kDropQueueFull);
  }
}

DataPlane::DataPlane(NodeHost& host, std::vector<int> tap_fds)
    : host_(host),
      tap_fds_(std::move(tap_fds)),
      tables_(static_cast<int>(tap_fds_.size())),
      punts_([this, executor = host.executor(), alive = std::weak_ptr<bool>(alive_)] {
        boost::asio::post(executor, [this, alive] {
          if (alive.lock()) take_punts();
        });
      }),
      collect_timer_(host.clock()) {}

DataPlane::~DataPlane() { workers_.clear(); }

void DataPlane::start(VirtualNetwork& network) {
  network_ = &network;
  const int count = static_cast<int>(tap_fds_.size());
  for (int i = 0; i < count; ++i) {
    workers_.push_back(std::make_unique<PacketWorker>(
        PacketWorker::Parts{i, count, host_.socket(i), tap_fds_[static_cast<std::size_t>(i)],
                            tables_, punts_, host_.metrics().add_slot(), host_.random()}));
  }
}

void DataPlane::publish(std::unique_ptr<ForwardingTables> tables) {
  tables_.publish(std::move(tables));
  collect_timer_.after(kCollectAfter, [this] { tables_.collect(); });
}

void DataPlane::take_punts() {
  for (Punt& punt : punts_.take_all()) {
    switch (punt.kind) {
      case Punt::Kind::kDatagram:
        host_.node().on_datagram(punt.bytes, punt.from);
        break;
      case Punt::Kind::kOpened:
        host_.node().on_opened(punt.index, punt.bytes, punt.from);
        break;
      case Punt::Kind::kFrameOut:
        network_->on_frame_out(punt.bytes, punt.facts);
        break;
    }
  }
}

}  // namespace wow
