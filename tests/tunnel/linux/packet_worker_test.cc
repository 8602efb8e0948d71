#include "tunnel/linux/packet_worker.h"

#include <poll.h>
#include <sys/socket.h>

#include <thread>

#include "tests/tunnel/linux/worker_world.h"
#include "tunnel/frame_headers.h"

namespace wow {
namespace {

class PacketWorkerTest : public WorkerWorld {};

Bytes plain_of(ByteView frame, std::uint8_t kind = static_cast<std::uint8_t>(DataKind::kFrame)) {
  return concat({ByteView(&kind, 1), frame});
}

TEST_F(PacketWorkerTest, AFrameOutIsSealedForItsHostOnTheWorkersLane) {
  start();
  for (int queue = 0; queue < kWorkers; ++queue) {
    for (Peer* peer : {&even_, &odd_}) {
      const Bytes out = frame(peer->to_it());
      tap_sends(queue, out);
      const auto got = peer->receive();
      ASSERT_TRUE(got);
      EXPECT_EQ(got->plain, plain_of(out));
      EXPECT_EQ(got->header.lane, queue + 1);
      EXPECT_EQ(got->bytes, out.size() + kDataOverheadBytes);
    }
  }
  stop();
  EXPECT_EQ(total(Metric::kFramesOut), 4u);
  EXPECT_EQ(even_.ours->bytes_out, 2 * (frame(even_.to_it()).size() + kDataOverheadBytes));
  EXPECT_GT(even_.ours->last_sent_data_ns, 0);
}

TEST_F(PacketWorkerTest, ABurstOutKeepsItsOrder) {
  start();
  std::thread sends([this] {
    for (int i = 0; i < 200; ++i) tap_sends(0, frame(even_.to_it(std::to_string(i))));
  });
  for (int i = 0; i < 200; ++i) {
    const auto got = even_.receive();
    ASSERT_TRUE(got);
    EXPECT_EQ(got->plain, plain_of(frame(even_.to_it(std::to_string(i)))));
    EXPECT_EQ(got->header.counter, static_cast<std::uint64_t>(i));
  }
  sends.join();
}

TEST_F(PacketWorkerTest, AFrameInComesOutOfTheTapAtTheWorkerOfItsIndex) {
  start();
  const Bytes to_first = frame(even_.from_it("first")), to_second = frame(odd_.from_it("second"));
  peer_sends(even_.socket, even_.seal(plain_of(to_first), 1));
  peer_sends(odd_.socket, odd_.seal(plain_of(to_second), 2));
  EXPECT_EQ(tap_receives(0), to_first);
  EXPECT_EQ(tap_receives(1), to_second);
  stop();
  EXPECT_EQ(total(Metric::kFramesIn), 2u);
  EXPECT_EQ(odd_.ours->bytes_in, to_second.size() + kDataOverheadBytes);
  EXPECT_GT(odd_.ours->last_received_ns, 0);
  EXPECT_TRUE(punts_.take_all().empty());
}

// What opens, but is not a frame from the sender's own addresses to ours, is for the control
// thread to judge.
TEST_F(PacketWorkerTest, WhatTheTablesDoNotVouchForGoesToTheControlThread) {
  start();
  const FrameParts good = even_.from_it();
  const auto with = [&](auto change) {
    FrameParts parts = good;
    change(parts);
    return plain_of(frame(parts));
  };
  Bytes short_header = plain_of(frame(good)), long_total = short_header, options = short_header;
  short_header.resize(1 + 14 + 19);
  long_total[1 + 14 + 3] += 1;
  options[1 + 14] = 0x4f;  // a header longer than the packet
  const std::string from_dhcp_server("\0\x43\0\x44", 4);
  const std::vector<Bytes> doubtful = {
      with([&](FrameParts& p) { p.from = odd_.mac; }),
      with([&](FrameParts& p) { p.source = odd_.ip.text(); }),
      with([&](FrameParts& p) { p.to = odd_.mac; }),
      with([&](FrameParts& p) { p.to = 0xffffffffffff; }),
      with([&](FrameParts& p) { p.destination = "10.128.0.9"; }),
      with([&](FrameParts& p) { p.type = 0x0806; }),
      with([&](FrameParts& p) {
        p.protocol = 17;
        p.payload = from_dhcp_server;
      }),
      short_header,
      long_total,
      options,
      plain_of(frame(good), static_cast<std::uint8_t>(DataKind::kFrame) | 0x80),  // no such fact
      plain_of(frame(good), static_cast<std::uint8_t>(DataKind::kControl)),
      Bytes{static_cast<std::uint8_t>(DataKind::kFrame)},
      Bytes{0xff}};
  for (const Bytes& plain : doubtful) {
    peer_sends(even_.socket, even_.seal(plain));
    const Punt punt = punted();
    EXPECT_EQ(punt.kind, Punt::Kind::kOpened);
    EXPECT_EQ(punt.index, even_.index);
    EXPECT_EQ(punt.from, even_.endpoint);
    EXPECT_EQ(punt.bytes, plain);
  }
  peer_sends(even_.socket, even_.seal(plain_of(frame(good))));
  EXPECT_EQ(tap_receives(0), frame(good)) << "the first to reach the TAP";
}

// A TAP without vnet headers: what a peer with offloads leaves to us is done here.
TEST_F(PacketWorkerTest, WithoutOffloadsChecksumsAreCompletedAndNothingIsJoined) {
  start();
  for (int i = 0; i < 3; ++i) {
    Writer udp;
    udp.u16(1000).u16(9).u16(8 + 5).u16(0xbad).bytes(view_of("hello"));
    FrameParts parts = even_.from_it(to_string(udp.view()));
    parts.protocol = 17;
    Bytes wanted = frame(parts);
    peer_sends(even_.socket,
               even_.seal(plain_of(
                   wanted, static_cast<std::uint8_t>(DataKind::kFrame) | kFactChecksumPartial)));
    complete_checksum(wanted, *FrameHeaders::parse(wanted));
    EXPECT_EQ(tap_receives(0), wanted);
  }
}

TEST_F(PacketWorkerTest, AFrameFromAnotherEndpointIsReportedNotDelivered) {
  start();
  const Bytes plain = plain_of(frame(even_.from_it()));
  peer_sends(odd_.socket, even_.seal(plain));  // the peer has moved, says the datagram
  const Punt punt = punted();
  EXPECT_EQ(punt.kind, Punt::Kind::kOpened);
  EXPECT_EQ(punt.from, odd_.endpoint);
  EXPECT_EQ(punt.bytes, plain);
  stop();
  EXPECT_EQ(even_.ours->last_received_ns, 0) << "the path in use is not known to live";
}

Bytes with_relay(std::uint32_t circuit, const Bytes& packet, std::uint8_t hops = 1) {
  Bytes head(RelayHeader::kBytes);
  RelayHeader{hops, circuit}.write(head.data());
  return concat({head, packet});
}

// The peer's socket stands for the relay's.
TEST_F(PacketWorkerTest, ThroughACircuitFramesGoAndComeAsOnADirectPath) {
  constexpr std::uint32_t kCircuit = 77;
  publish({&even_});
  tables_.by_mac.set(even_.mac, {even_.ours, even_.endpoint, kCircuit});
  ReceiveEntry receive = receive_entry(even_);
  receive.circuit = kCircuit;
  tables_.by_index.set(even_.index, receive);
  start();
  tap_sends(0, frame(even_.to_it()));
  Bytes packet(2000);
  pollfd wait{even_.socket.fd(), POLLIN, 0};
  ASSERT_EQ(poll(&wait, 1, 5000), 1);
  packet.resize(static_cast<std::size_t>(recv(even_.socket.fd(), packet.data(), 2000, 0)));
  const auto relayed = RelayHeader::parse(packet);
  ASSERT_TRUE(relayed);
  EXPECT_EQ(relayed->circuit, kCircuit);
  EXPECT_EQ(relayed->hops, 0);
  Bytes inner(packet.begin() + RelayHeader::kBytes, packet.end());
  OpenFailure why{};
  const auto plain = even_.opener->open(inner, &why);
  ASSERT_TRUE(plain);
  EXPECT_EQ(to_bytes(*plain), plain_of(frame(even_.to_it())));

  const Bytes in = frame(even_.from_it());
  peer_sends(even_.socket, with_relay(kCircuit, even_.seal(plain_of(in))));
  EXPECT_EQ(tap_receives(0), in);

  // What the tables do not vouch for is opened, and judged, by the control thread.
  const Bytes arp = [&] {
    FrameParts parts = even_.from_it();
    parts.type = 0x0806;
    return plain_of(frame(parts));
  }();
  peer_sends(even_.socket, with_relay(kCircuit, even_.seal(arp)));
  Punt punt = punted();
  EXPECT_EQ(punt.kind, Punt::Kind::kOpened);
  EXPECT_EQ(punt.circuit, kCircuit);
  EXPECT_EQ(punt.bytes, arp);
  for (const Bytes& other : {with_relay(kCircuit + 1, even_.seal(plain_of(in))),
                             with_relay(kCircuit, even_.seal(plain_of(in)), 3)}) {
    peer_sends(even_.socket, other);
    punt = punted();
    EXPECT_EQ(punt.kind, Punt::Kind::kDatagram);
    EXPECT_EQ(punt.bytes, other) << "as it came, and still sealed";
  }
  const Bytes from_elsewhere = with_relay(kCircuit, even_.seal(plain_of(in)));
  peer_sends(odd_.socket, from_elsewhere);
  punt = punted();
  EXPECT_EQ(punt.kind, Punt::Kind::kDatagram);
  EXPECT_EQ(punt.bytes, from_elsewhere);
  peer_sends(even_.socket, even_.seal(plain_of(in)));
  punt = punted();
  EXPECT_EQ(punt.kind, Punt::Kind::kOpened) << "directly, which the tables do not expect";
  EXPECT_EQ(punt.circuit, 0u);
}

TEST_F(PacketWorkerTest, FramesOfAPeerWithoutALeaseGoToTheControlThread) {
  ReceiveEntry receive = receive_entry(even_);
  receive.source_mac = 0;
  tables_.by_index.set(even_.index, receive);
  start();
  peer_sends(even_.socket, even_.seal(plain_of(frame(even_.from_it()))));
  EXPECT_EQ(punted().kind, Punt::Kind::kOpened);
}

TEST_F(PacketWorkerTest, DatagramsThatAreNotTheWorkersGoOnAsTheyCame) {
  publish({&even_});
  start();
  const Bytes plain = plain_of(frame(even_.from_it()));
  const std::vector<Bytes> others = {odd_.seal(plain),      // an index that the tables do not name
                                     even_.seal(plain, 0),  // the control thread's lane
                                     Bytes(100, 1),         // a handshake
                                     Bytes{3, 0, 0, 0, 1},  // "unknown index"
                                     Bytes(20, 0x10)};      // too short for data
  for (const Bytes& packet : others) {
    peer_sends(even_.socket, packet);
    const Punt punt = punted();
    EXPECT_EQ(punt.kind, Punt::Kind::kDatagram);
    EXPECT_EQ(punt.from, even_.endpoint);
    EXPECT_EQ(punt.bytes, packet) << "still sealed";
  }
}

TEST_F(PacketWorkerTest, GarbageIsCountedAndGoesNowhere) {
  start();
  for (const Bytes& garbage : {Bytes{}, Bytes(50, 0xff)}) peer_sends(even_.socket, garbage);
  const Bytes handshake(100, 1);
  peer_sends(even_.socket, handshake);
  EXPECT_EQ(punted().bytes, handshake);
  EXPECT_EQ(total(Metric::kDropGarbage), 2u);
}

TEST_F(PacketWorkerTest, ForgedAndReplayedPacketsAreCountedAndGone) {
  start();
  const Bytes good = even_.seal(plain_of(frame(even_.from_it("good"))));
  const Bytes last = even_.seal(plain_of(frame(even_.from_it("last"))));
  Bytes forged = even_.seal(plain_of(frame(even_.from_it("forged"))));
  forged.back() ^= 1;
  Bytes no_such_lane = good;
  no_such_lane[1] = kLanesMax;
  for (const Bytes& packet : {forged, good, good, no_such_lane, last})
    peer_sends(even_.socket, packet);
  EXPECT_EQ(tap_receives(0), frame(even_.from_it("good")));
  EXPECT_EQ(tap_receives(0), frame(even_.from_it("last")));
  stop();
  EXPECT_EQ(total(Metric::kDropForged), 2u);
  EXPECT_EQ(total(Metric::kDropReplayed), 1u);
  EXPECT_EQ(even_.ours->bytes_in, good.size() + last.size());
  EXPECT_TRUE(punts_.take_all().empty());
}

TEST_F(PacketWorkerTest, FramesOutThatTheTablesCannotPlaceGoToTheControlThread) {
  start();
  FrameParts stranger = even_.to_it(), everybody = even_.to_it(), arp = even_.to_it(),
             another_source = even_.to_it();
  stranger.to = 0x020000000099;
  everybody.to = 0xffffffffffff;
  arp.type = 0x0806;
  another_source.source = "10.128.0.77";
  for (const FrameParts& parts : {stranger, everybody, arp, another_source}) {
    tap_sends(1, frame(parts));
    const Punt punt = punted();
    EXPECT_EQ(punt.kind, Punt::Kind::kFrameOut);
    EXPECT_EQ(punt.bytes, frame(parts));
  }
  EXPECT_EQ(even_.ours->bytes_out, 0u);
}

TEST_F(PacketWorkerTest, BeforeTheLeaseNothingIsSealed) {
  tables_.own_ip = 0;
  start();
  FrameParts unset = even_.to_it();
  unset.source = "0.0.0.0";
  tap_sends(0, frame(unset));
  EXPECT_EQ(punted().kind, Punt::Kind::kFrameOut);
}

TEST_F(PacketWorkerTest, FramesForNobodyFillHalfTheQueueAndAreCounted) {
  start();
  constexpr std::uint64_t kTooMany = PuntQueue::kFramesOutMax + 100;
  FrameParts stranger = even_.to_it();
  stranger.to = 0x020000000099;
  const Bytes out = frame(stranger);
  for (std::uint64_t i = 0; i < kTooMany; ++i) tap_sends(0, out);
  tap_sends(0, frame(even_.to_it("behind them all")));
  ASSERT_TRUE(even_.receive());
  EXPECT_EQ(total(Metric::kDropQueueFull), kTooMany - PuntQueue::kFramesOutMax);
  EXPECT_EQ(punts_.take_all().size(), PuntQueue::kFramesOutMax);
}

// Sessions come and go while both workers seal and open: each frame out is sealed or handed over,
// each packet in is written or handed over, and no thread touches a freed table.
TEST_F(PacketWorkerTest, TablesAreReplacedWhileTrafficFlows) {
  constexpr int kFrames = 3000;
  start();
  std::atomic<int> running{kWorkers};
  std::vector<std::thread> threads;
  for (int queue = 0; queue < kWorkers; ++queue) {
    threads.emplace_back([this, queue, &running] {
      Peer& peer = queue == 0 ? even_ : odd_;
      const Bytes out = frame(peer.to_it()), in = plain_of(frame(peer.from_it()));
      for (int i = 0; i < kFrames; ++i) {
        tap_sends(queue, out);
        peer_sends(peer.socket, peer.seal(in, static_cast<std::uint8_t>(queue + 1)));
        while (!tap_receives(queue, 0).empty()) {
        }
      }
      --running;
    });
  }
  std::uint64_t frames_out = 0, others = 0;
  const auto take = [&] {
    for (const Punt& punt : punts_.take_all())
      ++(punt.kind == Punt::Kind::kFrameOut ? frames_out : others);
  };
  while (running != 0) {
    publish({&even_});
    take();
    publish({&odd_, &even_});
    publish({&odd_});
    take();
  }
  for (std::thread& thread : threads) thread.join();
  // Behind all others, by tables that name both.
  publish({&even_, &odd_});
  for (int queue = 0; queue < kWorkers; ++queue) {
    Peer& peer = queue == 0 ? even_ : odd_;
    tap_sends(queue, frame(peer.to_it("end")));
    peer_sends(peer.socket, peer.seal(plain_of(frame(peer.from_it("end")))));
    for (Bytes got; got != frame(peer.from_it("end"));) {
      got = tap_receives(queue);
      ASSERT_FALSE(got.empty());
    }
    for (Bytes got; got != plain_of(frame(peer.to_it("end")));) {
      const auto next = peer.receive();
      ASSERT_TRUE(next);
      got = next->plain;
    }
  }
  stop();
  take();
  std::uint64_t sealed = 0;
  for (const Peer* peer : {&even_, &odd_}) {
    for (const Sealer& lane : peer->ours->lanes) sealed += lane.sealed();
  }
  EXPECT_GT(frames_out, 0u);
  EXPECT_GT(sealed, 2u);
  EXPECT_EQ(total(Metric::kDropForged) + total(Metric::kDropReplayed), 0u);
  EXPECT_EQ(total(Metric::kFramesOut), kWorkers * (kFrames + 1u));
  EXPECT_EQ(sealed + total(Metric::kFramesIn) + frames_out + others + total(Metric::kDropQueueFull),
            total(Metric::kFramesOut) + total(Metric::kDatagramsIn));
}

}  // namespace
}  // namespace wow
