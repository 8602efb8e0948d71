#include "base/asio/side_sockets.h"

#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>

namespace wow {

namespace asio = boost::asio;

// Shared with the pending wait, which may outlive the socket by one turn of the executor.
class SideSockets::Open : public std::enable_shared_from_this<SideSockets::Open> {
 public:
  Open(SideSockets& owner, std::uint8_t number, UdpSocket socket)
      : owner_(&owner),
        number_(number),
        socket_(std::move(socket)),
        descriptor_(owner.executor_, dup(socket_.fd())) {}

  void wait() {
    descriptor_.async_wait(asio::posix::stream_descriptor::wait_read,
                           [self = shared_from_this()](const boost::system::error_code& error) {
                             if (!error) self->read();
                           });
  }
  void send(const Datagram& datagram) {
    if (owner_ != nullptr) socket_.send({&datagram, 1}, owner_->metrics_);
  }
  void close() {
    owner_ = nullptr;
    descriptor_.close();
    // The wait that was cancelled keeps this a moment longer; the port is free at once.
    const UdpSocket closes = std::move(socket_);
  }

 private:
  void read() {
    if (owner_ == nullptr) return;
    for (const auto& got : owner_->receiver_.receive(socket_, owner_->metrics_)) {
      Endpoint from = got.from;
      from.socket = number_;
      // A copy: what it does may close this socket, or all.
      if (const Receiver receive = owner_->receive_) receive(got.packet, from);
      if (owner_ == nullptr) return;
    }
    wait();
  }

  SideSockets* owner_;  // null once closed
  const std::uint8_t number_;
  UdpSocket socket_;
  asio::posix::stream_descriptor descriptor_;
};

void SideSockets::stop() {
  receive_ = nullptr;
  for (auto& socket : sockets_) {
    if (socket) socket->close();
    socket.reset();
  }
}

void SideSockets::send(const Datagram& datagram) {
  auto& socket = sockets_[datagram.to.socket];
  if (!socket && receive_) {
    auto opened = UdpSocket::open(0);
    if (!opened) return metrics_.add(Metric::kDropSendFailed);
    socket = std::make_shared<Open>(*this, datagram.to.socket, std::move(*opened));
    socket->wait();
  }
  if (socket) socket->send(datagram);
}

void SideSockets::release(std::uint8_t socket) {
  if (sockets_[socket]) sockets_[socket]->close();
  sockets_[socket].reset();
}

}  // namespace wow
