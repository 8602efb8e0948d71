// base/transport.h on a UDP socket. Reads on the executor unless packet workers do (`read` false).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>

#include "base/asio/udp_socket.h"
#include "base/transport.h"

namespace wow {

class UdpTransport final : public Transport {
 public:
  using Receiver = std::function<void(MutableBytes packet, const Endpoint& from)>;

  // `with_loopback`: 127.0.0.1 is a host candidate too (tests, examples on one machine).
  UdpTransport(const UdpSocket& socket, MetricSlot& metrics, bool with_loopback = false)
      : socket_(socket), metrics_(metrics), with_loopback_(with_loopback) {}
  ~UdpTransport() override { stop(); }

  // What was received a moment ago and is sent on waits for the end of its batch, and leaves with
  // what followed it as it came.
  void send(std::span<const Datagram> batch) override;
  std::vector<Endpoint> local_endpoints() const override;

  // Calls `receive` on the executor for each datagram until stop().
  void start(boost::asio::any_io_executor executor, Receiver receive);
  void stop();

 private:
  class Reading;
  const UdpSocket& socket_;
  MetricSlot& metrics_;
  bool with_loopback_;
  std::shared_ptr<Reading> reading_;
};

}  // namespace wow
