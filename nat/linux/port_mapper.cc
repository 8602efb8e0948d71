#include "nat/linux/port_mapper.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "nat/linux/mapping_ways.h"

namespace wow {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr unsigned kTrySecondsMax = 12;  // of one worker: three ways, a device that dawdles
constexpr unsigned kUnmapSecondsMax = 2;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr rlim_t kMemoryMax = RLIM_INFINITY;  // sanitizers reserve terabytes of addresses
#else
constexpr rlim_t kMemoryMax = 256u << 20;  // of one worker: what a device can make it read
#endif
constexpr std::size_t kMessageBytesMax = 1024;
constexpr seconds kRetryFirst{60}, kRetryMax{1800};  // where nobody maps; doubles
constexpr seconds kRenewMin{30};                     // however short a device says
constexpr seconds kAnnouncedMin{30};                 // between two that are listened to
constexpr unsigned kAnnouncedWaitMs = 5000;          // at most: not all at once (RFC 6887, 8.5)

void close_all_but(int keep) {
  DIR* folder = opendir("/proc/self/fd");
  if (folder == nullptr) return;
  std::array<int, 1024> open_now;
  std::size_t count = 0;
  while (const dirent* entry = readdir(folder)) {
    const int fd = std::atoi(entry->d_name);
    if (fd > STDERR_FILENO && fd != keep && fd != dirfd(folder) && count < open_now.size())
      open_now[count++] = fd;
  }
  closedir(folder);
  for (std::size_t i = 0; i < count; ++i) close(open_now[i]);
}

// Words without spaces, an empty one as "-".
std::string word(const std::string& text) { return text.empty() ? "-" : text; }
std::string read_word(std::istream& in) {
  std::string out;
  in >> out;
  return out == "-" ? "" : out;
}

// What a worker tells: one line that begins with '+' or '-'.
std::string told(const MappedPort& mapped) {
  return "+ " + mapped.way + " " + mapped.outside.text() + " " +
         std::to_string(mapped.lifetime.count()) + " " + word(mapped.handle) + " " +
         word(mapped.service);
}
std::optional<MappedPort> read_told(const std::string& line) {
  std::istringstream in(line);
  MappedPort out;
  std::string sign, outside;
  long lifetime = 0;
  in >> sign >> out.way >> outside >> lifetime;
  out.handle = read_word(in);
  out.service = read_word(in);
  const auto endpoint = Endpoint::parse(outside);
  if (sign != "+" || !endpoint || lifetime <= 0) return std::nullopt;
  out.outside = *endpoint;
  out.lifetime = seconds(lifetime);
  return out;
}

// All ways, best first.
std::string try_all(const MappingRequest& request) {
  std::string pcp, natpmp, upnp;
  auto mapped = map_by_pcp(request, pcp);
  if (!mapped) mapped = map_by_natpmp(request, natpmp);
  if (!mapped) mapped = map_by_upnp(request, upnp);
  if (mapped) return told(*mapped);
  return "- PCP: " + pcp + "; NAT-PMP: " + natpmp + "; UPnP: " + upnp;
}

// A process that does one blocking thing, bounded in time and memory.
class Worker {
 public:
  Worker(const std::function<std::string()>& what, unsigned seconds_max) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return;
    child_ = fork();
    if (child_ == 0) {
      alarm(seconds_max);
      const rlimit memory{kMemoryMax, kMemoryMax};
      setrlimit(RLIMIT_AS, &memory);
      const std::string line = what().substr(0, kMessageBytesMax);
      [[maybe_unused]] const auto put = write(ends[1], line.data(), line.size());
      _exit(0);
    }
    close(ends[1]);
    fd_ = ends[0];
  }
  Worker(const Worker&) = delete;
  ~Worker() {
    if (child_ > 0) {
      kill(child_, SIGKILL);
      waitpid(child_, nullptr, 0);
    }
    if (fd_ >= 0) close(fd_);
  }

  int fd() const { return fd_; }
  // Reads what has come; true once there is no more.
  bool read_some() {
    std::array<char, 512> buffer;
    const ssize_t got = read(fd_, buffer.data(), buffer.size());
    if (got > 0 && line.size() < kMessageBytesMax)
      line.append(buffer.data(), static_cast<std::size_t>(got));
    return got <= 0;
  }

  std::string line;

 private:
  pid_t child_ = -1;
  int fd_ = -1;
};

// The child that lives as long as its owner: starts workers, renews, removes at the end.
class Child {
 public:
  explicit Child(int fd) : fd_(fd) {
    [[maybe_unused]] const auto got =
        getrandom(request_.nonce.data(), request_.nonce.size(), GRND_NONBLOCK);
  }

  void serve() {
    for (;;) {
      std::array<pollfd, 3> watched = {pollfd{fd_, POLLIN, 0},
                                       pollfd{worker_ ? worker_->fd() : -1, POLLIN, 0},
                                       pollfd{announced_, POLLIN, 0}};
      if (poll(watched.data(), watched.size(), wait_ms()) < 0 && errno != EINTR) break;
      if (watched[0].revents != 0 && !read_command()) break;
      if (watched[1].revents != 0 && worker_ && worker_->read_some()) on_result();
      if (watched[2].revents != 0 && read_announcements(announced_)) on_restart();
      if (!worker_ && request_.port != 0 && Clock::now() >= due_) begin();
    }
    // A try under way may just have succeeded: what it maps ends by itself within an hour.
    worker_.reset();
    remove();
  }

