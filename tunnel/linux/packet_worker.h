// The data path: a thread that reads one TAP queue and one UDP socket, seals and opens by the
// published tables, and hands all else to the control thread. Each worker seals on its own lane; a
// session's packets on workers' lanes are opened by the one worker that its receiver index is
// steered to, those on lane 0 by the control thread, so that neither waits for the other.
#pragma once

#include <memory>
#include <thread>

#include "base/asio/udp_socket.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/random.h"
#include "tunnel/forwarding.h"
#include "tunnel/linux/punt_queue.h"
#include "tunnel/linux/stream_outlet.h"
#include "tunnel/linux/tap_queue.h"

namespace wow {

class PacketWorker {
 public:
  // `number` counts from 0; the worker seals on lane number + 1 and reads the tables as reader
  // `number`. Descriptors and references outlive the worker.
  struct Parts {
    int number = 0;
    int workers = 1;
    const UdpSocket& socket;
    TapQueue tap;
    ForwardingTables& tables;
    PuntQueue& punts;
    StreamOutlet& streams;
    MetricSlot& metrics;
    Random& random;  // thread-safe
    // After traffic, look for more this long before sleeping, as long as nobody else wants the
    // processor; zero: never.
    Duration poll_for{};
  };
  explicit PacketWorker(const Parts& parts);
  ~PacketWorker();  // stops and joins

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
  std::thread thread_;
};

}  // namespace wow
