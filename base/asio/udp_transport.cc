#include "base/asio/udp_transport.h"

#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>

namespace wow {

namespace asio = boost::asio;

// Shared with the pending wait, which may outlive the transport by one turn of the executor.
class UdpTransport::Reading : public std::enable_shared_from_this<UdpTransport::Reading> {
 public:
  Reading(asio::any_io_executor executor, const UdpSocket& socket, MetricSlot& metrics,
          Receiver receive)
      : descriptor_(std::move(executor), dup(socket.fd())),
        socket_(socket),
        metrics_(metrics),
        receive_(std::move(receive)) {}

  void wait() {
    descriptor_.async_wait(asio::posix::stream_descriptor::wait_read,
                           [self = shared_from_this()](const boost::system::error_code& error) {
                             if (!error) self->read();
                           });
  }
  void stop() {
    stopped_ = true;
    descriptor_.close();
  }

 private:
  void read() {
    // A few batches, then timers and others have their turn.
    for (int turn = 0; turn < 4 && !stopped_; ++turn) {
      const auto batch = receiver_.receive(socket_, metrics_);
      for (const auto& got : batch) {
        if (stopped_) return;
        receive_(got.packet, got.from);
      }
      if (batch.size() < UdpSocket::kBatch) break;
    }
    if (!stopped_) wait();
  }

  asio::posix::stream_descriptor descriptor_;
  const UdpSocket& socket_;
  MetricSlot& metrics_;
  Receiver receive_;
  UdpReceiver receiver_;
  bool stopped_ = false;
};

std::vector<Endpoint> UdpTransport::local_endpoints() const {
  std::vector<Endpoint> out;
  for (const IpAddress& ip : local_addresses(with_loopback_)) out.push_back({ip, socket_.port()});
  return out;
}

void UdpTransport::start(asio::any_io_executor executor, Receiver receive) {
  reading_ = std::make_shared<Reading>(std::move(executor), socket_, metrics_, std::move(receive));
  reading_->wait();
}

void UdpTransport::stop() {
  if (reading_) reading_->stop();
  reading_.reset();
}

}  // namespace wow
