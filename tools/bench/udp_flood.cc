// Sends or counts UDP packets in batches: iperf3 makes a call for each, and is itself the bound.
//   udp_flood receive PORT SECONDS            counts, until nothing came for so long after the
//   first udp_flood send ADDRESS PORT BYTES SECONDS [PACKETS_A_SECOND]
// Both print one line: packets, seconds.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned kBatch = 64;
constexpr std::size_t kBytesMax = 2048;
constexpr int kBufferBytes = 4 << 20;

double seconds_since(Clock::time_point from) {
  return std::chrono::duration<double>(Clock::now() - from).count();
}

// Room for a batch, each of `bytes`.
struct Batch {
  explicit Batch(std::size_t bytes) : storage(kBatch * kBytesMax, 'x') {
    for (unsigned i = 0; i < kBatch; ++i) {
      parts[i] = {storage.data() + i * kBytesMax, bytes};
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
  }
  std::vector<char> storage;
  std::array<iovec, kBatch> parts{};
  std::array<mmsghdr, kBatch> messages{};
};

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

int receive(std::uint16_t port, int seconds) {
  const int fd = socket(AF_INET6, SOCK_DGRAM, 0);  // for IPv4 as well
  sockaddr_in6 here{};
  here.sin6_family = AF_INET6;
  here.sin6_port = htons(port);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kBufferBytes, sizeof kBufferBytes);
  if (bind(fd, reinterpret_cast<sockaddr*>(&here), sizeof here) != 0) fail("bind");
  Batch batch(kBytesMax);
  std::uint64_t packets = 0;
  Clock::time_point first, last;
  pollfd wait{fd, POLLIN, 0};
  while (poll(&wait, 1, packets == 0 ? 30000 : seconds * 1000) == 1) {
    const int got = recvmmsg(fd, batch.messages.data(), kBatch, MSG_DONTWAIT, nullptr);
    if (got <= 0) continue;
    last = Clock::now();
    if (packets == 0) first = last;
    packets += static_cast<std::uint64_t>(got);
  }
  std::printf("%llu %.6f\n", static_cast<unsigned long long>(packets),
              std::chrono::duration<double>(last - first).count());
  return 0;
}

int send(const char* address, std::uint16_t port, std::size_t bytes, int seconds, double rate) {
  const int fd = socket(AF_INET6, SOCK_DGRAM, 0);
  sockaddr_in6 to{};
  to.sin6_family = AF_INET6;
  to.sin6_port = htons(port);
  const std::string mapped = std::strchr(address, ':') ? address : std::string("::ffff:") + address;
  if (inet_pton(AF_INET6, mapped.c_str(), &to.sin6_addr) != 1) fail("address");
  if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) fail("connect");
  Batch batch(std::min(bytes, kBytesMax));
  std::uint64_t packets = 0;
  const auto begin = Clock::now();
  while (seconds_since(begin) < seconds) {
    unsigned count = kBatch;
    if (rate > 0) {
      const double due = rate * seconds_since(begin) - static_cast<double>(packets);
      if (due < 1) {
        std::this_thread::sleep_for(std::chrono::microseconds(100));
        continue;
      }
      count = static_cast<unsigned>(std::min<double>(due, kBatch));
    }
    const int sent = sendmmsg(fd, batch.messages.data(), count, 0);
    if (sent > 0) packets += static_cast<std::uint64_t>(sent);
  }
  std::printf("%llu %.6f\n", static_cast<unsigned long long>(packets), seconds_since(begin));
  return 0;
}

}  // namespace

int main(int count, char** words) {
  const auto number = [&](int i) { return std::strtoul(words[i], nullptr, 10); };
  const std::string what = count > 1 ? words[1] : "";
  if (what == "receive" && count == 4) {
    return receive(static_cast<std::uint16_t>(number(2)), static_cast<int>(number(3)));
  }
  if (what == "send" && (count == 6 || count == 7)) {
    return send(words[2], static_cast<std::uint16_t>(number(3)), number(4),
                static_cast<int>(number(5)), count == 7 ? std::atof(words[6]) : 0);
  }
  std::fputs(
      "usage: udp_flood receive PORT SECONDS\n"
      "       udp_flood send ADDRESS PORT BYTES SECONDS [PACKETS_A_SECOND]\n",
      stderr);
  return 2;
}
