#include "base/asio/udp_socket.h"

#include <ifaddrs.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/asio/socket_address.h"
#include "base/log.h"

namespace wow {
namespace {

constexpr int kSocketBufferBytes = 4 * 1024 * 1024;

// Whether datagrams that exceed the path's MTU are cut by the kernel and by routers. If not, the
// kernel does not use its own idea of that MTU either.
void set_fragmented(int fd, bool v6, bool fragmented) {
  const int discover = fragmented ? IP_PMTUDISC_DONT : IP_PMTUDISC_PROBE;
  setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &discover, sizeof discover);
  if (v6) setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &discover, sizeof discover);
}

void set_options(int fd, bool v6, bool shared) {
  const int off = 0, on = 1;
  if (v6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (shared) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  // Better in pieces than not at all: what must not be cut is answered before it gets here.
  set_fragmented(fd, v6, true);
  // Bursts of a fast flow outrun the default buffers; FORCE needs CAP_NET_ADMIN and its failure is
  // harmless.
  for (const auto& [forced, plain] :
       {std::pair(SO_RCVBUFFORCE, SO_RCVBUF), std::pair(SO_SNDBUFFORCE, SO_SNDBUF)}) {
    if (setsockopt(fd, SOL_SOCKET, forced, &kSocketBufferBytes, sizeof kSocketBufferBytes) != 0) {
      setsockopt(fd, SOL_SOCKET, plain, &kSocketBufferBytes, sizeof kSocketBufferBytes);
    }
  }
}

// What the kernel says beside a datagram: how it was coalesced, and its ECN mark.
void read_control(msghdr& header, UdpReceiver::Received& out) {
  constexpr std::uint8_t kEcnMask = 3;
  for (cmsghdr* at = CMSG_FIRSTHDR(&header); at != nullptr; at = CMSG_NXTHDR(&header, at)) {
    int value = 0;
    std::memcpy(&value, CMSG_DATA(at), std::min(sizeof value, at->cmsg_len - CMSG_LEN(0)));
    if (at->cmsg_level == SOL_UDP && at->cmsg_type == UDP_GRO && value > 0) {
      out.segment_bytes = static_cast<std::size_t>(value);
    } else if ((at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_TOS) ||
               (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_TCLASS)) {
      out.ecn = static_cast<std::uint8_t>(value) & kEcnMask;
    }
  }
}

}  // namespace

Result<UdpSocket> UdpSocket::open(std::uint16_t port, bool shared) {
  bool v6 = true;
  int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    v6 = false;
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  }
  if (fd < 0)
    return Error{ErrorCode::kIo, std::string("cannot make a UDP socket: ") + std::strerror(errno)};
  UdpSocket out(fd, port, v6);
  set_options(fd, v6, shared);
  const SocketAddress any = to_sockaddr({v6 ? IpAddress() : IpAddress::v4(0), port}, v6);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&any.storage), any.length) != 0) {
    const std::string at = "UDP port " + std::to_string(port);
    if (errno == EADDRINUSE) {
      return Error{ErrorCode::kAlreadyExists,
                   at + " is in use: choose another with --listen, or stop who holds it"};
    }
    return Error{ErrorCode::kIo, "cannot bind " + at + ": " + std::strerror(errno)};
  }
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &length);
  out.port_ = to_endpoint(bound).port;
  return out;
}

