// From the underlay to the host: datagrams of one socket, opened straight into the frame that they
// are joined to, their sources checked, and written to one TAP queue. One worker's.
#pragma once

#include "base/asio/udp_socket.h"
#include "base/metrics.h"
#include "tunnel/forwarding.h"
#include "tunnel/frame_joiner.h"
#include "tunnel/linux/punt_queue.h"
#include "tunnel/linux/tap_queue.h"

namespace wow {

class FramesIn final : private FrameSink {
 public:
  FramesIn(const UdpSocket& socket, const TapQueue& tap, PuntQueue& punts, MetricSlot& metrics);

  // Takes what is there now, up to a batch; false if there was nothing.
  bool turn(const ForwardingTables& tables, std::int64_t now_ns);

 private:
  // One datagram of those that came together.
  struct Datagram {
    MutableBytes packet;  // of the session, without the relay's header
    const UdpReceiver::Received& with;
    std::uint32_t circuit = 0;  // that it came through; 0: directly
  };
  void take(MutableBytes packet, const UdpReceiver::Received& with, const ForwardingTables& tables);
  static bool is_on_path(const Datagram& datagram, const ReceiveEntry& entry);
  // False if the tables do not know the session, or not by this circuit: the control thread then
  // opens it.
  bool open(const Datagram& datagram, const ForwardingTables& tables);
  void deliver(MutableBytes plain, const Datagram& datagram, const ReceiveEntry& entry,
               const ForwardingTables& tables);
  void punt(Punt punt);
  void write(const JoinedFrame& frame) override;

  const UdpSocket& socket_;
  const TapQueue tap_;
  PuntQueue& punts_;
  MetricSlot& metrics_;
  UdpReceiver receiver_{UdpReceiver::kCoalesced};
  FrameJoiner joiner_;
  std::int64_t now_ns_ = 0;
};

}  // namespace wow