 private:
  int wait_ms() const {
    if (worker_ || request_.port == 0) return -1;
    const auto left = std::chrono::duration_cast<milliseconds>(due_ - Clock::now()).count() + 1;
    return static_cast<int>(std::max<std::int64_t>(left, 0));
  }

  bool read_command() {
    std::uint16_t port = 0;
    if (recv(fd_, &port, sizeof port, 0) != static_cast<ssize_t>(sizeof port)) return false;
    worker_.reset();
    if (port != request_.port) remove();
    request_.port = port;
    due_ = Clock::now();
    retry_ = kRetryFirst;
    return true;
  }

  void begin() {
    request_.outside_port = mapped_ ? mapped_->outside.port : 0;
    worker_.emplace([this] { return try_all(request_); }, kTrySecondsMax);
  }

  void on_result() {
    const std::string line = worker_->line;
    worker_.reset();
    const auto before = mapped_;
    mapped_ = read_told(line);
    if (mapped_) {
      const auto half = std::max(mapped_->lifetime / 2, kRenewMin);
      due_ = Clock::now() + half;
      retry_ = kRetryFirst;
    } else {
      due_ = Clock::now() + retry_;
      retry_ = std::min(retry_ * 2, kRetryMax);
    }
    if (before && mapped_ && before->outside == mapped_->outside) return;
    const std::string said =
        !line.empty() ? line : "- the answers of a device were nonsense, or took too long";
    send(fd_, said.data(), std::min(said.size(), kMessageBytesMax), MSG_NOSIGNAL);
  }

  // Of the router.
  void on_restart() {
    const auto now = Clock::now();
    if (now < listens_from_) return;
    listens_from_ = now + kAnnouncedMin;
    std::uint32_t chance = 0;
    if (getrandom(&chance, sizeof chance, GRND_NONBLOCK) < 0) chance = 0;
    due_ = std::min(due_, now + milliseconds(chance % kAnnouncedWaitMs));
  }

  void remove() {
    if (!mapped_) return;
    Worker worker(
        [this] {
          unmap(request_, *mapped_);
          return std::string("+");
        },
        kUnmapSecondsMax);
    while (!worker.read_some()) {
    }
    mapped_.reset();
  }

  const int fd_;
  MappingRequest request_;
  std::optional<MappedPort> mapped_;
  std::optional<Worker> worker_;
  const int announced_ = open_announcements();
  Clock::time_point due_ = Clock::now(), listens_from_{};
  seconds retry_ = kRetryFirst;
};

}  // namespace

Result<std::unique_ptr<PortMapper>> PortMapper::start(const std::function<void()>& drop) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return Error{ErrorCode::kIo, std::string("cannot make a socket pair: ") + std::strerror(errno)};
  const pid_t child = fork();
  if (child < 0) {
    close(ends[0]);
    close(ends[1]);
    return Error{ErrorCode::kIo,
                 std::string("cannot start the port mapper: ") + std::strerror(errno)};
  }
  if (child == 0) {
    // It lives exactly as long as the other end is open: signals to the daemon's group are not for
    // it.
    setsid();
    for (const int ignored : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) signal(ignored, SIG_IGN);
    prctl(PR_SET_NAME, "wow-ports");
    close_all_but(ends[1]);
    if (drop) drop();
    Child(ends[1]).serve();
    _exit(0);
  }
  close(ends[1]);
  return std::unique_ptr<PortMapper>(new PortMapper(ends[0], child));
}

PortMapper::~PortMapper() {
  shutdown(fd_, SHUT_WR);
  // Readable at its end; what it says before is of no interest any more.
  const auto end = Clock::now() + seconds(2);
  for (bool gone = false; !gone && Clock::now() < end;) {
    pollfd readable{fd_, POLLIN, 0};
    if (poll(&readable, 1, 100) > 0) {
      char rest[64];
      gone = recv(fd_, rest, sizeof rest, MSG_DONTWAIT) <= 0;
    }
  }
  close(fd_);
  // Already at its end, or a device has it by the throat.
  kill(child_, SIGKILL);
  waitpid(child_, nullptr, 0);
}

void PortMapper::map(std::uint16_t port) {
  send(fd_, &port, sizeof port, MSG_NOSIGNAL | MSG_DONTWAIT);
}

std::optional<PortMapper::News> PortMapper::read(bool* gone) {
  std::array<char, kMessageBytesMax> buffer;
  const ssize_t got = recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (gone) *gone = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
  if (got <= 0) return std::nullopt;
  const std::string line(buffer.data(), static_cast<std::size_t>(got));
  if (const auto mapped = read_told(line)) return News{mapped->way, mapped->outside, {}};
  return News{{}, {}, line.size() > 2 ? line.substr(2) : "no answer"};
}

}  // namespace wow
