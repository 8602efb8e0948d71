// One session at full rate: two hosts with two workers each, both of which seal and, of the one
// session, one opens; a new generation of keys every 2^14 packets of a lane; and between the hosts
// a wire that does what wires and enemies do. Each frame must come out once and whole. The
// sanitizer of threads runs it as well.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <atomic>
#include <barrier>
#include <chrono>
#include <semaphore>
#include <thread>

#include "tests/base/asio/loopback.h"
#include "tests/tunnel/linux/worker_world.h"

namespace wow {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kPhasePackets = 1 << 14;
constexpr std::uint32_t kFrames = 5 << 14;  // by each of the workers of each host
constexpr std::uint32_t kOnTheWay = 48;     // of them at most, so that no queue overflows
// A flow that falls back by generations, or outlives those the other way, loses what the design
// gives up. The flows wait for each other so often that the scheduler cannot bring that about.
constexpr std::uint32_t kTogether = kPhasePackets / 8;
constexpr std::uint32_t kProbes = 500;        // by each control thread
constexpr std::size_t kSequenceAt = 14 + 20;  // of a frame: worker 1, number 4
const IpAddress kLoopback = *IpAddress::parse("127.0.0.1");

bool is_readable(int fd, int milliseconds) {
  pollfd wait{fd, POLLIN, 0};
  return poll(&wait, 1, milliseconds) == 1;
}

struct Host {
  explicit Host(std::uint8_t number) : number_(number), ip(IpAddress::v4(0x0a800000u + number)) {
    sockets.push_back(std::move(*UdpSocket::open(0, true)));
    sockets.push_back(std::move(*UdpSocket::open(sockets[0].port(), true)));
    EXPECT_TRUE(sockets[0].steer_by_receiver_index(kWorkers));
    for (int i = 0; i < kWorkers; ++i) {
      int ends[2];
      EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
      tap[i] = ends[0], queue[i] = ends[1];
      const int on = 1;
      ioctl(ends[1], FIONBIO, &on);
    }
  }
  ~Host() {
    workers.clear();
    for (int i = 0; i < kWorkers; ++i) close(tap[i]), close(queue[i]);
  }
  std::uint64_t mac() const { return 0x020000000000u + number_; }
  Endpoint endpoint() const { return {kLoopback, sockets[0].port()}; }

  // This end of the session with `other`, whose packets come and go by `wire`.
  void start(const Host& other, const Endpoint& wire) {
    KeyPhases::Secret out{}, in{};
    out[0] = number_, in[0] = other.number_;
    keys = std::make_shared<SessionKeys>(out, in, kPhasePackets);
    keys->receive_index = 0x1000u + number_;
    DirectionKeys sealing, opening;
    sealing.key[0] = number_, opening.key[0] = other.number_;
    for (std::uint8_t lane = 0; lane <= kWorkers; ++lane) {
      keys->lanes.emplace_back(fastest_suite(), sealing, keys->phases, 0x1000u + other.number_,
                               lane);
    }
    keys->opener.emplace(fastest_suite(), opening, keys->phases);
    tables.own_mac = mac();
    tables.own_ip = ip.v4_value();
    tables.by_mac.set(other.mac(), {keys, wire});
    tables.by_index.set(keys->receive_index, {keys, wire, other.mac(), other.ip});
    for (int i = 0; i < kWorkers; ++i) {
      workers.push_back(std::make_unique<PacketWorker>(
          PacketWorker::Parts{i, kWorkers, sockets[i], TapQueue{queue[i]}, tables, punts, streams,
                              metrics.add_slot(), random}));
    }
  }

  const std::uint8_t number_;
  const IpAddress ip;
  std::vector<UdpSocket> sockets;
  std::array<int, kWorkers> tap{}, queue{};
  Metrics metrics;
  SystemRandom random;
  std::counting_semaphore<> woken{0};
  PuntQueue punts{[this] { woken.release(); }};
  StreamOutlet streams{[] {}};
  ForwardingTables tables{kWorkers};
  std::shared_ptr<SessionKeys> keys;
  std::vector<std::unique_ptr<PacketWorker>> workers;
  // For what each worker of the other sends to us.
  std::array<std::counting_semaphore<>, kWorkers> credit{std::counting_semaphore<>(kOnTheWay),
                                                         std::counting_semaphore<>(kOnTheWay)};
  // The control thread's.
  std::atomic<std::uint32_t> probes_heard{0};
  std::counting_semaphore<> probe_came{0};  // once for each of these
  std::uint32_t probes_sent = 0;
  std::uint64_t refused = 0;
};

// Passes packets on between two hosts; as an enemy also others.
class Wire {
 public:
  Wire(Host& a, Host& b, bool hostile) : hosts_{&a, &b}, hostile_(hostile) {}
  // Where `host` sends to, and is sent from.
  Endpoint side_of(const Host& host) const {
    return {kLoopback, sides_[&host == hosts_[0] ? 0 : 1].port()};
  }
  void start() {
    thread_ = std::thread([this] { run(); });
  }
  void stop() {
    stop_ = true;
    thread_.join();
  }
  // How many packets were made that nobody may take.
  std::uint64_t wrong() const { return wrong_; }

