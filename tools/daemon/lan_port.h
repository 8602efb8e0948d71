// This host's port of a bridge with guests: a TAP without offloads, read by the control thread.
// Control thread only.
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <memory>

#include "dht/asio/node_host.h"
#include "tap/linux/tap_device.h"
#include "tap/virtual_network.h"

namespace wow {

class LanPort final : public FramePort {
 public:
  LanPort(NodeHost& host, TapDevice tap);
  ~LanPort() override;

  // Frames of the bridge go to `network`, which outlives this or is not called any more.
  void start(VirtualNetwork& network);
  void write(std::span<const ByteView> frames) override;

 private:
  void wait();
  void read_some();

  TapDevice tap_;
  MetricSlot& metrics_;
  boost::asio::posix::stream_descriptor readable_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  VirtualNetwork* network_ = nullptr;
};

}  // namespace wow
