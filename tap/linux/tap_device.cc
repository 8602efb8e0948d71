#include "tap/linux/tap_device.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

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
                                  int queues) {
  TapDevice tap;
  tap.name_ = interface_name(name);
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
        static_cast<short>(IFF_TAP | IFF_NO_PI | (queues > 1 ? IFF_MULTI_QUEUE : 0));
    if (ioctl(fd, TUNSETIFF, &request) != 0) return open_error(tap.name_);
  }
  tap.index_ = static_cast<int>(if_nametoindex(tap.name_.c_str()));
  if (!set_hardware(tap.name_, mac, mtu)) return open_error(tap.name_);
  for (const char* family : {"ipv4", "ipv6"}) {
    write_sysctl(
        "/proc/sys/net/" + std::string(family) + "/conf/" + tap.name_ + "/accept_redirects", "0");
  }
  write_sysctl("/proc/sys/net/ipv6/conf/" + tap.name_ + "/accept_ra", "0");
  return tap;
}

TapDevice::TapDevice(TapDevice&& other) noexcept
    : name_(std::move(other.name_)), index_(other.index_), fds_(std::exchange(other.fds_, {})) {}

TapDevice::~TapDevice() {
  for (const int fd : fds_) close(fd);
}

}  // namespace wow
