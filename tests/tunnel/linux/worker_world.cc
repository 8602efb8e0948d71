#include "tests/tunnel/linux/worker_world.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "tests/base/asio/loopback.h"

namespace wow {
namespace {

const IpAddress kLocal = *IpAddress::parse("127.0.0.1");

bool readable(int fd, int milliseconds) {
  pollfd wait{fd, POLLIN, 0};
  return poll(&wait, 1, milliseconds) == 1;
}

DirectionKeys direction(std::uint8_t seed) {
  DirectionKeys out;
  out.key.fill(seed);
  out.iv.fill(static_cast<std::uint8_t>(seed + 1));
  return out;
}

std::vector<Sealer> sealers(const DirectionKeys& keys, KeyPhases& phases, std::uint32_t index) {
  std::vector<Sealer> out;
  for (std::uint8_t lane = 0; lane <= kWorkers; ++lane)
    out.emplace_back(fastest_suite(), keys, phases, index, lane);
  return out;
}

}  // namespace

Bytes frame(const FrameParts& parts) {
  Writer out;
  out.u48(parts.to).u48(parts.from).u16(parts.type);
  out.u8(0x45).u8(0).u16(static_cast<std::uint16_t>(20 + parts.payload.size())).u32(0);
  out.u8(64).u8(parts.protocol).u16(0);
  out.bytes(IpAddress::parse(parts.source)->bytes());
  out.bytes(IpAddress::parse(parts.destination)->bytes());
  return out.bytes(view_of(parts.payload)).take();
}

Peer::Peer(std::uint8_t number, std::uint32_t index)
    : mac(0x020000000000 + number),
      ip(IpAddress::v4(0x0a800000 + number)),
      index(index),
      socket(std::move(*UdpSocket::open(0))),
      endpoint{kLocal, socket.port()},
      ours(std::make_shared<SessionKeys>(KeyPhases::Secret{}, KeyPhases::Secret{})) {
  const DirectionKeys to_it = direction(number), from_it = direction(number + 100);
  ours->receive_index = index;
  ours->lanes = wow::sealers(to_it, ours->phases, 7000u + number);
  ours->opener.emplace(fastest_suite(), from_it, ours->phases);
  sealers = wow::sealers(from_it, phases, index);
  opener = std::make_unique<Opener>(fastest_suite(), to_it, phases);
}

Bytes Peer::seal(ByteView plain, std::uint8_t lane) {
  PacketBuffer buffer;
  std::copy(plain.begin(), plain.end(), buffer.append(plain.size()));
  EXPECT_TRUE(sealers[lane].seal(buffer));
  return to_bytes(buffer.view());
}

std::optional<Peer::Got> Peer::receive() {
  if (!readable(socket.fd(), 5000)) return std::nullopt;
  Bytes packet(65536);
  packet.resize(static_cast<std::size_t>(recv(socket.fd(), packet.data(), packet.size(), 0)));
  const auto header = DataHeader::parse(packet);
  OpenFailure why{};
  const auto plain = opener->open(packet, &why);
  EXPECT_TRUE(header && plain) << static_cast<int>(why);
  if (!header || !plain) return std::nullopt;
  return Got{*header, to_bytes(*plain), packet.size()};
}

FrameParts Peer::from_it(const std::string& payload) const {
  return {.to = kOwnMac,
          .from = mac,
          .source = ip.text(),
          .destination = kOwnIp.text(),
          .payload = payload};
}

FrameParts Peer::to_it(const std::string& payload) const {
  return {.to = mac, .destination = ip.text(), .payload = payload};
}

void WorkerWorld::SetUpTestSuite() { bring_loopback_up(); }

WorkerWorld::WorkerWorld() {
  sockets_.push_back(std::move(*UdpSocket::open(0, true)));
  sockets_.push_back(std::move(*UdpSocket::open(sockets_[0].port(), true)));
  EXPECT_TRUE(sockets_[0].steer_by_receiver_index(kWorkers));
  for (int i = 0; i < kWorkers; ++i) {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    tap_[i] = ends[0];
    // The worker's end does not block, as a TAP's does not.
    queue_ends_[i] = ends[1];
    const int on = 1;
    ioctl(ends[1], FIONBIO, &on);
  }
  tables_.own_mac = kOwnMac;
  tables_.own_ip = kOwnIp.v4_value();
  publish({&even_, &odd_});
}

WorkerWorld::~WorkerWorld() {
  stop();
  for (const int fd : tap_) close(fd);
  for (const int fd : queue_ends_) close(fd);
}

void WorkerWorld::publish(const std::vector<const Peer*>& peers) {
  for (const Peer* peer : {&even_, &odd_}) {
    if (std::ranges::find(peers, peer) == peers.end()) {
      tables_.by_mac.erase(peer->mac);
      tables_.by_index.erase(peer->index);
    } else {
      tables_.by_mac.set(peer->mac, {peer->ours, peer->endpoint});
      tables_.by_index.set(peer->index, receive_entry(*peer));
    }
  }
}

void WorkerWorld::start(const std::vector<TapQueue>& taps) {
  for (int i = 0; i < kWorkers; ++i) {
    workers_.push_back(std::make_unique<PacketWorker>(
        PacketWorker::Parts{i, kWorkers, sockets_[i], taps[static_cast<std::size_t>(i)], tables_,
                            punts_, streams_, metrics_.add_slot(), random_}));
  }
}

void WorkerWorld::tap_sends(int queue, ByteView frame) {
  ASSERT_EQ(send(tap_[queue], frame.data(), frame.size(), 0), static_cast<ssize_t>(frame.size()));
}

Bytes WorkerWorld::tap_receives(int queue, int milliseconds) {
  if (!readable(tap_[queue], milliseconds)) return {};
  Bytes out(65536);
  out.resize(static_cast<std::size_t>(recv(tap_[queue], out.data(), out.size(), 0)));
  return out;
}

void WorkerWorld::peer_sends(const UdpSocket& from, ByteView packet) {
  MetricSlot ignored;
  from.send(std::vector{Datagram{{kLocal, sockets_[0].port()}, packet, {}, 0}}, ignored);
}

Punt WorkerWorld::punted() {
  while (taken_.empty()) {
    if (!woken_.try_acquire_for(std::chrono::seconds(5))) {
      ADD_FAILURE() << "nothing was handed to the control thread";
      return {};
    }
    taken_ = punts_.take_all();
  }
  Punt out = std::move(taken_.front());
  taken_.erase(taken_.begin());
  return out;
}

}  // namespace wow
