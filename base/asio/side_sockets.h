// UDP sockets beside the node's own, by number: opened when something is first sent from one, read
// on the executor, closed when the core says so. For NATs that give each socket and destination
// another outside port (overlay/punch.h). One thread.
#pragma once

#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>

#include "base/asio/udp_socket.h"
#include "base/transport.h"

namespace wow {

class SideSockets {
 public:
  // Datagrams of socket n come `from` an endpoint that names it.
  using Receiver = std::function<void(MutableBytes packet, const Endpoint& from)>;

  SideSockets(boost::asio::any_io_executor executor, MetricSlot& metrics)
      : executor_(std::move(executor)), metrics_(metrics) {}
  ~SideSockets() { stop(); }

  void start(Receiver receive) { receive_ = std::move(receive); }
  // Closes all; nothing is sent or received any more.
  void stop();
  // From the socket that `datagram.to` names, 1..255. What cannot be opened is counted and lost.
  void send(const Datagram& datagram);
  void release(std::uint8_t socket);

 private:
  class Open;
  boost::asio::any_io_executor executor_;
  MetricSlot& metrics_;
  Receiver receive_;  // null: not started, or stopped
  UdpReceiver receiver_;
  std::array<std::shared_ptr<Open>, 256> sockets_;  // by number
};

}  // namespace wow