UdpSocket::UdpSocket(UdpSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      port_(other.port_),
      v6_(other.v6_),
      segments_(other.segments_.load()) {}

UdpSocket& UdpSocket::operator=(UdpSocket&& other) noexcept {
  std::swap(fd_, other.fd_);
  port_ = other.port_;
  v6_ = other.v6_;
  segments_ = other.segments_.load();
  return *this;
}

UdpSocket::~UdpSocket() {
  if (fd_ >= 0) close(fd_);
}

void UdpSocket::coalesce() const {
  const int on = 1;
  setsockopt(fd_, SOL_UDP, UDP_GRO, &on, sizeof on);
  setsockopt(fd_, IPPROTO_IP, IP_RECVTOS, &on, sizeof on);
  if (v6_) setsockopt(fd_, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof on);
}

// What sendmmsg needs for one batch.
struct UdpSocket::Messages {
  static constexpr std::size_t kControlBytes =
      CMSG_SPACE(sizeof(std::uint16_t)) + CMSG_SPACE(sizeof(int));
  std::array<mmsghdr, kBatch> headers;
  std::array<std::array<iovec, 2>, kBatch> parts;
  std::array<SocketAddress, kBatch> to;
  alignas(cmsghdr) std::array<std::array<std::uint8_t, kControlBytes>, kBatch> control;

  void set(std::size_t i, const Datagram& d, bool v6) {
    to[i] = to_sockaddr(d.to, v6);
    parts[i][0] = {const_cast<std::uint8_t*>(d.head.data()), d.head.size()};
    parts[i][1] = {const_cast<std::uint8_t*>(d.body.data()), d.body.size()};
    msghdr& header = headers[i].msg_hdr;
    header = {};
    header.msg_name = &to[i].storage;
    header.msg_namelen = to[i].length;
    header.msg_iov = parts[i].data();
    header.msg_iovlen = d.body.empty() ? 1 : 2;
    if (d.segment_bytes != 0) add_control(i, SOL_UDP, UDP_SEGMENT, d.segment_bytes);
    if (d.ecn != 0 && d.to.ip.is_v4()) add_control(i, IPPROTO_IP, IP_TOS, int{d.ecn});
    if (d.ecn != 0 && !d.to.ip.is_v4()) add_control(i, IPPROTO_IPV6, IPV6_TCLASS, int{d.ecn});
  }
  template <typename Value>
  void add_control(std::size_t i, int level, int type, Value value) {
    msghdr& header = headers[i].msg_hdr;
    auto* at = reinterpret_cast<cmsghdr*>(control[i].data() + header.msg_controllen);
    at->cmsg_level = level;
    at->cmsg_type = type;
    at->cmsg_len = CMSG_LEN(sizeof value);
    std::memcpy(CMSG_DATA(at), &value, sizeof value);
    header.msg_control = control[i].data();
    header.msg_controllen += CMSG_SPACE(sizeof value);
  }
};

void UdpSocket::send(std::span<const Datagram> batch, MetricSlot& metrics) const {
  Messages messages;
  while (!batch.empty()) {
    if (batch[0].segment_bytes != 0 && !segments_.load(std::memory_order_relaxed)) {
      send_singly(batch[0], metrics);
      batch = batch.subspan(1);
      continue;
    }
    const bool whole = batch[0].dont_fragment;
    const std::size_t count = whole ? 1 : std::min(batch.size(), kBatch);
    for (std::size_t i = 0; i < count; ++i) messages.set(i, batch[i], v6_);
    // Only probes of paths: what other threads send meanwhile may meet the option, and no harm.
    if (whole) set_fragmented(fd_, v6_, false);
    int sent = sendmmsg(fd_, messages.headers.data(), static_cast<unsigned>(count), 0);
    if (whole) set_fragmented(fd_, v6_, true);
    if (sent <= 0) {
      // Only the first datagram is at fault (no route, no IPv6, full buffer): skip it and go on.
      sent = 1;
      if (batch[0].segment_bytes != 0 && cannot_segment(errno)) {
        send_singly(batch[0], metrics);
      } else {
        metrics.add(Metric::kDropSendFailed);
      }
    } else {
      for (int i = 0; i < sent; ++i) {
        const std::size_t bytes = messages.headers[i].msg_len, segment = batch[i].segment_bytes;
        metrics.add(Metric::kDatagramsOut, segment == 0 ? 1 : (bytes + segment - 1) / segment);
        metrics.add(Metric::kBytesOut, bytes);
      }
    }
    batch = batch.subspan(static_cast<std::size_t>(sent));
  }
}

// Whether it would do to send the same one by one: kernels before 4.18 and segments larger than a
// path's MTU give EINVAL or EMSGSIZE, a device that computes no checksums EIO, for ever.
bool UdpSocket::cannot_segment(int error) const {
  if (error == EIO && segments_.exchange(false)) {
    log_warn("datagrams are sent one by one, which costs speed",
             {{"why", "the network device computes no UDP checksums"}});
  }
  return error == EIO || error == EINVAL || error == EMSGSIZE;
}

void UdpSocket::send_singly(const Datagram& segmented, MetricSlot& metrics) const {
  std::array<Datagram, kBatch> singles;
  std::size_t count = 0;
  for (ByteView left = segmented.body; !left.empty();) {
    const ByteView one = left.first(std::min<std::size_t>(left.size(), segmented.segment_bytes));
    left = left.subspan(one.size());
    singles[count++] = {segmented.to, one, {}, segmented.ecn, 0};
    if (count == kBatch || left.empty()) {
      send({singles.data(), count}, metrics);
      count = 0;
    }
  }
}

bool UdpSocket::steer_by_receiver_index(int sockets) const {
  const auto n = static_cast<std::uint32_t>(sockets);
  // Offsets count from the UDP payload. What is not data has 0 left in the accumulator: socket 0.
  const std::array<sock_filter, 6> program = {{
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xfc),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x10, 0, 1),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2),
      BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, n),
      BPF_STMT(BPF_RET | BPF_A, 0),
  }};
  const sock_fprog filter = {static_cast<unsigned short>(program.size()),
                             const_cast<sock_filter*>(program.data())};
  return setsockopt(fd_, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &filter, sizeof filter) == 0;
}

