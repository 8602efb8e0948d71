// A proxy that streams may have to pass: HTTP CONNECT (RFC 9110, 9.3.6; basic password, RFC 7617)
// or SOCKS 5 (RFC 1928, RFC 1929). Where it is, and the words with it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/host_port.h"

namespace wow {

struct Proxy {
  enum class Kind { kHttp, kSocks5 };
  Kind kind = Kind::kHttp;
  std::string host;  // an address or a name
  std::uint16_t port = 0;
  std::string user, password;  // empty: none

  // "http://user:password@10.0.0.1:3128" or "socks5://proxy.example:1080"; user and password may
  // be percent-encoded. The error says what is wrong with it.
  static Result<Proxy> parse(std::string_view url);
  std::string text() const;  // without the password
};

// What https_proxy or all_proxy say (lower case first); nothing if neither is set to a proxy that
// can be used, and `why` tells.
std::optional<Proxy> proxy_from_environment(std::string* why);

// What a proxy makes of being asked for a way.
enum class ProxyAnswer {
  kPasses,
  kNotReached,     // it is willing, but does not get there itself
  kRefuses,        // to lead there, or anywhere
  kWantsPassword,  // one, or another one
  kNonsense,       // it is no such proxy
  kSilent,         // it says nothing, or hangs up
};

// Asks the proxy, at the other end of `socket`, for a way to `to`, whose name the proxy resolves.
// `why`: in words, if there is none. What the far end says first is not lost. Waits until the
// socket is closed.
boost::asio::awaitable<ProxyAnswer> pass_proxy(boost::asio::ip::tcp::socket& socket,
                                               const Proxy& proxy, const HostPort& to,
                                               std::string& why);

}  // namespace wow
