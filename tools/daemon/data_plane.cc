#include "tools/daemon/data_plane.h"

#include <sys/uio.h>

#include <array>
#include <boost/asio/post.hpp>

#include "tunnel/linux/vnet_header.h"

namespace wow {

namespace {
// Entries that a worker still held when they were replaced are freed this much later.
constexpr Duration kCollectAfter = 1s;
}  // namespace

void TapPort::write(std::span<const ByteView> frames) {
  for (const ByteView frame : frames) {
    // All zero: nothing is left to the host.
    std::array<std::uint8_t, kVnetHeaderBytes> header{};
    const std::size_t header_bytes = tap_.vnet_header ? header.size() : 0;
    const std::array<iovec, 2> parts = {
        {{header.data(), header_bytes}, {const_cast<std::uint8_t*>(frame.data()), frame.size()}}};
    const bool written = ::writev(tap_.fd, parts.data(), parts.size()) ==
                         static_cast<ssize_t>(header_bytes + frame.size());
    metrics_.add(written ? Metric::kFramesIn : Metric::kDropQueueFull);
  }
}

DataPlane::DataPlane(NodeHost& host, std::vector<TapQueue> taps, Duration poll_for)
    : host_(host),
      taps_(std::move(taps)),
      poll_for_(poll_for),
      tables_(static_cast<int>(taps_.size())),
      punts_([this, executor = host.executor(), alive = std::weak_ptr<bool>(alive_)] {
        boost::asio::post(executor, [this, alive] {
          if (alive.lock()) take_punts();
        });
      }),
      streams_([this, executor = host.executor(), alive = std::weak_ptr<bool>(alive_)] {
        boost::asio::post(executor, [this, alive] {
          if (alive.lock()) send_to_streams();
        });
      }),
      from_streams_(taps_.front(), punts_, host.metric_slot()),
      collect_timer_(host.clock()) {}

DataPlane::~DataPlane() {
  host_.set_stream_taker(nullptr);
  host_.node().sessions().set_sent_lately({});
  workers_.clear();
}

void DataPlane::start(VirtualNetwork& network) {
  network_ = &network;
  const int count = static_cast<int>(taps_.size());
  for (int i = 0; i < count; ++i) {
    workers_.push_back(std::make_unique<PacketWorker>(PacketWorker::Parts{
        i, count, host_.socket(i), taps_[static_cast<std::size_t>(i)], tables_, punts_, streams_,
        host_.metrics().add_slot(), host_.random(), poll_for_}));
  }
  std::vector<SentLately*> sent;
  for (SentLately& one : tables_.sent_lately) sent.push_back(&one);
  host_.node().sessions().set_sent_lately(std::move(sent));
  host_.set_stream_taker(
      [this](MutableBytes packet, const Endpoint& from) { return take_from_stream(packet, from); });
}

void DataPlane::tables_changed() {
  if (!tables_.readers.has_retired() || collect_timer_.is_set()) return;
  collect_timer_.after(kCollectAfter, [this] {
    tables_.readers.collect();
    tables_changed();
  });
}

void DataPlane::send_to_streams() {
  streams_.take_all([this](const Datagram& message) { host_.streams().send(message); });
}

bool DataPlane::take_from_stream(MutableBytes packet, const Endpoint& from) {
  const std::int64_t now = host_.clock().now().time_since_epoch().count();
  if (!from_streams_.take(packet, {from, 0}, tables_, now)) return false;
  // Once all that was read with it has been seen: it may be joined.
  if (!std::exchange(flush_posted_, true)) {
    boost::asio::post(host_.executor(), [this, alive = std::weak_ptr<bool>(alive_)] {
      if (!alive.lock()) return;
      flush_posted_ = false;
      from_streams_.flush();
    });
  }
  return true;
}

void DataPlane::take_punts() {
  for (Punt& punt : punts_.take_all()) {
    switch (punt.kind) {
      case Punt::Kind::kDatagram:
        host_.node().on_datagram(punt.bytes, punt.from);
        break;
      case Punt::Kind::kOpened:
        host_.node().on_opened(punt.index, punt.bytes, punt.from, punt.circuit);
        break;
      case Punt::Kind::kFrameOut:
        network_->on_frame_out(punt.bytes, punt.facts);
        break;
    }
  }
}

}  // namespace wow
