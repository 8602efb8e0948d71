#include "tools/lab/linux/line.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <memory>
#include <queue>
#include <vector>

#include "tools/lab/delay_line.h"

namespace wow::lab {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kFrameBytesMax = kMtuMax + kEthernetHeaderBytes + 4;  // a VLAN's tag
constexpr int kNice = -15;
constexpr int kBatch = 64;  // frames taken in before those due go out

// Shared by the line and whoever changes it.
struct Settings {
  std::atomic<std::int64_t> delay_ns, jitter_ns;
  std::atomic<std::uint32_t> loss_ppm, mtu, reorder;
  std::atomic<std::uint64_t> bits_per_second;
  std::atomic<std::uint64_t> passed, lost, too_large, queue_full;

  void store(const LineQuality& q) {
    delay_ns = q.delay.count();
    jitter_ns = q.jitter.count();
    loss_ppm = static_cast<std::uint32_t>(q.loss * 1e6 + 0.5);
    mtu = static_cast<std::uint32_t>(q.mtu);
    reorder = q.reorder ? 1 : 0;
    bits_per_second = q.bits_per_second;
  }
  LineQuality load() const {
    return {Duration(delay_ns.load()),
            Duration(jitter_ns.load()),
            loss_ppm / 1e6,
            bits_per_second,
            mtu,
            reorder != 0};
  }
};

// The file in memory, as all see it.
class SharedSettings {
 public:
  explicit SharedSettings(const fs::path& path) {
    const Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!file || ftruncate(file.get(), sizeof(Settings)) != 0)
      fail_with_errno("cannot keep a line's settings in " + path.string());
    void* const at =
        mmap(nullptr, sizeof(Settings), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (at == MAP_FAILED) fail_with_errno("cannot share a line's settings");
    settings_ = static_cast<Settings*>(at);  // zeroes from ftruncate are a Settings
  }
  SharedSettings(SharedSettings&&) = delete;
  ~SharedSettings() { munmap(settings_, sizeof(Settings)); }
  Settings* operator->() { return settings_; }

 private:
  Settings* settings_;
};

TimePoint now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return TimePoint(std::chrono::seconds(t.tv_sec) + Duration(t.tv_nsec));
}

