#include "tools/doctor/host_checks.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <fstream>

#include "base/asio/name_resolver.h"
#include "base/asio/socket_address.h"
#include "base/asio/udp_socket.h"
#include "base/host_port.h"

namespace wow {
namespace {

using Steady = std::chrono::steady_clock;

int begin_connect(const Endpoint& to) {
  const int fd =
      socket(to.ip.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const SocketAddress name = to_sockaddr(to, !to.ip.is_v4());
  if (fd < 0) return -1;
  if (connect(fd, name.get(), name.length) == 0 || errno == EINPROGRESS) return fd;
  close(fd);
  return -1;
}

Reach reach_of(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error == 0) return Reach::kOpen;
  return error == ECONNREFUSED ? Reach::kRefused
         : error == ETIMEDOUT  ? Reach::kSilent
                               : Reach::kNoRoute;
}

}  // namespace

std::string_view to_string(Reach reach) {
  switch (reach) {
    case Reach::kOpen:
      return "open";
    case Reach::kRefused:
      return "reached, nobody listens";
    case Reach::kSilent:
      return "no answer";
    case Reach::kNoRoute:
      break;
  }
  return "no route";
}

std::vector<Reach> try_tcp(const std::vector<Endpoint>& to, std::chrono::milliseconds patience) {
  std::vector<Reach> out;
  std::vector<pollfd> waiting;
  for (const Endpoint& endpoint : to) {
    waiting.push_back({begin_connect(endpoint), POLLOUT, 0});
    out.push_back(waiting.back().fd < 0 ? Reach::kNoRoute : Reach::kSilent);
  }
  const auto end = Steady::now() + patience;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Steady::now()).count();
    const bool some =
        std::any_of(waiting.begin(), waiting.end(), [](const pollfd& p) { return p.fd >= 0; });
    if (!some || left <= 0 || poll(waiting.data(), waiting.size(), static_cast<int>(left)) <= 0)
      break;
    for (std::size_t i = 0; i < waiting.size(); ++i) {
      if (waiting[i].fd < 0 || waiting[i].revents == 0) continue;
      out[i] = reach_of(waiting[i].fd);
      close(std::exchange(waiting[i].fd, -1));
    }
  }
  for (const pollfd& each : waiting) {
    if (each.fd >= 0) close(each.fd);
  }
  return out;
}

std::vector<std::string> proxies_of_environment() {
  std::vector<std::string> out;
  for (const char* name : {"https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy", "ALL_PROXY"}) {
    const char* raw = std::getenv(name);
    if (raw == nullptr || *raw == 0) continue;
    std::string value = raw;
    const std::size_t host = value.find("://") == value.npos ? 0 : value.find("://") + 3;
    const std::size_t at = value.rfind('@');
    if (at != value.npos && at >= host) value.replace(host, at - host, "...");
    out.push_back(std::string(name) + "=" + value.substr(0, 200));
  }
  return out;
}

std::string why_no_tun() {
  const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    return errno == EACCES ? "/dev/net/tun may not be opened"
                           : std::string("/dev/net/tun is missing (") + std::strerror(errno) + ")";
  }
  close(fd);
  // CAP_NET_ADMIN, bit 12 of the effective capabilities.
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("CapEff:")) continue;
    const std::string digits = line.substr(line.find_first_not_of(" \t", 7));
    std::uint64_t bits = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), bits, 16);
    if ((bits >> 12 & 1) == 0) return "this user may not make network interfaces";
  }
  return "";
}

std::vector<IpAddress> global_ipv6() {
  std::vector<IpAddress> out;
  for (const IpAddress& ip : local_addresses()) {
    if (!ip.is_v4() && !ip.is_private()) out.push_back(ip);
  }
  return out;
}

std::vector<Endpoint> resolve_all(const std::vector<std::string>& texts,
                                  std::vector<std::string>& failed) {
  std::vector<Endpoint> out;
  boost::asio::io_context io;
  NameResolver resolver(io.get_executor());
  for (const std::string& text : texts) {
    if (const auto endpoint = Endpoint::parse(text)) {
      out.push_back(*endpoint);
      continue;
    }
    const auto at = HostPort::parse(text);
    if (!at) continue;
    resolver.resolve(at->host,
                     [&out, &failed, at = *at](const Result<std::vector<IpAddress>>& found) {
                       if (!found) return failed.push_back(at.host + ": " + found.error().message);
                       for (const IpAddress& ip : *found) out.push_back({ip, at.port});
                     });
  }
  io.run_for(std::chrono::seconds(10));
  return out;
}

}  // namespace wow