// What recvmmsg needs, filled in once.
struct UdpReceiver::Messages {
  static constexpr std::size_t kControlBytes = 2 * CMSG_SPACE(sizeof(int));
  std::array<mmsghdr, UdpSocket::kBatch> headers{};
  std::array<iovec, UdpSocket::kBatch> parts;
  std::array<sockaddr_storage, UdpSocket::kBatch> from;
  alignas(cmsghdr) std::array<std::array<std::uint8_t, kControlBytes>, UdpSocket::kBatch> control;

  void set(std::size_t i, const iovec& slot) {
    parts[i] = slot;
    msghdr& header = headers[i].msg_hdr;
    header.msg_name = &from[i];
    header.msg_iov = &parts[i];
    header.msg_iovlen = 1;
    header.msg_control = control[i].data();
    set_lengths(i);
  }
  // The kernel writes over them.
  void set_lengths(std::size_t i) {
    headers[i].msg_hdr.msg_namelen = sizeof from[i];
    headers[i].msg_hdr.msg_controllen = kControlBytes;
  }
};

UdpReceiver::UdpReceiver(Kind kind)
    : batch_(kind == kSingle ? UdpSocket::kBatch : UdpSocket::kBatch / 2),
      slot_bytes_(kind == kSingle ? kDatagramBytesMax : kCoalescedBytesMax),
      storage_(new std::uint8_t[batch_ * slot_bytes_]),
      messages_(std::make_unique<Messages>()) {
  received_.reserve(batch_);
  for (std::size_t i = 0; i < batch_; ++i)
    messages_->set(i, {storage_.get() + i * slot_bytes_, slot_bytes_});
}

UdpReceiver::~UdpReceiver() = default;

std::span<const UdpReceiver::Received> UdpReceiver::receive(const UdpSocket& socket,
                                                            MetricSlot& metrics) {
  auto& [messages, parts, from, control] = *messages_;
  received_.clear();
  const int count =
      recvmmsg(socket.fd(), messages.data(), static_cast<unsigned>(batch_), MSG_DONTWAIT, nullptr);
  for (int i = 0; i < count; ++i) {
    const std::size_t bytes = messages[i].msg_len;
    Received got{
        to_endpoint(from[i]), {static_cast<std::uint8_t*>(parts[i].iov_base), bytes}, bytes, 0};
    read_control(messages[i].msg_hdr, got);
    const std::size_t datagrams =
        bytes == 0 ? 1 : (bytes + got.segment_bytes - 1) / got.segment_bytes;
    metrics.add(Metric::kDatagramsIn, datagrams);
    metrics.add(Metric::kBytesIn, bytes);
    messages_->set_lengths(i);
    if (messages[i].msg_hdr.msg_flags & MSG_TRUNC) {
      metrics.add(Metric::kDropGarbage);
      continue;
    }
    received_.push_back(got);
  }
  return received_;
}

std::vector<IpAddress> local_addresses(bool with_loopback) {
  std::vector<IpAddress> out;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return out;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || !(entry->ifa_flags & IFF_UP)) continue;
    if (std::strncmp(entry->ifa_name, "wow-", 4) == 0) continue;
    sockaddr_storage storage{};
    if (entry->ifa_addr->sa_family == AF_INET) {
      std::memcpy(&storage, entry->ifa_addr, sizeof(sockaddr_in));
    } else if (entry->ifa_addr->sa_family == AF_INET6) {
      std::memcpy(&storage, entry->ifa_addr, sizeof(sockaddr_in6));
    } else {
      continue;
    }
    const IpAddress ip = to_endpoint(storage).ip;
    if (ip.is_link_local() || ip.is_multicast() || (ip.is_loopback() && !with_loopback)) continue;
    out.push_back(ip);
  }
  freeifaddrs(list);
  std::stable_sort(out.begin(), out.end(),
                   [](const auto& a, const auto& b) { return a.is_v4() > b.is_v4(); });
  return out;
}

}  // namespace wow
