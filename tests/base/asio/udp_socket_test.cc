#include "base/asio/udp_socket.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <cstring>

#include "base/asio/udp_transport.h"
#include "proto/headers.h"
#include "tests/base/asio/loopback.h"

namespace wow {
namespace {

const IpAddress kLocal = *IpAddress::parse("127.0.0.1");

bool readable(const UdpSocket& socket, int milliseconds) {
  pollfd wait{socket.fd(), POLLIN, 0};
  return poll(&wait, 1, milliseconds) == 1;
}

class UdpSocketTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { bring_loopback_up(); }
  MetricSlot metrics_;
};

Datagram datagram(const UdpSocket& to, ByteView head, ByteView body = {},
                  const IpAddress& ip = kLocal) {
  return {{ip, to.port()}, head, body, 0};
}

TEST_F(UdpSocketTest, DatagramsArriveWholeInOrderFromWhereTheyCame) {
  const auto a = UdpSocket::open(0), b = UdpSocket::open(0);
  ASSERT_TRUE(a && b);
  const Bytes large(UdpReceiver::kDatagramBytesMax, 7);
  const std::vector<Datagram> batch = {datagram(*b, view_of("head "), view_of("body")),
                                       datagram(*b, view_of("alone")), datagram(*b, large),
                                       datagram(*b, {})};
  a->send(batch, metrics_);
  ASSERT_TRUE(readable(*b, 5000));
  UdpReceiver receiver;
  const auto got = receiver.receive(*b, metrics_);
  ASSERT_EQ(got.size(), 4u);
  EXPECT_EQ(to_string(got[0].packet), "head body");
  EXPECT_EQ(to_string(got[1].packet), "alone");
  EXPECT_EQ(to_bytes(got[2].packet), large);
  EXPECT_TRUE(got[3].packet.empty());
  EXPECT_EQ(got[0].from, (Endpoint{kLocal, a->port()}));
  EXPECT_EQ(metrics_.get(Metric::kDatagramsOut), 4u);
  EXPECT_EQ(metrics_.get(Metric::kDatagramsIn), 4u);
  EXPECT_EQ(metrics_.get(Metric::kBytesIn), metrics_.get(Metric::kBytesOut));
  EXPECT_TRUE(receiver.receive(*b, metrics_).empty());
}

// One message of 40 segments, the last a short one; then marks and a datagram by itself.
TEST_F(UdpSocketTest, SegmentsGoTogetherAndComeTogetherWhereTheReaderCan) {
  const auto a = UdpSocket::open(0), single = UdpSocket::open(0), together = UdpSocket::open(0);
  Bytes all(39 * 1200 + 7);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint8_t>(i / 1200);
  together->coalesce();
  UdpReceiver coalesced(UdpReceiver::kCoalesced), plain;
  for (const auto* to : {&*together, &*single}) {
    Datagram segmented = datagram(*to, {});
    segmented.head = {};
    segmented.body = all;
    segmented.segment_bytes = 1200;
    segmented.ecn = 1;
    a->send(std::vector{segmented}, metrics_);
    UdpReceiver& receiver = to == &*together ? coalesced : plain;
    Bytes got;
    std::size_t datagrams = 0;
    while (got.size() < all.size()) {
      ASSERT_TRUE(readable(*to, 5000));
      for (const auto& one : receiver.receive(*to, metrics_)) {
        if (to == &*together) {
          EXPECT_EQ(one.ecn, 1);
          EXPECT_TRUE(one.segment_bytes == 1200 || one.segment_bytes == one.packet.size());
        } else {
          EXPECT_LE(one.packet.size(), 1200u);
          EXPECT_EQ(one.segment_bytes, one.packet.size());
        }
        datagrams += (one.packet.size() + one.segment_bytes - 1) / one.segment_bytes;
        got.insert(got.end(), one.packet.begin(), one.packet.end());
      }
    }
    EXPECT_EQ(got, all);
    EXPECT_EQ(datagrams, 40u);
  }
  EXPECT_EQ(metrics_.get(Metric::kDatagramsOut), 80u);
  EXPECT_EQ(metrics_.get(Metric::kDatagramsIn), 80u);
}

// The kernel refuses to cut segments larger than the path's MTU; one by one they are fragmented.
TEST_F(UdpSocketTest, SegmentsThatTheKernelDoesNotCutGoOneByOne) {
  const auto a = UdpSocket::open(0), b = UdpSocket::open(0);
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_mtu = 1280;
  ASSERT_EQ(ioctl(a->fd(), SIOCSIFMTU, &request), 0);
  const Bytes all(3 * 2000 + 5, 9);
  Datagram segmented = datagram(*b, {});
  segmented.head = {};
  segmented.body = all;
  segmented.segment_bytes = 2000;
  a->send(std::vector{segmented, datagram(*b, view_of("next"))}, metrics_);
  UdpReceiver receiver;
  std::vector<std::size_t> sizes;
  while (sizes.size() < 5 && readable(*b, 5000)) {
    for (const auto& one : receiver.receive(*b, metrics_)) sizes.push_back(one.packet.size());
  }
  EXPECT_EQ(sizes, (std::vector<std::size_t>{2000, 2000, 2000, 5, 4}));
  EXPECT_EQ(metrics_.get(Metric::kDropSendFailed), 0u);
  request.ifr_mtu = 65536;
  ASSERT_EQ(ioctl(a->fd(), SIOCSIFMTU, &request), 0);
}

TEST_F(UdpSocketTest, MoreThanABatchIsSentAndReceivedInSeveral) {
  const auto a = UdpSocket::open(0), b = UdpSocket::open(0);
  std::vector<std::string> texts;
  for (int i = 0; i < 100; ++i) texts.push_back(std::to_string(i));
  std::vector<Datagram> batch;
  for (const std::string& text : texts) batch.push_back(datagram(*b, view_of(text)));
  a->send(batch, metrics_);
  std::vector<std::string> got;
  UdpReceiver receiver;
  while (got.size() < texts.size() && readable(*b, 5000)) {
    const auto some = receiver.receive(*b, metrics_);
    EXPECT_LE(some.size(), UdpSocket::kBatch);
    for (const auto& one : some) got.push_back(to_string(one.packet));
  }
  EXPECT_EQ(got, texts);
}

TEST_F(UdpSocketTest, BothFamiliesThroughOneSocket) {
  const auto a = UdpSocket::open(0), b = UdpSocket::open(0);
  const IpAddress six = *IpAddress::parse("::1");
  a->send(std::vector{datagram(*b, view_of("4")), datagram(*b, view_of("6"), {}, six)}, metrics_);
  ASSERT_TRUE(readable(*b, 5000));
  UdpReceiver receiver;
  const auto got = receiver.receive(*b, metrics_);
  if (got.size() == 1) GTEST_SKIP() << "this kernel has no IPv6";
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[0].from.ip, kLocal);
  EXPECT_EQ(got[1].from.ip, six);
}

