// Packet workers and the control thread's side of them: publishes tables, takes what workers could
// not place. Control thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "base/published.h"
#include "dht/asio/node_host.h"
#include "tap/virtual_network.h"
#include "tunnel/linux/packet_worker.h"

namespace wow {

// Frames from the control thread into the TAP.
class TapPort final : public FramePort {
 public:
  TapPort(const TapQueue& tap, MetricSlot& metrics) : tap_(tap), metrics_(metrics) {}
  void write(std::span<const ByteView> frames) override;

 private:
  const TapQueue tap_;
  MetricSlot& metrics_;
};

class DataPlane {
 public:
  // One worker per socket of `host` and queue of the TAP.
  // `poll_for`: PacketWorker's.
  DataPlane(NodeHost& host, std::vector<TapQueue> taps, Duration poll_for);
  ~DataPlane();  // stops the workers

  // Starts the workers; punted frames go to `network`, all else to the node.
  void start(VirtualNetwork& network);
  void publish(std::unique_ptr<ForwardingTables> tables);

 private:
  void take_punts();

  NodeHost& host_;
  std::vector<TapQueue> taps_;
  const Duration poll_for_;
  Published<ForwardingTables> tables_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  PuntQueue punts_;
  VirtualNetwork* network_ = nullptr;
  std::vector<std::unique_ptr<PacketWorker>> workers_;
  Timer collect_timer_;
};

}  // namespace wow
