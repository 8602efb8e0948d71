// Sealed packets on their way to the socket, or to streams: each is sealed straight into its place
// here, and those of one size for one session lie together, so that they leave as one message
// (UDP_SEGMENT). One thread.
#pragma once

#include <memory>
#include <vector>

#include "base/asio/udp_socket.h"
#include "base/metrics.h"
#include "tunnel/linux/stream_outlet.h"
#include "tunnel/sent_lately.h"

namespace wow {

class SendBatch {
 public:
  // Enough for one frame of 64 KiB; then it goes out while the next one is read.
  static constexpr std::size_t kFlushBytes = 60 * 1024;
  static constexpr std::size_t kPacketBytesMax = 66 * 1024;

  SendBatch(const UdpSocket& socket, StreamOutlet& streams, SentLately& sent_lately,
            MetricSlot& metrics)
      : socket_(socket),
        streams_(streams),
        sent_lately_(sent_lately),
        metrics_(metrics),
        storage_(new std::uint8_t[kFlushBytes + kPacketBytesMax]) {
    messages_.reserve(UdpSocket::kBatch);
  }

  // Room for a packet of kPacketBytesMax; may send what is there.
  std::uint8_t* place() {
    if (used_ >= kFlushBytes || messages_.size() == UdpSocket::kBatch) flush();
    return storage_.get() + used_;
  }
  // The packet in the last place is for `to`; `session`: packets of another never share a message.
  void add(const Endpoint& to, std::size_t bytes, std::uint32_t session, std::uint8_t ecn);
  void flush();
  void set_now(std::int64_t now_ns) { now_ns_ = now_ns; }

 private:
  struct Last {
    std::uint32_t session = 0;
    std::size_t first_bytes = 0;
    std::size_t count = 0;
    bool is_full = true;
  };

  void hand_to_streams();

  const UdpSocket& socket_;
  StreamOutlet& streams_;
  SentLately& sent_lately_;
  MetricSlot& metrics_;
  bool has_streams_ = false, has_relayed_ = false;  // among the messages
  std::int64_t now_ns_ = 0;
  std::unique_ptr<std::uint8_t[]> storage_;
  std::size_t used_ = 0;
  std::vector<Datagram> messages_;
  Last last_;
};

}  // namespace wow
