#include "tools/daemon/generation_watch.h"

#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace wow {
namespace {

constexpr std::size_t kEventBytesMax = 8192;
constexpr std::uint32_t kFromKernel = 1;  // the group; 2 is udev's

}  // namespace

bool is_new_generation(ByteView uevent) {
  constexpr std::string_view kSaid = "NEW_VMGENID=1";
  std::string_view text = text_of(uevent);
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\0'));
    if (line == kSaid) return true;
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return false;
}

std::unique_ptr<GenerationWatch> GenerationWatch::open(boost::asio::any_io_executor executor,
                                                       std::function<void()> changed) {
  const int fd =
      socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
  if (fd < 0) return nullptr;
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = kFromKernel;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    close(fd);
    return nullptr;
  }
  std::unique_ptr<GenerationWatch> out(
      new GenerationWatch(std::move(executor), fd, std::move(changed)));
  out->wait();
  return out;
}

GenerationWatch::GenerationWatch(boost::asio::any_io_executor executor, int fd,
                                 std::function<void()> changed)
    : socket_(std::move(executor), fd), changed_(std::move(changed)) {}

void GenerationWatch::wait() {
  socket_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [this](const boost::system::error_code& error) {
                       if (!error) read();
                     });
}

// One event of ours is enough: all that wait are read first.
void GenerationWatch::read() {
  std::array<std::uint8_t, kEventBytesMax> buffer;
  bool said = false;
  for (;;) {
    sockaddr_nl from{};
    socklen_t size = sizeof from;
    const ssize_t got = recvfrom(socket_.native_handle(), buffer.data(), buffer.size(), 0,
                                 reinterpret_cast<sockaddr*>(&from), &size);
    if (got < 0) break;
    // Only the kernel has number 0.
    if (from.nl_pid != 0) continue;
    said |= is_new_generation(ByteView(buffer).first(static_cast<std::size_t>(got)));
  }
  wait();
  if (said) changed_();
}

}  // namespace wow
