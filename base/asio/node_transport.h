// All ways of a node to the underlay as one Transport: UDP, and streams where an endpoint says so.
#pragma once

#include "base/asio/stream_transport.h"
#include "base/asio/udp_transport.h"

namespace wow {

class NodeTransport final : public Transport {
 public:
  NodeTransport(UdpTransport& udp, StreamTransport& streams) : udp_(udp), streams_(streams) {}

  void send(std::span<const Datagram> batch) override;
  // UDP first, then where streams are accepted.
  std::vector<Endpoint> local_endpoints() const override;

 private:
  UdpTransport& udp_;
  StreamTransport& streams_;
};

}  // namespace wow
