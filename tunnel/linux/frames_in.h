// From the underlay to the host: the datagrams of one socket, to one TAP queue. One worker's.
#pragma once

#include "base/asio/udp_socket.h"
#include "tunnel/linux/frame_intake.h"

namespace wow {

class FramesIn final {
 public:
  FramesIn(const UdpSocket& socket, const TapQueue& tap, PuntQueue& punts, MetricSlot& metrics);

  // Takes what is there now, up to a batch; false if there was nothing.
  bool turn(const ForwardingTables& tables, std::int64_t now_ns);

 private:
  void punt(ByteView packet, const Endpoint& from);

  const UdpSocket& socket_;
  PuntQueue& punts_;
  MetricSlot& metrics_;
  UdpReceiver receiver_{UdpReceiver::kCoalesced};
  FrameIntake intake_;
};

}  // namespace wow
