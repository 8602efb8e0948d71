// Packet workers and the control thread's side of them: holds their tables, takes what workers
// could not place. Control thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "dht/asio/node_host.h"
#include "tap/virtual_network.h"
#include "tunnel/linux/frame_intake.h"
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
  // What the workers read, for the control thread to change; it says so when it has.
  ForwardingTables& tables() { return tables_; }
  void tables_changed();

 private:
  void take_punts();
  void send_to_streams();
  bool take_from_stream(MutableBytes packet, const Endpoint& from);

  NodeHost& host_;
  std::vector<TapQueue> taps_;
  const Duration poll_for_;
  ForwardingTables tables_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  PuntQueue punts_;
  StreamOutlet streams_;
  FrameIntake from_streams_;
  bool flush_posted_ = false;  // of what came by streams
  VirtualNetwork* network_ = nullptr;
  std::vector<std::unique_ptr<PacketWorker>> workers_;
  Timer collect_timer_;
};

}  // namespace wow
