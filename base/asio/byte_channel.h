// A connected way for bytes: plain TCP, or WebSocket messages inside TLS. One read and one write
// may be under way at a time. On the executor of its socket, which its owner keeps, and closes to
// end everything; used by StreamTransport only.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>

#include "base/bytes.h"

namespace wow {

class ByteChannel {
 public:
  virtual ~ByteChannel() = default;
  // Bytes into `room`, one at least; 0: the other end is gone, or not what it should be.
  virtual boost::asio::awaitable<std::size_t> read(MutableBytes room) = 0;
  // All of them, once the kernel has little left to send (so that a queue builds up where packets
  // can be dropped). False: the other end is gone.
  virtual boost::asio::awaitable<bool> write(ByteView bytes) = 0;
};

std::unique_ptr<ByteChannel> make_tcp_channel(boost::asio::ip::tcp::socket& socket);

// No delay, little unsent in the kernel, and an end to what nobody acknowledges.
void tune(boost::asio::ip::tcp::socket& socket);

}  // namespace wow
