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

// Byte by byte: what comes behind the answer is the far end's.
asio::awaitable<std::string> read_head(tcp::socket& socket) {
  std::string head;
  while (head.size() < kAnswerBytesMax && !head.ends_with("\r\n\r\n")) {
    char next = 0;
    const auto [error, bytes] = co_await socket.async_read_some(asio::buffer(&next, 1), kQuietly);
    if (error) co_return "";
    head += next;
  }
  co_return head.ends_with("\r\n\r\n") ? head : "";
}

asio::awaitable<bool> pass_http(tcp::socket& socket, const Proxy& proxy, const Endpoint& to,
                                std::string& why) {
  const std::string target = Endpoint{to.ip, to.port}.text();
  std::string ask = "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n";
  if (!proxy.user.empty())
    ask += "Proxy-Authorization: Basic " + base64(proxy.user + ":" + proxy.password) + "\r\n";
  ask += "\r\n";
  why = "the proxy closed the connection";
  if (!co_await write_all(socket, ask)) co_return false;
  const std::string head = co_await read_head(socket);
  const bool is_http = head.starts_with("HTTP/1.") && head.size() > 12 && head[8] == ' ';
  why = head.empty() ? "the proxy gave no answer" : "the proxy's answer is not HTTP";
  if (!is_http) co_return false;
  const std::string status = head.substr(9, 3);
  why = status == "407" ? "the proxy wants another user or password"
                        : "the proxy refused with status " + status;
  co_return status.front() == '2';
}

std::string with_length(const std::string& word) { return static_cast<char>(word.size()) + word; }

asio::awaitable<bool> pass_socks5(tcp::socket& socket, const Proxy& proxy, const Endpoint& to,
                                  std::string& why) {
  constexpr std::uint8_t kVersion = 5, kPassword = 2, kNoneWanted = 0;
  const bool has_password = !proxy.user.empty();
  why = "the proxy gave no answer of SOCKS 5";
  const std::string offer = has_password ? std::string("\5\2\0\2", 4) : std::string("\5\1\0", 3);
  if (!co_await write_all(socket, offer)) co_return false;
  std::vector<std::uint8_t> chosen(2);
  if (!co_await read_all(socket, chosen) || chosen[0] != kVersion) co_return false;
  if (chosen[1] == kPassword && has_password) {
    const std::string words = "\1" + with_length(proxy.user) + with_length(proxy.password);
    if (!co_await write_all(socket, words)) co_return false;
    std::vector<std::uint8_t> verdict(2);
    if (!co_await read_all(socket, verdict)) co_return false;
    why = "the proxy wants another user or password";
    if (verdict[1] != 0) co_return false;
  } else if (chosen[1] != kNoneWanted) {
    why = "the proxy wants a user and a password";
    co_return false;
  }
  Writer ask;
  ask.u8(kVersion).u8(1).u8(0).u8(to.ip.is_v4() ? 1 : 4).bytes(to.ip.bytes()).u16(to.port);
  const std::string bytes = to_string(ask.take());
  if (!co_await write_all(socket, bytes)) co_return false;
  std::vector<std::uint8_t> answer(4);
  why = "the proxy gave no answer of SOCKS 5";
  if (!co_await read_all(socket, answer) || answer[0] != kVersion) co_return false;
  why = "the proxy refused with code " + std::to_string(answer[1]);
  if (answer[1] != 0) co_return false;
  why = "the proxy's answer is not SOCKS 5";
  std::vector<std::uint8_t> bound(answer[3] == 1 ? 4 : answer[3] == 4 ? 16 : 0);
  if (answer[3] == 3) {
    std::vector<std::uint8_t> length(1);
    if (!co_await read_all(socket, length)) co_return false;
    bound.resize(length[0]);
  }
  bound.resize(bound.size() + 2);
  co_return (answer[3] == 1 || answer[3] == 3 || answer[3] == 4) &&
      co_await read_all(socket, bound);
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
  const auto colon = rest.rfind(':');
  const std::string_view host = rest.substr(0, colon);
  const std::string_view port = colon == std::string_view::npos ? "" : rest.substr(colon + 1);
  const auto end = port.data() + port.size();
  if (std::from_chars(port.data(), end, out.port).ptr != end || out.port == 0 || host.empty())
    return wrong("names no host and port");
  const auto endpoint = Endpoint::parse(rest);
  if (!endpoint && !is_host_name(host)) return wrong("names no host and port");
  out.host = endpoint ? endpoint->ip.text() : std::string(host);
  return out;
}

std::string Proxy::text() const {
  const bool is_v6 = host.find(':') != std::string::npos;
  return (kind == Kind::kHttp ? "http://" : "socks5://") + (is_v6 ? "[" + host + "]" : host) + ":" +
         std::to_string(port);
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

asio::awaitable<bool> pass_proxy(tcp::socket& socket, const Proxy& proxy, const Endpoint& to,
                                 std::string& why) {
  if (proxy.kind == Proxy::Kind::kHttp) co_return co_await pass_http(socket, proxy, to, why);
  co_return co_await pass_socks5(socket, proxy, to, why);
}

}  // namespace wow