 private:
  void run() {
    while (!stop_) {
      std::array<pollfd, 2> fds = {{{sides_[0].fd(), POLLIN, 0}, {sides_[1].fd(), POLLIN, 0}}};
      if (poll(fds.data(), fds.size(), 10) == 0) release();
      for (std::size_t side = 0; side < 2; ++side) {
        for (int i = 0; i < 64; ++i) {
          Bytes packet(2048);
          const auto got = recv(sides_[side].fd(), packet.data(), packet.size(), MSG_DONTWAIT);
          if (got <= 0) break;
          packet.resize(static_cast<std::size_t>(got));
          pass(1 - side, std::move(packet));
        }
      }
    }
  }
  void pass(std::size_t to, Bytes packet) {
    if (!hostile_) return send(to, packet);
    if (random_.below(8) == 0) {
      Bytes wrong = packet;
      // Beyond the type and the lane, which say who opens it.
      wrong[2 + random_.below(wrong.size() - 2)] ^=
          static_cast<std::uint8_t>(1 + random_.below(255));
      if (std::equal(wrong.begin() + 2, wrong.begin() + 6, packet.begin() + 2)) {
        ++wrong_;
        send(to, wrong);
      }
    }
    if (random_.below(8) == 0) {
      Bytes phase = packet;  // of keys to come, or gone
      phase[0] ^= static_cast<std::uint8_t>(1 + random_.below(3));
      ++wrong_;
      send(to, phase);
    }
    if (random_.below(8) == 0) {
      ++wrong_;
      send(to, ByteView(packet).first(34 + random_.below(packet.size() - 34)));
    }
    if (random_.below(8) == 0 && held_[to].size() < 16)
      return held_[to].push_back(std::move(packet));
    send(to, packet);
    if (random_.below(8) == 0) {
      ++wrong_;
      send(to, packet);
    }
    if (held_[to].size() >= 16) release();
  }
  void release() {
    for (std::size_t to = 0; to < 2; ++to) {
      for (; !held_[to].empty(); held_[to].pop_back()) send(to, held_[to].back());
    }
  }
  void send(std::size_t to, ByteView packet) {
    MetricSlot ignored;
    sides_[to].send(std::vector{Datagram{hosts_[to]->endpoint(), packet, {}, 0}}, ignored);
  }

  std::array<Host*, 2> hosts_;
  const bool hostile_;
  std::array<UdpSocket, 2> sides_{std::move(*UdpSocket::open(0)), std::move(*UdpSocket::open(0))};
  SeededRandom random_{5};
  std::array<std::vector<Bytes>, 2> held_;
  std::atomic<std::uint64_t> wrong_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

class KeyPhasesFlow : public testing::TestWithParam<bool> {
 protected:
  static void SetUpTestSuite() { bring_loopback_up(); }

