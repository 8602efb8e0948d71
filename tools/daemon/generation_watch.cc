#include "tools/daemon/generation_watch.h"

#include <fcntl.h>
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
// QEMU, docs/specs/vmgenid: the ID lies so far into the file, behind room for a table's header.
constexpr off_t kIdAt = 40;
constexpr std::size_t kIdBytes = 16;

// Uevents of the kernel; -1 where there are none.
int open_events() {
  const int fd =
      socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
  if (fd < 0) return -1;
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = kFromKernel;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
  close(fd);
  return -1;
}

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
                                                       std::function<void()> changed,
                                                       const GenerationFile& file) {
  std::unique_ptr<GenerationWatch> out(new GenerationWatch(std::move(executor)));
  out->changed_ = std::move(changed);
  const int events = open_events();
  if (events >= 0) {
    out->socket_.assign(events);
    out->wait();
  }
  out->file_ = ::open(file.path.c_str(), O_RDONLY | O_CLOEXEC);
  out->every_ = file.every;
  out->seen_ = out->present();
  if (out->seen_) out->look_later();
  if (events < 0 && !out->seen_) return nullptr;
  return out;
}

GenerationWatch::GenerationWatch(boost::asio::any_io_executor executor)
    : socket_(executor), timer_(std::move(executor)) {}

GenerationWatch::~GenerationWatch() {
  if (file_ >= 0) close(file_);
}

void GenerationWatch::wait() {
  socket_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [this](const boost::system::error_code& error) {
                       if (!error) read_events();
                     });
}

// One event of ours is enough: all that wait are read first.
void GenerationWatch::read_events() {
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

// Each read asks QEMU: the copy that is set back sees its own ID, not that of the original.
std::optional<Bytes> GenerationWatch::present() const {
  Bytes id(kIdBytes);
  if (file_ < 0 || pread(file_, id.data(), id.size(), kIdAt) != static_cast<ssize_t>(id.size()))
    return std::nullopt;
  return id;
}

void GenerationWatch::look_later() {
  timer_.expires_after(every_);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) look();
  });
}

void GenerationWatch::look() {
  look_later();
  const std::optional<Bytes> now = present();
  if (!now || now == seen_) return;
  seen_ = now;
  changed_();
}

}  // namespace wow