Fd make_tap(const LineEnd& end) {
  end.network.enter();
  Fd tap(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  ifreq request{};
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  end.device.copy(request.ifr_name, IFNAMSIZ - 1);
  if (!tap || ioctl(tap.get(), TUNSETIFF, &request) != 0)
    fail_with_errno("cannot make the TAP " + end.device);
  return tap;
}

// Not as an array of the largest size: 32,768 of them would be 300 MB.
using Frame = std::vector<std::uint8_t>;

struct Waiting {
  TimePoint due;
  std::uint64_t number;  // those due at once keep their order
  Frame frame;
};
struct Later {
  bool operator()(const Waiting& a, const Waiting& b) const {
    return a.due != b.due ? a.due > b.due : a.number > b.number;
  }
};

// From one TAP to the other.
class Direction {
 public:
  Direction(int from, int to, std::uint64_t seed) : from_(from), to_(to), line_(seed) {}

  void deliver_due() {
    while (!waiting_.empty() && waiting_.top().due <= now()) {
      // The queue shows its first element as constant; it is popped at once.
      auto& first = const_cast<Waiting&>(waiting_.top());
      [[maybe_unused]] const auto written = ::write(to_, first.frame.data(), first.frame.size());
      spare_.push_back(std::move(first.frame));
      waiting_.pop();
    }
  }

  // Returns whether there may be more to take.
  bool take(const LineQuality& quality, Settings& counts) {
    for (int i = 0; i < kBatch; ++i) {
      const ssize_t got = ::read(from_, read_.data(), read_.size());
      if (got <= 0) return false;
      auto [fate, due] = line_.admit(quality, static_cast<std::size_t>(got), now());
      if (fate == DelayLine::Fate::kPasses && waiting_.size() >= kFramesOnLineMax)
        fate = DelayLine::Fate::kQueueFull;
      count(fate, counts);
      if (fate != DelayLine::Fate::kPasses) continue;
      Frame frame = spare_frame();
      frame.assign(read_.begin(), read_.begin() + got);
      waiting_.push({due, number_++, std::move(frame)});
    }
    return true;
  }

  std::optional<TimePoint> next_due() const {
    return waiting_.empty() ? std::nullopt : std::optional(waiting_.top().due);
  }

 private:
  static void count(DelayLine::Fate fate, Settings& counts) {
    switch (fate) {
      case DelayLine::Fate::kPasses:
        ++counts.passed;
        break;
      case DelayLine::Fate::kLost:
        ++counts.lost;
        break;
      case DelayLine::Fate::kTooLarge:
        ++counts.too_large;
        break;
      case DelayLine::Fate::kQueueFull:
        ++counts.queue_full;
        break;
    }
  }
  Frame spare_frame() {
    if (spare_.empty()) return {};
    Frame out = std::move(spare_.back());
    spare_.pop_back();
    return out;
  }

  int from_, to_;
  DelayLine line_;
  std::uint64_t number_ = 0;
  std::priority_queue<Waiting, std::vector<Waiting>, Later> waiting_;
  std::vector<Frame> spare_;
  std::array<std::uint8_t, kFrameBytesMax> read_;
};

[[noreturn]] void carry(int a, int b, Settings& settings) {
  prctl(PR_SET_TIMERSLACK, 1);  // wake up when a frame is due, not some 50 us later
  // Before programs that compute. May be refused; a real-time class made it worse on two cores.
  setpriority(PRIO_PROCESS, 0, kNice);
  timespec seed{};
  clock_gettime(CLOCK_REALTIME, &seed);
  Direction there(a, b, static_cast<std::uint64_t>(seed.tv_nsec)),
      back(b, a, static_cast<std::uint64_t>(seed.tv_nsec) + 1);
  for (;;) {
    const LineQuality quality = settings.load();
    there.deliver_due();
    back.deliver_due();
    const bool more = there.take(quality, settings), more_back = back.take(quality, settings);
    if (more || more_back) continue;
    std::optional<TimePoint> due = there.next_due();
    if (const auto other = back.next_due(); other && (!due || *other < *due)) due = other;
    timespec wait{}, *limit = nullptr;
    if (due) {
      const Duration left = *due - now();
      if (left <= Duration::zero()) continue;
      wait = {static_cast<time_t>(left / 1s), static_cast<long>((left % 1s).count())};
      limit = &wait;
    }
    pollfd files[] = {{a, POLLIN, 0}, {b, POLLIN, 0}};
    ppoll(files, 2, limit, nullptr);
  }
}

}  // namespace

pid_t start_line(const std::string& title, const LineEnd& a, const LineEnd& b,
                 const LineQuality& quality, const fs::path& settings) {
  SharedSettings(settings)->store(quality);
  Pipe ready = make_pipe();
  const pid_t pid = fork_to([&] {
    std::string failed;
    try {
      SharedSettings shared(settings);
      const Fd end_a = make_tap(a), end_b = make_tap(b);
      become_service(title, {end_a.get(), end_b.get(), ready.write.get()});
      write_all(ready.write.get(), "ready");
      ready.write.reset();
      carry(end_a.get(), end_b.get(), *shared.operator->());
    } catch (const std::exception& error) {
      write_all(ready.write.get(), error.what());
    }
    return 1;
  });
  ready.write.reset();
  const std::string said = read_all(ready.read.get());
  if (said != "ready") throw LabError(said.empty() ? "a line did not start" : said);
  return pid;
}

void change_line(const fs::path& settings, const LineQuality& quality) {
  SharedSettings(settings)->store(quality);
}

LineCounts read_line_counts(const fs::path& settings) {
  SharedSettings shared(settings);
  return {shared->passed, shared->lost, shared->too_large, shared->queue_full};
}

}  // namespace wow::lab
