// How the socket of a stream gets to the far end: straight, or through a proxy. On one executor.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "base/asio/name_resolver.h"
#include "base/asio/proxy.h"
#include "base/asio/stream.h"

namespace wow {

class StreamDialler {
 public:
  StreamDialler(boost::asio::any_io_executor executor, std::optional<Proxy> proxy)
      : executor_(executor), proxy_(std::move(proxy)), resolver_(executor) {}

  // From now on streams over plain TCP leave from the port at which we listen (SO_REUSEPORT): what
  // a NAT makes of it is where others meet us, and when both ends do so their SYNs may cross (RFC
  // 5382, 4.2; RFC 6544, 4.5). From any other where that one is taken.
  void leave_from(std::uint16_t port) { port_ = port; }
  // Which a stream to `far` must pass; null: none.
  const Proxy* proxy_for(const Endpoint& far) const;
  // To the far end, or as far as the proxy lets us, which is told the far end's name if it has one.
  // False: `why` tells, or it was closed meanwhile. Its caller keeps this and the stream alive.
  boost::asio::awaitable<bool> connect(Stream& stream, const std::string& name, std::string& why);

 private:
  boost::asio::awaitable<boost::system::error_code> open_to(
      boost::asio::ip::tcp::socket& socket, const boost::asio::ip::tcp::endpoint& to);
  void bind_to_port(boost::asio::ip::tcp::socket& socket,
                    const boost::asio::ip::tcp::endpoint& to) const;

  boost::asio::any_io_executor executor_;
  const std::optional<Proxy> proxy_;
  NameResolver resolver_;
  std::optional<std::uint16_t> port_;
};

}  // namespace wow
