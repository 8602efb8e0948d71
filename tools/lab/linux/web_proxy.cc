#include "tools/lab/linux/web_proxy.h"

#include <openssl/evp.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <memory>
#include <optional>
#include <stdexcept>

#include "base/asio/name_resolver.h"
#include "base/host_port.h"

namespace wow::lab {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr auto kQuietly = asio::as_tuple(asio::use_awaitable);
constexpr std::uint16_t kHttps = 443;
constexpr std::size_t kRequestBytesMax = 8 * 1024;

struct Pair {
  explicit Pair(tcp::socket socket) : near(std::move(socket)), far(near.get_executor()) {}
  tcp::socket near, far;
};
using PairPtr = std::shared_ptr<Pair>;

std::string base64(const std::string& text) {
  std::string out((text.size() + 2) / 3 * 4 + 1, '\0');
  out.resize(static_cast<std::size_t>(EVP_EncodeBlock(
      reinterpret_cast<unsigned char*>(out.data()),
      reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()))));
  return out;
}

asio::awaitable<void> pass(PairPtr, tcp::socket& from, tcp::socket& to) {
  std::array<char, 16 * 1024> buffer;
  for (;;) {
    const auto [error, bytes] = co_await from.async_read_some(asio::buffer(buffer), kQuietly);
    if (error) break;
    const auto [lost, written] =
        co_await asio::async_write(to, asio::buffer(buffer.data(), bytes), kQuietly);
    if (lost) break;
  }
  boost::system::error_code ignored;
  to.close(ignored);
}

// Whom the request names; nothing if it is refused, `refusal` says with which status.
std::optional<HostPort> wanted_by(const std::string& request, const std::string& login,
                                  std::string& refusal) {
  const std::string verb = "CONNECT ";
  refusal = "400 Bad Request";
  const std::size_t end = request.find(' ', verb.size());
  if (!request.starts_with(verb) || end == std::string::npos) return std::nullopt;
  const std::string target = request.substr(verb.size(), end - verb.size());
  refusal = "407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"lab\"";
  const std::string proof = "\r\nProxy-Authorization: Basic " + base64(login) + "\r\n";
  if (!login.empty() && request.find(proof) == std::string::npos) return std::nullopt;
  refusal = "403 Forbidden";
  const auto to = HostPort::parse(target);
  return to && to->port == kHttps ? to : std::nullopt;
}

asio::awaitable<bool> open(tcp::socket& socket, NameResolver& resolver, const HostPort& to) {
  const auto found = co_await resolver.addresses_of(to.host);
  for (const IpAddress& ip : found) {
    boost::system::error_code ignored;
    socket.close(ignored);
    const tcp::endpoint end{asio::ip::make_address(ip.text()), to.port};
    const auto [error] = co_await socket.async_connect(end, kQuietly);
    if (!error) co_return true;
  }
  co_return false;
}

asio::awaitable<void> serve(PairPtr pair, NameResolver& resolver, std::string login) {
  std::string request;
  while (!request.ends_with("\r\n\r\n")) {
    char next = 0;
    const auto [error, bytes] =
        co_await pair->near.async_read_some(asio::buffer(&next, 1), kQuietly);
    if (error || request.size() >= kRequestBytesMax) co_return;
    request += next;
  }
  // As real ones do: what is small is not held back until the other end has acknowledged.
  pair->near.set_option(tcp::no_delay(true));
  std::string answer;
  const auto to = wanted_by(request, login, answer);
  bool reached = false;
  if (to) {
    reached = co_await open(pair->far, resolver, *to);
    if (reached) pair->far.set_option(tcp::no_delay(true));
    answer = reached ? "200 Connection established" : "502 Bad Gateway";
  }
  answer = "HTTP/1.1 " + answer + "\r\n\r\n";
  const auto [lost, written] =
      co_await asio::async_write(pair->near, asio::buffer(answer), kQuietly);
  if (lost || !reached) co_return;
  asio::co_spawn(pair->near.get_executor(), pass(pair, pair->near, pair->far), asio::detached);
  co_await pass(pair, pair->far, pair->near);
}

asio::awaitable<void> accept_all(tcp::acceptor& acceptor, NameResolver& resolver,
                                 const std::string& login) {
  for (;;) {
    auto [error, socket] = co_await acceptor.async_accept(kQuietly);
    if (error) continue;
    asio::co_spawn(acceptor.get_executor(),
                   serve(std::make_shared<Pair>(std::move(socket)), resolver, login),
                   asio::detached);
  }
}

}  // namespace

void run_web_proxy(std::uint16_t port, const std::string& login) {
  asio::io_context io{1};
  tcp::acceptor acceptor(io, {tcp::v4(), port});
  NameResolver resolver(io.get_executor());
  asio::co_spawn(io, accept_all(acceptor, resolver, login), asio::detached);
  io.run();
  throw std::logic_error("the proxy has nothing to do");
}

}  // namespace wow::lab