TEST_F(UdpSocketTest, WhatTheKernelRefusesIsCountedAndTheRestGoesOn) {
  const auto a = UdpSocket::open(0), b = UdpSocket::open(0);
  const Bytes endless(65'535, 1);  // beyond what UDP over IPv4 carries
  a->send(std::vector{datagram(*b, endless), datagram(*b, view_of("next")),
                      Datagram{{*IpAddress::parse("203.0.113.1"), 9}, view_of("no route"), {}, 0},
                      datagram(*b, view_of("last"))},
          metrics_);
  ASSERT_TRUE(readable(*b, 5000));
  UdpReceiver receiver;
  const auto got = receiver.receive(*b, metrics_);
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(to_string(got[1].packet), "last");
  EXPECT_EQ(metrics_.get(Metric::kDropSendFailed), 2u);
  EXPECT_EQ(metrics_.get(Metric::kDatagramsOut), 2u);
}

TEST_F(UdpSocketTest, ADatagramLargerThanAnyOfOursIsDroppedAndCounted) {
  const auto a = UdpSocket::open(0), b = UdpSocket::open(0);
  const Bytes large(UdpReceiver::kDatagramBytesMax + 1, 7);
  a->send(std::vector{datagram(*b, large), datagram(*b, view_of("fits"))}, metrics_);
  ASSERT_TRUE(readable(*b, 5000));
  UdpReceiver receiver;
  const auto got = receiver.receive(*b, metrics_);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(to_string(got[0].packet), "fits");
  EXPECT_EQ(metrics_.get(Metric::kDropGarbage), 1u);
}

TEST_F(UdpSocketTest, APortInUseIsNamedWithTheCure) {
  const auto first = UdpSocket::open(0);
  const auto second = UdpSocket::open(first->port());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(second.error().message,
            "UDP port " + std::to_string(first->port()) +
                " is in use: choose another with --listen, or stop who holds it");
  EXPECT_FALSE(UdpSocket::open(first->port(), true)) << "the holder did not agree to share";
}

// A data packet as far as steering looks.
Bytes packet_for(std::uint32_t index) {
  Bytes out(kDataOverheadBytes, 0);
  DataHeader header;
  header.key_phase = index & kKeyPhaseMask;
  header.lane = 1;
  header.receiver_index = index;
  header.write(out.data());
  return out;
}

TEST_F(UdpSocketTest, DataIsSteeredByReceiverIndexAndAllElseToTheFirst) {
  const auto first = UdpSocket::open(0, true);
  const auto second = UdpSocket::open(first->port(), true);
  ASSERT_TRUE(first && second);
  ASSERT_TRUE(first->steer_by_receiver_index(2));
  // Many senders: the kernel's own choice, by a hash of the endpoints, would mix them.
  std::size_t others = 0;
  for (std::uint32_t i = 0; i < 16; ++i) {
    const auto sender = UdpSocket::open(0);
    const Bytes even = packet_for(0x8000'0000 + 2 * i), odd = packet_for(0x7000'0001 + 2 * i);
    const Bytes handshake(40, 1), unknown(5, 3), runt{0x10, 1};
    sender->send(
        std::vector{datagram(*first, even), datagram(*first, odd), datagram(*first, handshake),
                    datagram(*first, unknown), datagram(*first, runt)},
        metrics_);
  }
  UdpReceiver receiver;
  const auto count = [&](const UdpSocket& socket, std::uint32_t parity) {
    std::size_t data = 0;
    while (readable(socket, 200)) {
      for (const auto& [from, packet, segment, ecn] : receiver.receive(socket, metrics_)) {
        const auto header = DataHeader::parse(packet);
        if (!header) {
          ++others;
          continue;
        }
        EXPECT_EQ(header->receiver_index % 2, parity);
        ++data;
      }
    }
    return data;
  };
  EXPECT_EQ(count(*first, 0), 16u);
  EXPECT_EQ(others, 48u);
  EXPECT_EQ(count(*second, 1), 16u);
  EXPECT_EQ(others, 48u);
}

TEST_F(UdpSocketTest, MovingASocketLeavesNothingBehind) {
  auto first = UdpSocket::open(0);
  const int fd = first->fd();
  const std::uint16_t port = first->port();
  UdpSocket second(std::move(*first));
  EXPECT_EQ(second.fd(), fd);
  EXPECT_EQ(first->fd(), -1);
  second = std::move(*UdpSocket::open(0));
  EXPECT_TRUE(UdpSocket::open(port)) << "the first was not closed";
}

TEST_F(UdpSocketTest, LoopbackIsALocalAddressOnlyIfAsked) {
  for (const IpAddress& ip : local_addresses()) EXPECT_FALSE(ip.is_loopback());
  const auto all = local_addresses(true);
  ASSERT_FALSE(all.empty());
  EXPECT_EQ(all.front(), kLocal) << "IPv4 comes first";
}

TEST_F(UdpSocketTest, ATransportHandsOnDatagramsUntilStopped) {
  boost::asio::io_context io{1};
  const auto a = UdpSocket::open(0), b = UdpSocket::open(0);
  UdpTransport sending(*a, metrics_), receiving(*b, metrics_, true);
  std::vector<std::string> got;
  receiving.start(io.get_executor(), [&](MutableBytes packet, const Endpoint& from) {
    EXPECT_EQ(from.port, a->port());
    got.push_back(to_string(packet));
    if (got.size() == 2) receiving.stop();  // from its own handler
  });
  sending.send(std::vector{datagram(*b, view_of("one")), datagram(*b, view_of("two")),
                           datagram(*b, view_of("three"))});
  io.run_for(std::chrono::seconds(20));
  EXPECT_TRUE(io.stopped()) << "a stopped transport still waits";
  EXPECT_EQ(got, (std::vector<std::string>{"one", "two"}));
  const auto local = receiving.local_endpoints();
  ASSERT_FALSE(local.empty());
  EXPECT_EQ(local.front(), (Endpoint{kLocal, b->port()}));
}

// What a relay passes on, changed where it lies, leaves together as it came; and nothing else
// waits.
TEST_F(UdpSocketTest, WhatIsPassedOnLeavesTogether) {
  boost::asio::io_context io{1};
  const auto a = UdpSocket::open(0), relay = UdpSocket::open(0), b = UdpSocket::open(0);
  b->coalesce();
  MetricSlot relay_metrics;
  UdpTransport transport(*relay, relay_metrics);
  std::size_t passed = 0;
  transport.start(io.get_executor(), [&](MutableBytes packet, const Endpoint&) {
    packet[0] = 0x77;
    transport.send(std::vector{datagram(*b, packet)});
    if (++passed % 10 == 0) transport.send(std::vector{datagram(*b, view_of("its own"))});
    if (passed == 30) io.stop();
  });
  Bytes all(30 * 1000 - 100, 0);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint8_t>(i / 1000);
  Datagram segmented = datagram(*relay, {});
  segmented.head = {};
  segmented.body = all;
  segmented.segment_bytes = 1000;
  a->send(std::vector{segmented}, metrics_);
  io.run_for(std::chrono::seconds(20));
  ASSERT_EQ(passed, 30u);
  UdpReceiver receiver(UdpReceiver::kCoalesced);
  Bytes got;
  int own = 0;
  while (got.size() < all.size() || own < 3) {
    ASSERT_TRUE(readable(*b, 5000));
    for (const auto& one : receiver.receive(*b, metrics_)) {
      if (to_string(one.packet) == "its own") {
        ++own;
      } else {
        got.insert(got.end(), one.packet.begin(), one.packet.end());
      }
    }
  }
  for (std::size_t i = 0; i < all.size(); i += 1000) all[i] = 0x77;
  EXPECT_EQ(got, all);
  EXPECT_EQ(relay_metrics.get(Metric::kDatagramsOut), 33u);
  EXPECT_EQ(relay_metrics.get(Metric::kDropSendFailed), 0u);
}

}  // namespace
}  // namespace wow
