// All ways of a node to the underlay as one Transport: UDP from its own socket, from others or over
// streams where an endpoint says so.
#pragma once

#include "base/asio/side_sockets.h"
#include "base/asio/stream_transport.h"
#include "base/asio/udp_transport.h"

namespace wow {

class NodeTransport final : public Transport {
 public:
  NodeTransport(UdpTransport& udp, SideSockets& side, StreamTransport& streams)
      : udp_(udp), side_(side), streams_(streams) {}

  void send(std::span<const Datagram> batch) override;
  // UDP first, then where streams are accepted.
  std::vector<Endpoint> local_endpoints() const override;
  void release(std::uint8_t socket) override { side_.release(socket); }

 private:
  UdpTransport& udp_;
  SideSockets& side_;
  StreamTransport& streams_;
};

}  // namespace wow
