#include "base/asio/lan_multicast.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <cstring>
#include <vector>

namespace wow {

namespace asio = boost::asio;

namespace {

constexpr int kReadsAtOnce = 64;  // then others have their turn

// Interfaces with an address of the family.
std::vector<int> interfaces(int family) {
  std::vector<int> out;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return out;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    constexpr unsigned kNeeded = IFF_UP | IFF_MULTICAST;
    if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != family) continue;
    if ((entry->ifa_flags & kNeeded) != kNeeded || (entry->ifa_flags & IFF_LOOPBACK)) continue;
    if (std::strncmp(entry->ifa_name, "wow-", 4) == 0) continue;
    const int index = static_cast<int>(if_nametoindex(entry->ifa_name));
    if (index != 0 && std::ranges::find(out, index) == out.end()) out.push_back(index);
  }
  freeifaddrs(list);
  if (out.size() > LanMulticast::kInterfacesMax) out.resize(LanMulticast::kInterfacesMax);
  return out;
}

template <typename T>
bool set(int fd, int level, int name, const T& value) {
  return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

// One family's socket.
class GroupSocket {
 public:
  GroupSocket(asio::any_io_executor executor, int family, const LanMulticast::Groups& groups)
      : family_(family), descriptor_(std::move(executor)) {
    auto* in4 = reinterpret_cast<sockaddr_in*>(&group_);
    auto* in6 = reinterpret_cast<sockaddr_in6*>(&group_);
    group_.ss_family = static_cast<sa_family_t>(family);
    if (family == AF_INET) {
      in4->sin_port = htons(groups.port);
      inet_pton(AF_INET, groups.v4, &in4->sin_addr);
    } else {
      in6->sin6_port = htons(groups.port);
      inet_pton(AF_INET6, groups.v6, &in6->sin6_addr);
    }
  }

  bool open() {
    const int fd = socket(family_, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return false;
    descriptor_.assign(fd);
    set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    sockaddr_storage at = group_;
    if (family_ == AF_INET) {
      // Bound to the group: what is sent to one of our own addresses does not come here.
      set(fd, IPPROTO_IP, IP_MULTICAST_TTL, 1);
      set(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
    } else {
      // A link-local group cannot be bound to on all links; senders are link-local instead.
      reinterpret_cast<sockaddr_in6*>(&at)->sin6_addr = in6addr_any;
      set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
      set(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 1);
    }
    return bind(fd, reinterpret_cast<const sockaddr*>(&at), length()) == 0;
  }

  void refresh() {
    interfaces_ = interfaces(family_);
    for (const int index : interfaces_) {
      group_req request{};
      request.gr_interface = static_cast<std::uint32_t>(index);
      request.gr_group = group_;
      // Already there, mostly.
      set(descriptor_.native_handle(), level(), MCAST_JOIN_GROUP, request);
    }
  }

  void send(ByteView packet, MetricSlot& metrics) {
    const int fd = descriptor_.native_handle();
    for (const int index : interfaces_) {
      ip_mreqn on{};
      on.imr_ifindex = index;
      const bool chosen = family_ == AF_INET ? set(fd, IPPROTO_IP, IP_MULTICAST_IF, on)
                                             : set(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, index);
      const bool sent = chosen && sendto(fd, packet.data(), packet.size(), 0,
                                         reinterpret_cast<const sockaddr*>(&group_), length()) >= 0;
      metrics.add(sent ? Metric::kDatagramsOut : Metric::kDropSendFailed);
      if (sent) metrics.add(Metric::kBytesOut, packet.size());
    }
  }

  // Nothing when there is nothing (more).
  std::optional<std::pair<ssize_t, IpAddress>> receive(MutableBytes into) {
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    const ssize_t got = recvfrom(descriptor_.native_handle(), into.data(), into.size(), MSG_TRUNC,
                                 reinterpret_cast<sockaddr*>(&from), &size);
    if (got < 0) return std::nullopt;
    if (family_ == AF_INET)
      return std::pair(
          got, IpAddress::v4(ntohl(reinterpret_cast<sockaddr_in*>(&from)->sin_addr.s_addr)));
    const auto* in6 = reinterpret_cast<const sockaddr_in6*>(&from);
    return std::pair(got,
                     IpAddress::v6({reinterpret_cast<const std::uint8_t*>(&in6->sin6_addr), 16}));
  }

  bool is_v6() const { return family_ == AF_INET6; }
  asio::posix::stream_descriptor& descriptor() { return descriptor_; }

 private:
  int level() const { return family_ == AF_INET ? IPPROTO_IP : IPPROTO_IPV6; }
  socklen_t length() const {
    return family_ == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  }

  const int family_;
  asio::posix::stream_descriptor descriptor_;
  sockaddr_storage group_{};
  std::vector<int> interfaces_;
};

}  // namespace

// Shared with the pending waits, which may outlive the owner by one turn of the executor.
class LanMulticast::Impl : public std::enable_shared_from_this<LanMulticast::Impl> {
 public:
  Impl(MetricSlot& metrics, Receiver receive) : metrics_(metrics), receive_(std::move(receive)) {}

  bool open(const asio::any_io_executor& executor, const Groups& groups) {
    for (const int family : {AF_INET, AF_INET6}) {
      auto socket = std::make_unique<GroupSocket>(executor, family, groups);
      if (socket->open()) sockets_.push_back(std::move(socket));
    }
    return !sockets_.empty();
  }
  void start() {
    refresh();
    for (auto& socket : sockets_) wait(*socket);
  }
  void refresh() {
    for (auto& socket : sockets_) socket->refresh();
  }
  void send(ByteView packet) {
    for (auto& socket : sockets_) socket->send(packet, metrics_);
  }
  void stop() {
    stopped_ = true;
    for (auto& socket : sockets_) socket->descriptor().close();
  }

 private:
  void wait(GroupSocket& socket) {
    socket.descriptor().async_wait(
        asio::posix::stream_descriptor::wait_read,
        [self = shared_from_this(), &socket](const boost::system::error_code& error) {
          if (!error && !self->stopped_) self->read(socket);
        });
  }
  void read(GroupSocket& socket) {
    std::array<std::uint8_t, kDatagramBytesMax> buffer;
    for (int i = 0; i < kReadsAtOnce; ++i) {
      const auto got = socket.receive(buffer);
      if (!got) break;
      metrics_.add(Metric::kDatagramsIn);
      metrics_.add(Metric::kBytesIn, static_cast<std::uint64_t>(got->first));
      const auto bytes = static_cast<std::size_t>(got->first);
      // A router does not pass link-local senders on: these are on our link.
      if (bytes > buffer.size() || (socket.is_v6() && !got->second.is_link_local())) {
        metrics_.add(Metric::kDropGarbage);
        continue;
      }
      receive_(MutableBytes(buffer).first(bytes), got->second);
      if (stopped_) return;
    }
    wait(socket);
  }

  MetricSlot& metrics_;
  Receiver receive_;
  std::vector<std::unique_ptr<GroupSocket>> sockets_;
  bool stopped_ = false;
};

LanMulticast::LanMulticast(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
LanMulticast::~LanMulticast() { impl_->stop(); }

Result<std::unique_ptr<LanMulticast>> LanMulticast::open(asio::any_io_executor executor,
                                                         const Groups& groups, MetricSlot& metrics,
                                                         Receiver receive) {
  auto impl = std::make_shared<Impl>(metrics, std::move(receive));
  if (!impl->open(executor, groups)) {
    return Error{ErrorCode::kIo, "cannot listen for members on the LAN: " +
                                     std::string(std::strerror(errno)) + "; --no-lan does without"};
  }
  impl->start();
  return std::unique_ptr<LanMulticast>(new LanMulticast(std::move(impl)));
}

void LanMulticast::refresh() { impl_->refresh(); }
void LanMulticast::send(ByteView packet) { impl_->send(packet); }

}  // namespace wow
