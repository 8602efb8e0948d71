#include "tools/doctor/proxy_check.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <list>

#include "tools/doctor/host_checks.h"

namespace wow {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr auto kQuietly = asio::as_tuple(asio::use_awaitable);

struct Asking {
  tcp::socket socket;
  ProxyTry& out;
};

asio::awaitable<void> ask(const Proxy& proxy, const std::vector<Endpoint>& at, Asking& one) {
  for (const Endpoint& each : at) {
    boost::system::error_code ignored;
    one.socket.close(ignored);
    const auto [error] = co_await one.socket.async_connect(
        {asio::ip::make_address(each.ip.text()), each.port}, kQuietly);
    one.out.connected = !error;
    if (one.out.connected || error == asio::error::operation_aborted) break;
    one.out.why = error == asio::error::connection_refused ? "nobody listens there"
                                                           : "no way to it: " + error.message();
  }
  if (!one.out.connected) co_return;
  one.out.answer = co_await pass_proxy(one.socket, proxy, one.out.to, one.out.why);
  boost::system::error_code ignored;
  one.socket.close(ignored);
}

}  // namespace

std::vector<ProxyTry> try_proxy(const Proxy& proxy, const std::vector<HostPort>& to,
                                std::chrono::milliseconds patience) {
  const std::string url = proxy.text();
  std::vector<std::string> failed;
  const auto at = resolve_all({url.substr(url.find("//") + 2)}, failed);
  std::vector<ProxyTry> out;
  for (const HostPort& each : to)
    out.push_back({.to = each, .why = at.empty() ? "its name does not resolve" : "no answer"});
  asio::io_context io;
  std::list<Asking> asking;
  for (ProxyTry& each : out) {
    asking.push_back({tcp::socket(io), each});
    asio::co_spawn(io, ask(proxy, at, asking.back()), asio::detached);
  }
  io.run_for(patience);
  // Who still waits is told so, and what came by then is judged.
  boost::system::error_code ignored;
  for (Asking& each : asking) each.socket.close(ignored);
  io.restart();
  io.run();
  return out;
}

const ProxyTry* best_of(const std::vector<ProxyTry>& tries) {
  const auto best = std::ranges::min_element(tries, {}, [](const ProxyTry& t) {
    return std::pair(static_cast<int>(t.answer), !t.connected);
  });
  return best == tries.end() ? nullptr : &*best;
}

std::string_view to_string(ProxyAnswer answer) {
  switch (answer) {
    case ProxyAnswer::kPasses:
      return "passes";
    case ProxyAnswer::kNotReached:
      return "not reached";
    case ProxyAnswer::kRefuses:
      return "refuses";
    case ProxyAnswer::kWantsPassword:
      return "wants a password";
    case ProxyAnswer::kNonsense:
      return "nonsense";
    case ProxyAnswer::kSilent:
      break;
  }
  return "silent";
}

}  // namespace wow
