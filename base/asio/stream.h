// One stream of StreamTransport: its socket, and the packets that wait to be sent.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>

#include "base/asio/asio_clock.h"
#include "base/asio/byte_channel.h"
#include "base/endpoint.h"
#include "base/stream_framer.h"

namespace wow {

// A listener and the streams that leave from its port must both have it.
using ReusePort = boost::asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

// Kept alive by the coroutines that read and write it.
struct Stream {
  Stream(const boost::asio::any_io_executor& executor, const Endpoint& far_end)
      : far(far_end), socket(executor), wake(executor), begun(AsioClock::boot_now()), used(begun) {
    wake.expires_at(boost::asio::steady_timer::time_point::max());
  }
  std::size_t queued_bytes() const { return queue.size() - queue_begin; }
  // The bytes of the queue's first packets: one, and more as long as all have `most` at most.
  std::size_t whole_packets(std::size_t most, std::size_t* packets) const {
    std::size_t bytes = 0;
    for (*packets = 0; *packets < queued_packets; ++*packets) {
      const std::size_t next =
          bytes + kStreamLengthBytes +
          get_big_endian(queue.data() + queue_begin + bytes, kStreamLengthBytes);
      if (*packets != 0 && next > most) break;
      bytes = next;
    }
    return bytes;
  }
  void take(std::size_t bytes, std::size_t packets) {
    queue_begin += bytes;
    queued_packets -= packets;
    if (queued_packets != 0) return;
    queue.clear();
    queue_begin = 0;
  }
  void close() {
    closed = true;
    boost::system::error_code ignored;
    socket.close(ignored);
    wake.cancel();
  }

  const Endpoint far;
  boost::asio::ip::tcp::socket socket;
  std::unique_ptr<ByteChannel> channel;  // null until it can carry packets
  boost::asio::steady_timer wake;        // cancelled when there is something to write
  // Framed packets, the oldest first, from `queue_begin` on.
  Bytes queue;
  std::size_t queue_begin = 0, queued_packets = 0;
  const TimePoint begun;
  TimePoint used;
  bool proven = false;
  bool closed = false;
};

}  // namespace wow
