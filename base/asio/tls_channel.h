// Streams that look like HTTPS (RFC 8446) and ask for WebSocket (RFC 6455). TLS is camouflage here:
// it says nothing about who is at the other end; sessions do. Who does not know the target, a word
// that is made of the pool's key, gets a plain 404.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <string>

#include "base/asio/byte_channel.h"
#include "base/endpoint.h"

namespace wow {

class TlsChannels {
 public:
  // `target`: the path that the pool's members ask for, "/" first.
  explicit TlsChannels(std::string target);
  ~TlsChannels();

  // Null where TLS or WebSocket came to nothing. No time limit: the caller closes the socket.
  // `name`: of the far end, for who reads along (SNI, RFC 6066, 3); empty: none, as in a browser
  // that was given an address.
  boost::asio::awaitable<std::unique_ptr<ByteChannel>> connect(boost::asio::ip::tcp::socket& socket,
                                                               Endpoint to, std::string name);
  boost::asio::awaitable<std::unique_ptr<ByteChannel>> accept(boost::asio::ip::tcp::socket& socket);

 private:
  struct Contexts;
  const std::string target_;
  std::unique_ptr<Contexts> contexts_;
};

}  // namespace wow
