// Data packets to frames for the host: opened straight into the frame that they are joined to,
// their sources checked, and written to one TAP queue. A worker has one for its socket, the control
// thread one for its streams.
#pragma once

#include "base/metrics.h"
#include "tunnel/forwarding.h"
#include "tunnel/frame_joiner.h"
#include "tunnel/linux/punt_queue.h"
#include "tunnel/linux/tap_queue.h"

namespace wow {

class FrameIntake final : private FrameSink {
 public:
  // What opens and is no frame for the host goes to `punts`.
  FrameIntake(const TapQueue& tap, PuntQueue& punts, MetricSlot& metrics);

  // How a packet came.
  struct From {
    Endpoint endpoint;
    std::uint8_t ecn = 0;
  };
  // False if the tables do not know its session, or not by this circuit: the control thread then
  // opens it. The frames reach the host with flush().
  bool take(MutableBytes packet, const From& from, const ForwardingTables& tables,
            std::int64_t now_ns);
  void flush() { joiner_.flush(); }

 private:
  // One packet of the session, without the relay's header.
  struct Sealed {
    MutableBytes packet;
    const From& from;
    std::uint32_t circuit = 0;  // that it came through; 0: directly
  };
  static bool is_on_path(const Sealed& sealed, const ReceiveEntry& entry);
  bool open(const Sealed& sealed, std::uint32_t index, const ForwardingTables& tables,
            std::int64_t now_ns);
  void deliver(MutableBytes plain, const Sealed& sealed, const ReceiveEntry& entry,
               const ForwardingTables& tables);
  void write(const JoinedFrame& frame) override;

  const TapQueue tap_;
  PuntQueue& punts_;
  MetricSlot& metrics_;
  FrameJoiner joiner_;
};

}  // namespace wow
