#include "tunnel/linux/frames_in.h"

#include <algorithm>

#include "proto/headers.h"

namespace wow {

FramesIn::FramesIn(const UdpSocket& socket, const TapQueue& tap, PuntQueue& punts,
                   MetricSlot& metrics)
    : socket_(socket), punts_(punts), metrics_(metrics), intake_(tap, punts, metrics) {
  socket_.coalesce();
}

bool FramesIn::turn(const ForwardingTables& tables, std::int64_t now_ns) {
  const auto batch = receiver_.receive(socket_, metrics_);
  for (const UdpReceiver::Received& got : batch) {
    const FrameIntake::From from{got.from, got.ecn};
    for (MutableBytes left = got.packet;;) {
      const MutableBytes one = left.first(std::min(left.size(), got.segment_bytes));
      if (!intake_.take(one, from, tables, now_ns)) punt(one, got.from);
      left = left.subspan(one.size());
      if (left.empty()) break;
    }
  }
  intake_.flush();
  return !batch.empty();
}

void FramesIn::punt(ByteView packet, const Endpoint& from) {
  // A flood of nothing must not push handshakes and probes out of the queue.
  if (!packet_type(packet)) return metrics_.add(Metric::kDropGarbage);
  if (!punts_.push({Punt::Kind::kDatagram, 0, 0, from, to_bytes(packet), 0}))
    metrics_.add(Metric::kDropQueueFull);
}

}  // namespace wow