  // Frames of one worker, never more of them on the way than the queues hold.
  static void feed(Host& from, Host& to, int worker, std::barrier<>& flows) {
    Bytes out = frame({.to = to.mac(),
                       .from = from.mac(),
                       .source = from.ip.text(),
                       .destination = to.ip.text(),
                       .payload = std::string(60, 'x')});
    out[kSequenceAt] = static_cast<std::uint8_t>(worker);
    for (std::uint32_t i = 0; i < kFrames; ++i) {
      if (i % kTogether == 0) flows.arrive_and_wait();
      if (!to.credit[worker].try_acquire_for(20s)) return;  // drain() says what is missing
      put_big_endian(out.data() + kSequenceAt + 1, i, 4);
      ASSERT_EQ(::send(from.tap[worker], out.data(), out.size(), 0),
                static_cast<ssize_t>(out.size()));
    }
  }
  // What its session's worker hands to the host: each frame once.
  static void drain(Host& at) {
    std::array<std::vector<bool>, kWorkers> seen;
    for (auto& each : seen) each.resize(kFrames);
    const int tap = at.tap[at.keys->receive_index % kWorkers];
    std::array<std::uint8_t, 2048> in;
    for (std::uint32_t count = 0; count < kWorkers * kFrames; ++count) {
      ASSERT_TRUE(is_readable(tap, 20000)) << count << " of " << kWorkers * kFrames;
      const auto got = recv(tap, in.data(), in.size(), 0);
      ASSERT_EQ(got, static_cast<ssize_t>(kSequenceAt) + 60);
      const std::uint8_t worker = in[kSequenceAt];
      const auto number = get_big_endian(in.data() + kSequenceAt + 1, 4);
      ASSERT_LT(worker, kWorkers);
      ASSERT_LT(number, kFrames);
      ASSERT_FALSE(seen[worker][number]) << number;
      seen[worker][number] = true;
      at.credit[worker].release();
    }
  }
  // What the control thread does meanwhile, on its own lane: probes out; in, what workers leave.
  static void control(Host& at, const Endpoint& wire, const std::atomic<bool>& stop) {
    while (!stop) {
      if (at.probes_sent < kProbes) {
        std::array<std::uint8_t, 40> plain{static_cast<std::uint8_t>(DataKind::kPath)};
        Bytes packet(plain.size() + kSealedBytes);
        ASSERT_TRUE(at.keys->lanes[0].seal(plain, packet.data()));
        MetricSlot ignored;
        at.sockets[0].send(std::vector{Datagram{wire, packet, {}, 0}}, ignored);
        ++at.probes_sent;
      }
      static_cast<void>(at.woken.try_acquire_for(2ms));
      for (Punt& punt : at.punts.take_all()) {
        OpenFailure why{};
        ASSERT_EQ(punt.kind, Punt::Kind::kDatagram);
        if (at.keys->opener->open(punt.bytes, &why)) {
          ++at.probes_heard;
          at.probe_came.release();
        } else {
          ++at.refused;
        }
      }
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Wires, KeyPhasesFlow, testing::Values(false, true),
                         [](const auto& info) { return info.param ? "Hostile" : "Honest"; });

TEST_P(KeyPhasesFlow, NoFrameIsLostWhateverTheWireDoes) {
  Host a(2), b(3);
  Wire wire(a, b, GetParam());
  const Endpoint to_b = wire.side_of(a), to_a = wire.side_of(b);
  a.start(b, to_b);
  b.start(a, to_a);
  wire.start();
  std::atomic<bool> stop{false};
  std::thread controls[] = {std::thread([&] { control(a, to_b, stop); }),
                            std::thread([&] { control(b, to_a, stop); })};
  std::vector<std::thread> flows;
  std::barrier together(2 * kWorkers);
  for (int worker = 0; worker < kWorkers; ++worker) {
    for (auto [from, to] : {std::pair(&a, &b), std::pair(&b, &a)}) {
      flows.emplace_back([&together, from = from, to = to, worker] {
        feed(*from, *to, worker, together);
        together.arrive_and_drop();
      });
    }
  }
  flows.emplace_back([&] { drain(a); });
  flows.emplace_back([&] { drain(b); });
  for (std::thread& flow : flows) flow.join();
  const auto patience = std::chrono::steady_clock::now() + 20s;
  for (Host* host : {&a, &b}) {
    for (std::uint32_t i = 0; i < kProbes && host->probe_came.try_acquire_until(patience);) ++i;
  }
  wire.stop();
  stop = true;
  for (std::thread& each : controls) each.join();
  a.workers.clear();
  b.workers.clear();
  EXPECT_EQ(a.probes_heard, kProbes);
  EXPECT_EQ(b.probes_heard, kProbes);
  EXPECT_GE(a.keys->phases.current(), kFrames / kPhasePackets - 1);
  EXPECT_LE(a.keys->phases.current() - b.keys->phases.current() + 1, 2u);
  std::uint64_t refused = a.refused + b.refused;
  for (const Host* host : {&a, &b}) {
    EXPECT_EQ(host->metrics.total(Metric::kFramesIn), kWorkers * kFrames);
    refused += host->metrics.total(Metric::kDropForged) +
               host->metrics.total(Metric::kDropReplayed) +
               host->metrics.total(Metric::kDropMalformed);
  }
  EXPECT_LE(refused, wire.wrong()) << "an honest packet was refused";
  EXPECT_GE(refused, wire.wrong() * 9 / 10) << "the last ones may still lie in a queue";
}

}  // namespace
}  // namespace wow
