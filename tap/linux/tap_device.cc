#include "tap/linux/tap_device.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "base/log.h"
#include "base/transport.h"
#include "proto/headers.h"
#include "tunnel/frame_headers.h"

extern "C" unsigned int if_nametoindex(const char* name);

namespace wow {
namespace {

Error open_error(const std::string& name) {
  switch (errno) {
    case ENOENT:
    case ENODEV:
      return {ErrorCode::kNotFound, "/dev/net/tun is missing: load it with `modprobe tun`"};
    case EPERM:
    case EACCES:
      return {ErrorCode::kPermission, "not permitted to make the virtual interface " + name +
                                          ": run as root, or use `wow router`"};
    case EBUSY:
      return {ErrorCode::kAlreadyExists,
              "the interface " + name + " exists already: another program holds it"};
    default:
      return {ErrorCode::kIo,
              "cannot make the virtual interface " + name + ": " + std::strerror(errno)};
  }
}

ifreq request_for(const std::string& name) {
  ifreq request{};
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  return request;
}

bool set_hardware(const std::string& name, const MacAddress& mac, int mtu) {
  const int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (control < 0) return false;
  ifreq request = request_for(name);
  request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  std::memcpy(request.ifr_hwaddr.sa_data, mac.data(), mac.size());
  bool done = ioctl(control, SIOCSIFHWADDR, &request) == 0;
  request = request_for(name);
  request.ifr_mtu = mtu;
  done = ioctl(control, SIOCSIFMTU, &request) == 0 && done;
  close(control);
  return done;
}

// What the host may leave to us; false if UDP segments are not among it (kernels before 6.2).
// linux/Documentation/networking/tuntap.rst.
bool set_offloads(int fd) {
  // Of later kernels than Debian 12's headers.
  constexpr unsigned kUso4 = 0x20, kUso6 = 0x40;
  constexpr unsigned kTcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  if (ioctl(fd, TUNSETOFFLOAD, kTcp | kUso4 | kUso6) == 0) return true;
  ioctl(fd, TUNSETOFFLOAD, kTcp);
  return false;
}

// A frame of more segments would leave in two messages, the second a small one. Best effort.
void limit_segments(int index, std::uint32_t segments) {
  const std::unique_ptr<nl_sock, decltype(&nl_socket_free)> sock(nl_socket_alloc(), nl_socket_free);
  if (!sock || nl_connect(sock.get(), NETLINK_ROUTE) < 0) return;
  const std::unique_ptr<nl_msg, decltype(&nlmsg_free)> request(
      nlmsg_alloc_simple(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK), nlmsg_free);
  ifinfomsg link{};
  link.ifi_index = index;
  if (!request || nlmsg_append(request.get(), &link, sizeof link, NLMSG_ALIGNTO) < 0 ||
      nla_put_u32(request.get(), IFLA_GSO_MAX_SEGS, segments) < 0)
    return;
  if (nl_send_auto(sock.get(), request.get()) >= 0) nl_wait_for_ack(sock.get());
}

// Best effort: a read-only /proc (containers) keeps the default, and no such frame is ever
// delivered anyway.
void write_sysctl(const std::string& path, const char* value) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  [[maybe_unused]] const auto written = write(fd, value, std::strlen(value));
  close(fd);
}

}  // namespace

std::string interface_name(const std::string& wanted) {
  constexpr std::size_t kBytesMax = IFNAMSIZ - 1, kHashDigits = 3;
  if (wanted.size() <= kBytesMax) return wanted;
  // FNV-1a: two long names that begin alike must not end alike.
  std::uint32_t hash = 2166136261;
  for (const char c : wanted) hash = (hash ^ static_cast<std::uint8_t>(c)) * 16777619;
  const std::uint8_t bytes[] = {static_cast<std::uint8_t>(hash >> 24),
                                static_cast<std::uint8_t>(hash >> 16)};
  return wanted.substr(0, kBytesMax - kHashDigits) + to_hex(bytes).substr(0, kHashDigits);
}

Result<TapDevice> TapDevice::open(const std::string& name, const MacAddress& mac, int mtu,
                                  int queues, Offloads offloads) {
  TapDevice tap;
  tap.name_ = interface_name(name);
  tap.kind_.frame_bytes_max = static_cast<std::size_t>(mtu) + kEthernetHeaderBytes;
  tap.kind_.vnet_header = offloads == Offloads::kAll;
  // Attaching to an interface that is there already would share it with its owner.
  if (if_nametoindex(tap.name_.c_str()) != 0) {
    errno = EBUSY;
    return open_error(tap.name_);
  }
  for (int i = 0; i < queues; ++i) {
    const int fd = ::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return open_error(tap.name_);
    tap.fds_.push_back(fd);
    ifreq request = request_for(tap.name_);
    request.ifr_flags =
        static_cast<short>(IFF_TAP | IFF_NO_PI | (queues > 1 ? IFF_MULTI_QUEUE : 0) |
                           (tap.kind_.vnet_header ? IFF_VNET_HDR : 0));
    if (ioctl(fd, TUNSETIFF, &request) != 0) return open_error(tap.name_);
    if (tap.kind_.vnet_header) tap.kind_.udp_segments = set_offloads(fd);
  }
  if (tap.kind_.vnet_header && !tap.kind_.udp_segments) {
    log_warn("UDP is slower here", {{"why", "UDP segments cannot go together before Linux 6.2"}});
  }
  tap.index_ = static_cast<int>(if_nametoindex(tap.name_.c_str()));
  if (!set_hardware(tap.name_, mac, mtu)) return open_error(tap.name_);
  if (tap.kind_.vnet_header) {
    const std::size_t packet_bytes = tap.kind_.frame_bytes_max + kDataOverheadBytes;
    limit_segments(tap.index_,
                   static_cast<std::uint32_t>(std::clamp<std::size_t>(
                       Datagram::kSegmentedBytesMax / packet_bytes, 1, Datagram::kSegmentsMax)));
  }
  for (const char* family : {"ipv4", "ipv6"}) {
    write_sysctl(
        "/proc/sys/net/" + std::string(family) + "/conf/" + tap.name_ + "/accept_redirects", "0");
  }
  write_sysctl("/proc/sys/net/ipv6/conf/" + tap.name_ + "/accept_ra", "0");
  return tap;
}

TapDevice::TapDevice(TapDevice&& other) noexcept
    : name_(std::move(other.name_)),
      index_(other.index_),
      kind_(other.kind_),
      fds_(std::exchange(other.fds_, {})) {}

std::vector<TapQueue> TapDevice::queues() const {
  std::vector<TapQueue> out;
  for (const int fd : fds_) {
    out.push_back(kind_);
    out.back().fd = fd;
  }
  return out;
}

TapDevice::~TapDevice() {
  for (const int fd : fds_) close(fd);
}

}  // namespace wow
