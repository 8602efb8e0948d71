#include "base/asio/udp_transport.h"

#include <unistd.h>

#include <algorithm>
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
        receive_(std::move(receive)) {
    socket_.coalesce();
    passed_on_.reserve(UdpSocket::kBatch);
  }

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
  // True if this is the datagram that is being received: it is sent once those beside it were seen.
  bool pass_on(const Datagram& datagram) {
    const ByteView packet = datagram.head;
    if (current_.empty() || packet.data() != current_.data() || packet.size() != current_.size() ||
        !datagram.body.empty())
      return false;
    current_ = {};  // once
    if (!joins(datagram.to, packet)) {
      if (passed_on_.size() == UdpSocket::kBatch) flush();
      passed_on_.push_back({datagram.to, {}, packet, ecn_, 0});
      first_bytes_ = packet.size();
      return true;
    }
    Datagram& last = passed_on_.back();
    last.body = {last.body.data(), last.body.size() + packet.size()};
    last.segment_bytes = static_cast<std::uint16_t>(first_bytes_);
    return true;
  }

 private:
  void read() {
    // A few batches, then timers and others have their turn.
    for (int turn = 0; turn < 4 && !stopped_; ++turn) {
      const auto batch = receiver_.receive(socket_, metrics_);
      for (const auto& got : batch) take(got);
      flush();
      if (batch.empty()) break;
    }
    if (!stopped_) wait();
  }
  void take(const UdpReceiver::Received& got) {
    ecn_ = got.ecn;
    for (MutableBytes left = got.packet; !stopped_;) {
      const MutableBytes one = left.first(std::min(left.size(), got.segment_bytes));
      current_ = one;
      receive_(one, got.from);
      current_ = {};
      left = left.subspan(one.size());
      if (left.empty()) return;
    }
  }
  // Whether it can be one more segment of the last.
  bool joins(const Endpoint& to, ByteView packet) const {
    if (passed_on_.empty()) return false;
    const Datagram& last = passed_on_.back();
    return last.body.data() + last.body.size() == packet.data() && last.to == to &&
           last.ecn == ecn_ && packet.size() <= first_bytes_ &&
           last.body.size() % first_bytes_ == 0 &&
           last.body.size() / first_bytes_ < Datagram::kSegmentsMax &&
           last.body.size() + packet.size() <= Datagram::kSegmentedBytesMax;
  }
  void flush() {
    if (!passed_on_.empty() && !stopped_) socket_.send(passed_on_, metrics_);
    passed_on_.clear();
  }

  asio::posix::stream_descriptor descriptor_;
  const UdpSocket& socket_;
  MetricSlot& metrics_;
  Receiver receive_;
  UdpReceiver receiver_{UdpReceiver::kCoalesced};
  std::vector<Datagram> passed_on_;  // views of what the receiver holds
  ByteView current_;
  std::size_t first_bytes_ = 0;  // of the last one's first segment
  std::uint8_t ecn_ = 0;         // of what is being received: a relay passes marks on
  bool stopped_ = false;
};

void UdpTransport::send(std::span<const Datagram> batch) {
  if (reading_ && batch.size() == 1 && reading_->pass_on(batch[0])) return;
  socket_.send(batch, metrics_);
}

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
