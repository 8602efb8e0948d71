#include "tunnel/linux/stream_outlet.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/tunnel/linux/worker_world.h"
#include "tunnel/linux/frame_intake.h"

namespace wow {
namespace {

const Endpoint kFar{*IpAddress::parse("198.51.100.7"), 443, Carrier::kTls};

TEST(StreamOutlet, HandsMessagesOverInTheirOrderAndWakesOnce) {
  int woken = 0;
  StreamOutlet outlet([&] { ++woken; });
  for (std::uint8_t i = 0; i < 3; ++i) {
    const Bytes body(100, i);
    Datagram message{kFar, {}, body};
    message.segment_bytes = 40;
    EXPECT_TRUE(outlet.push(message));
  }
  EXPECT_EQ(woken, 1);
  std::uint8_t next = 0;
  outlet.take_all([&](const Datagram& message) {
    EXPECT_EQ(to_bytes(message.body), Bytes(100, next++));
    EXPECT_EQ(message.to, kFar);
    EXPECT_EQ(message.segment_bytes, 40);
  });
  EXPECT_EQ(next, 3);
  outlet.take_all([](const Datagram&) { FAIL() << "twice"; });
  EXPECT_TRUE(outlet.push({kFar, {}, Bytes(1)}));
  EXPECT_EQ(woken, 2);
}

TEST(StreamOutlet, IsBounded) {
  StreamOutlet outlet([] {});
  const Bytes body(60000);
  std::size_t taken = 0;
  while (taken < 1000 && outlet.push({kFar, {}, body})) ++taken;
  EXPECT_EQ(taken, StreamOutlet::kBytesMax / body.size());
  outlet.take_all([](const Datagram&) {});
  for (taken = 0; taken < 1000 && outlet.push({kFar, {}, ByteView(body).first(1)}); ++taken) {
  }
  EXPECT_EQ(taken, StreamOutlet::kMessagesMax);
}

TEST(StreamOutlet, TwoWorkersLoseNothingThatWasTaken) {
  StreamOutlet outlet([] {});
  constexpr std::uint64_t kEach = 5000;
  std::uint64_t taken = 0;
  std::vector<std::thread> workers;
  for (int worker = 0; worker < 2; ++worker) {
    workers.emplace_back([&] {
      const Bytes body(1000, 7);
      for (std::uint64_t i = 0; i < kEach;) i += outlet.push({kFar, {}, body});
    });
  }
  while (taken < 2 * kEach) {
    outlet.take_all([&](const Datagram& message) {
      ++taken;
      EXPECT_EQ(message.body[0], 7);
    });
  }
  for (std::thread& worker : workers) worker.join();
  outlet.take_all([&](const Datagram&) { ++taken; });
  EXPECT_EQ(taken, 2 * kEach);
}

using StreamOutletTest = WorkerWorld;

TEST_F(StreamOutletTest, FramesWhoseWayIsAStreamAreSealedByTheWorker) {
  tables_.by_mac.set(even_.mac, {even_.ours, kFar});
  start();
  const Bytes out = frame(even_.to_it());
  tap_sends(0, out);
  std::vector<Bytes> packets;
  while (packets.empty()) {
    ASSERT_TRUE(woken_.try_acquire_for(std::chrono::seconds(5)));
    streams_.take_all([&](const Datagram& message) {
      EXPECT_EQ(message.to, kFar);
      packets.push_back(to_bytes(message.body));
    });
  }
  ASSERT_EQ(packets.size(), 1u);
  OpenFailure why{};
  const auto plain = even_.opener->open(packets[0], &why);
  ASSERT_TRUE(plain);
  EXPECT_EQ(to_bytes(plain->subspan(1)), out);
  stop();
  EXPECT_EQ(total(Metric::kDatagramsOut), 0u);
}

// What comes by a stream is joined and written as what comes by the socket.
TEST_F(StreamOutletTest, WhatAStreamBringsReachesTheHost) {
  FrameIntake intake(TapQueue{queue_ends_[0]}, punts_, metrics_.add_slot());
  ReceiveEntry entry = receive_entry(even_);
  entry.from = kFar;
  tables_.by_index.set(even_.index, entry);
  const Bytes in = frame(even_.from_it());
  const std::uint8_t kind = static_cast<std::uint8_t>(DataKind::kFrame);
  Bytes packet = even_.seal(concat({ByteView(&kind, 1), in}));
  Bytes replayed = packet, probe = even_.seal(concat({ByteView(&kind, 1), in}), 0);
  EXPECT_TRUE(intake.take(packet, {kFar, 0}, tables_, 5));
  EXPECT_TRUE(intake.take(replayed, {kFar, 0}, tables_, 6));
  EXPECT_FALSE(intake.take(probe, {kFar, 0}, tables_, 7)) << "the control thread's lane";
  intake.flush();
  EXPECT_EQ(tap_receives(0), in);
  EXPECT_EQ(even_.ours->last_received_ns, 5);
  EXPECT_EQ(total(Metric::kDropReplayed), 1u);
}

}  // namespace
}  // namespace wow
