#include "base/asio/stream_dialler.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/asio/byte_channel.h"

namespace wow {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr auto kQuietly = asio::as_tuple(asio::use_awaitable);

tcp::endpoint to_asio(const Endpoint& e) {
  if (e.ip.is_v4()) return {asio::ip::address_v4(e.ip.v4_value()), e.port};
  asio::ip::address_v6::bytes_type bytes;
  std::ranges::copy(e.ip.bytes(), bytes.begin());
  return {asio::ip::address_v6(bytes), e.port};
}

}  // namespace

const Proxy* StreamDialler::proxy_for(const Endpoint& far) const {
  if (!proxy_ || far.carrier == Carrier::kAccepted) return nullptr;
  // Most HTTP proxies let nothing but 443 through.
  const bool all = proxy_->kind == Proxy::Kind::kSocks5;
  return all || far.carrier == Carrier::kTls ? &*proxy_ : nullptr;
}

void StreamDialler::bind_to_port(tcp::socket& socket, const tcp::endpoint& to) const {
  boost::system::error_code error;
  socket.open(to.protocol(), error);
  if (!error) socket.set_option(tcp::socket::reuse_address(true), error);
  if (!error) socket.set_option(ReusePort(true), error);
  if (!error) socket.bind({to.protocol(), *port_}, error);
  boost::system::error_code ignored;
  if (error) socket.close(ignored);
}

asio::awaitable<boost::system::error_code> StreamDialler::open_to(tcp::socket& socket,
                                                                  const tcp::endpoint& to) {
  const auto [refused] = co_await socket.async_connect(to, kQuietly);
  // That port has, or had a minute ago, another connection to the same listener.
  if (refused != asio::error::address_in_use &&
      refused != boost::system::errc::address_not_available)
    co_return refused;
  boost::system::error_code ignored;
  socket.close(ignored);
  const auto [refused_again] = co_await socket.async_connect(to, kQuietly);
  co_return refused_again;
}

asio::awaitable<bool> StreamDialler::connect(Stream& stream, const std::string& name,
                                             std::string& why) {
  const Proxy* const proxy = proxy_for(stream.far);
  std::vector<tcp::endpoint> ends{to_asio(stream.far)};
  if (proxy != nullptr) {
    ends.clear();
    const auto found = co_await resolver_.addresses_of(proxy->host);
    for (const IpAddress& ip : found) ends.push_back(to_asio({ip, proxy->port}));
    why = "the proxy's name does not resolve";
  }
  bool connected = false;
  for (const tcp::endpoint& end : ends) {
    if (stream.closed) co_return false;
    boost::system::error_code ignored;
    stream.socket.close(ignored);
    if (port_ && proxy == nullptr && stream.far.carrier == Carrier::kTcp)
      bind_to_port(stream.socket, end);
    const auto refused = co_await open_to(stream.socket, end);
    connected = !refused;
    if (connected) break;
    why = refused.message();
  }
  if (!connected || stream.closed) co_return false;
  tune(stream.socket);
  if (proxy == nullptr) co_return true;
  std::string words;
  const HostPort to{name.empty() ? stream.far.ip.text() : name, stream.far.port};
  if (co_await pass_proxy(stream.socket, *proxy, to, words) == ProxyAnswer::kPasses) co_return true;
  why = "the proxy: " + words;
  co_return false;
}

}  // namespace wow
