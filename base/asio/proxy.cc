#include "base/asio/proxy.h"

#include <openssl/evp.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <vector>

#include "base/bytes.h"
#include "base/endpoint.h"

namespace wow {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr auto kQuietly = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kAnswerBytesMax = 8 * 1024;
constexpr std::size_t kWordBytesMax = 255;  // RFC 1929, 2

// RFC 3986, 2.1; nothing for what is none.
std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    unsigned value = 0;
    if (i + 2 >= text.size()) return std::nullopt;
    const char* const end = text.data() + i + 3;
    if (std::from_chars(text.data() + i + 1, end, value, 16).ptr != end) return std::nullopt;
    out += static_cast<char>(value);
    i += 2;
  }
  return out;
}

// RFC 1123, 2.1, and the underscores that some have.
bool is_host_name(std::string_view text) {
  constexpr std::size_t kNameBytesMax = 253;
  return text.size() <= kNameBytesMax && std::ranges::all_of(text, [](unsigned char c) {
           return std::isalnum(c) || c == '-' || c == '.' || c == '_';
         });
}

std::string base64(std::string_view text) {
  std::string out((text.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

asio::awaitable<bool> write_all(tcp::socket& socket, const std::string& bytes) {
  const auto [error, written] = co_await asio::async_write(socket, asio::buffer(bytes), kQuietly);
  co_return !error;
}

asio::awaitable<bool> read_all(tcp::socket& socket, std::vector<std::uint8_t>& room) {
  const auto [error, bytes] = co_await asio::async_read(socket, asio::buffer(room), kQuietly);
  co_return !error;
}

// Byte by byte: what comes behind the answer is the far end's. As much as came, if it has no end.
asio::awaitable<std::string> read_head(tcp::socket& socket) {
  std::string head;
  while (head.size() < kAnswerBytesMax && !head.ends_with("\r\n\r\n")) {
    char next = 0;
    const auto [error, bytes] = co_await socket.async_read_some(asio::buffer(&next, 1), kQuietly);
    if (error) break;
    head += next;
  }
  co_return head;
}

// By the status of its answer (RFC 9110, 15).
ProxyAnswer judge_status(const std::string& status, std::string& why) {
  if (status.front() == '2') return ProxyAnswer::kPasses;
  if (status == "407") {
    why = "it wants a user and a password, or others (status 407)";
    return ProxyAnswer::kWantsPassword;
  }
  if (status == "502" || status == "503" || status == "504") {
    why = "it does not get there itself (status " + status + ")";
    return ProxyAnswer::kNotReached;
  }
  why = "it refuses CONNECT (status " + status + ")";
  return ProxyAnswer::kRefuses;
}

asio::awaitable<ProxyAnswer> pass_http(tcp::socket& socket, const Proxy& proxy, const HostPort& to,
                                       std::string& why) {
  const std::string target = to.text();
  std::string ask = "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n";
  if (!proxy.user.empty())
    ask += "Proxy-Authorization: Basic " + base64(proxy.user + ":" + proxy.password) + "\r\n";
  ask += "\r\n";
  why = "it does not answer";
  if (!co_await write_all(socket, ask)) co_return ProxyAnswer::kSilent;
  const std::string head = co_await read_head(socket);
  if (head.empty()) co_return ProxyAnswer::kSilent;
  const bool is_http = head.starts_with("HTTP/1.") && head.size() > 12 && head[8] == ' ' &&
                       std::isdigit(static_cast<unsigned char>(head[9])) &&
                       head.ends_with("\r\n\r\n");
  why = "its answer is not HTTP";
  co_return is_http ? judge_status(head.substr(9, 3), why) : ProxyAnswer::kNonsense;
}

std::string with_length(const std::string& word) { return static_cast<char>(word.size()) + word; }

constexpr std::uint8_t kSocksVersion = 5;

// RFC 1928, 3, and RFC 1929. "Passes": we may ask.
asio::awaitable<ProxyAnswer> log_in_socks5(tcp::socket& socket, const Proxy& proxy,
                                           std::string& why) {
  constexpr std::uint8_t kPassword = 2, kNoneWanted = 0;
  const bool has_password = !proxy.user.empty();
  const std::string offer = has_password ? std::string("\5\2\0\2", 4) : std::string("\5\1\0", 3);
  why = "it does not answer";
  std::vector<std::uint8_t> chosen(2);
  if (!co_await write_all(socket, offer) || !co_await read_all(socket, chosen))
    co_return ProxyAnswer::kSilent;
  why = "its answer is not SOCKS 5";
  if (chosen[0] != kSocksVersion) co_return ProxyAnswer::kNonsense;
  if (chosen[1] == kNoneWanted) co_return ProxyAnswer::kPasses;
  why = "it wants a user and a password";
  if (chosen[1] != kPassword || !has_password) co_return ProxyAnswer::kWantsPassword;
  const std::string words = "\1" + with_length(proxy.user) + with_length(proxy.password);
  std::vector<std::uint8_t> verdict(2);
  why = "it wants another user or password";
  // Some hang up instead of saying no.
  if (!co_await write_all(socket, words) || !co_await read_all(socket, verdict) || verdict[1] != 0)
    co_return ProxyAnswer::kWantsPassword;
  co_return ProxyAnswer::kPasses;
}

// By the code of its reply (RFC 1928, 6).
ProxyAnswer judge_code(std::uint8_t code, std::string& why) {
  constexpr std::uint8_t kNetworkUnreachable = 3, kTimeToLiveExpired = 6;
  if (code == 0) return ProxyAnswer::kPasses;
  const bool is_willing = code >= kNetworkUnreachable && code <= kTimeToLiveExpired;
  why = std::string(is_willing ? "it does not get there itself" : "it refuses") + " (code " +
        std::to_string(code) + ")";
  return is_willing ? ProxyAnswer::kNotReached : ProxyAnswer::kRefuses;
}

// RFC 1928, 4 to 6.
asio::awaitable<ProxyAnswer> pass_socks5(tcp::socket& socket, const Proxy& proxy,
                                         const HostPort& to, std::string& why) {
  const ProxyAnswer hello = co_await log_in_socks5(socket, proxy, why);
  if (hello != ProxyAnswer::kPasses) co_return hello;
  constexpr std::uint8_t kIpv4 = 1, kName = 3, kIpv6 = 4;
  Writer ask;
  ask.u8(kSocksVersion).u8(1).u8(0);
  if (const auto ip = IpAddress::parse(to.host)) {
    ask.u8(ip->is_v4() ? kIpv4 : kIpv6).bytes(ip->bytes());
  } else {
    ask.u8(kName).bytes(view_of(with_length(to.host)));
  }
  ask.u16(to.port);
  const std::string bytes = to_string(ask.take());
  why = "it does not answer";
  std::vector<std::uint8_t> answer(4);
  if (!co_await write_all(socket, bytes) || !co_await read_all(socket, answer))
    co_return ProxyAnswer::kSilent;
  why = "its answer is not SOCKS 5";
  if (answer[0] != kSocksVersion) co_return ProxyAnswer::kNonsense;
  const ProxyAnswer verdict = judge_code(answer[1], why);
  if (verdict != ProxyAnswer::kPasses) co_return verdict;
  // The address that it speaks from, of a length that its kind or its first byte tells: read over.
  std::vector<std::uint8_t> bound(answer[3] == kIpv4 ? 4 : answer[3] == kIpv6 ? 16 : 0);
  if (answer[3] == kName) {
    std::vector<std::uint8_t> length(1);
    if (!co_await read_all(socket, length)) co_return ProxyAnswer::kNonsense;
    bound.resize(length[0]);
  }
  const bool is_known = answer[3] == kIpv4 || answer[3] == kName || answer[3] == kIpv6;
  bound.resize(bound.size() + 2);
  co_return is_known&& co_await read_all(socket, bound) ? ProxyAnswer::kPasses
                                                        : ProxyAnswer::kNonsense;
}

}  // namespace

Result<Proxy> Proxy::parse(std::string_view url) {
  const auto wrong = [&](const std::string& what) {
    return Error{ErrorCode::kInvalidArgument,
                 "proxy \"" + std::string(url.substr(0, url.find("://") + 3)) + "...\" " + what +
                     ": write http://[USER:PASSWORD@]HOST:PORT or socks5://..."};
  };
  Proxy out;
  std::string_view rest = url;
  if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else if (rest.starts_with("socks5://") || rest.starts_with("socks5h://")) {
    out.kind = Kind::kSocks5;
    rest.remove_prefix(rest.find("//") + 2);
  } else {
    return wrong("is of no known kind");
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (const auto at = rest.rfind('@'); at != std::string_view::npos) {
    const std::string_view words = rest.substr(0, at);
    const auto colon = words.find(':');
    const auto user = percent_decoded(words.substr(0, colon));
    const auto password =
        percent_decoded(colon == std::string_view::npos ? "" : words.substr(colon + 1));
    if (!user || !password || user->empty() || user->size() > kWordBytesMax ||
        password->size() > kWordBytesMax) {
      return wrong("has a user or password that cannot be");
    }
    out.user = *user;
    out.password = *password;
    rest.remove_prefix(at + 1);
  }
  const auto at = HostPort::parse(rest);
  if (!at || (!IpAddress::parse(at->host) && !is_host_name(at->host)))
    return wrong("names no host and port");
  out.host = at->host;
  out.port = at->port;
  return out;
}

std::string Proxy::text() const {
  return (kind == Kind::kHttp ? "http://" : "socks5://") + HostPort{host, port}.text();
}

std::optional<Proxy> proxy_from_environment(std::string* why) {
  for (const char* name : {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    auto proxy = Proxy::parse(value);
    if (proxy) return *proxy;
    *why = std::string(name) + ": " + proxy.error().message;
  }
  return std::nullopt;
}

asio::awaitable<ProxyAnswer> pass_proxy(tcp::socket& socket, const Proxy& proxy, const HostPort& to,
                                        std::string& why) {
  if (proxy.kind == Proxy::Kind::kHttp) co_return co_await pass_http(socket, proxy, to, why);
  co_return co_await pass_socks5(socket, proxy, to, why);
}

}  // namespace wow
