// A worker on a real TAP with offloads: what the host leaves to its network card is done here, and
// what a card would leave to the host comes to it so. A packet socket with vnet headers is the
// host's side.
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tap/linux/netlink.h"
#include "tap/linux/tap_device.h"
#include "tests/tunnel/frame_text.h"
#include "tests/tunnel/linux/worker_world.h"
#include "tunnel/frame_cutter.h"
#include "tunnel/linux/vnet_header.h"

namespace wow {
namespace {

constexpr std::size_t kSegment = 1000;
constexpr std::uint8_t kPlainFrame = static_cast<std::uint8_t>(DataKind::kFrame);

class OffloadTest : public WorkerWorld {
 protected:
  void SetUp() override {
    auto tap =
        TapDevice::open("wow-lab", {2, 0, 0, 0, 0, 1}, 1380, kWorkers, TapDevice::Offloads::kAll);
    if (!tap) GTEST_SKIP() << tap.error().message;
    device_ = std::make_unique<TapDevice>(std::move(*tap));
    if (!device_->queues()[0].udp_segments) GTEST_SKIP() << "a kernel before 6.2";
    ASSERT_TRUE(configure_interface(device_->index(), kOwnIp, *Prefix::parse("10.128.0.0/16")));
    host_ = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
    const int on = 1;
    ASSERT_EQ(setsockopt(host_, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on), 0);
    sockaddr_ll at{};
    at.sll_family = AF_PACKET;
    at.sll_protocol = htons(ETH_P_ALL);
    at.sll_ifindex = device_->index();
    ASSERT_EQ(bind(host_, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    start(device_->queues());
  }
  void TearDown() override {
    stop();
    if (host_ >= 0) close(host_);
  }

  // A frame between us and the peer of kWorkers' first worker, with true checksums.
  Bytes frame_of(bool outward, TestFrame parts) {
    Bytes out = parts.bytes();
    put_big_endian(out.data(), outward ? even_.mac : kOwnMac, 6);
    put_big_endian(out.data() + 6, outward ? kOwnMac : even_.mac, 6);
    put_big_endian(out.data() + 26, outward ? kOwnIp.v4_value() : even_.ip.v4_value(), 4);
    put_big_endian(out.data() + 30, outward ? even_.ip.v4_value() : kOwnIp.v4_value(), 4);
    const auto headers = FrameHeaders::parse(out);
    write_lengths(out, *headers);
    complete_checksum(out, *headers);
    return out;
  }
  // As the kernel hands a frame to a card: the sum of the pseudo header in the checksum's place.
  void host_sends(Bytes frame, std::size_t segments) {
    const auto headers = FrameHeaders::parse(frame);
    put_big_endian(frame.data() + headers->transport + headers->checksum_offset(),
                   pseudo_header_sum(frame, *headers), 2);
    Bytes packet(kVnetHeaderBytes);
    write_vnet_header(packet.data(), {frame, headers, segments, kSegment});
    packet.insert(packet.end(), frame.begin(), frame.end());
    ASSERT_EQ(send(host_, packet.data(), packet.size(), 0), static_cast<ssize_t>(packet.size()));
  }
  struct Got {
    LeftToUs left;
    Bytes frame;
  };
  Got host_receives() {
    for (;;) {
      pollfd wait{host_, POLLIN, 0};
      if (poll(&wait, 1, 5000) != 1) return {};
      Bytes out(70000);
      sockaddr_ll from{};
      socklen_t length = sizeof from;
      out.resize(static_cast<std::size_t>(
          recvfrom(host_, out.data(), out.size(), 0, reinterpret_cast<sockaddr*>(&from), &length)));
      if (from.sll_pkttype == PACKET_OUTGOING) continue;
      return {read_vnet_header(out.data()), Bytes(out.begin() + kVnetHeaderBytes, out.end())};
    }
  }
  // What the peer gets, as its host would see it: checksums completed where they are ours.
  Bytes peer_receives(bool* partial) {
    const auto got = even_.receive();
    EXPECT_TRUE(got);
    if (!got) return {};
    *partial = got->plain[0] == (kPlainFrame | kFactChecksumPartial);
    Bytes frame(got->plain.begin() + 1, got->plain.end());
    if (*partial) complete_checksum(frame, *FrameHeaders::parse(frame));
    return frame;
  }
  static std::vector<Bytes> cut(Bytes frame) {
    std::vector<Bytes> out;
    const auto headers = *FrameHeaders::parse(frame);
    FrameCutter cutter(frame, headers, kSegment);
    for (MutableBytes one = cutter.next(); !one.empty(); one = cutter.next())
      out.push_back(to_bytes(one));
    for (Bytes& one : out) complete_checksum(one, headers);
    return out;
  }
  // All in one message, as a peer with offloads sends them.
  void peer_sends_together(const std::vector<Bytes>& frames) {
    Bytes packets;
    std::size_t first = 0;
    for (const Bytes& frame : frames) {
      const std::uint8_t kind = kPlainFrame | kFactChecksumPartial;
      Bytes wrong = frame;  // the field means nothing
      const auto headers = FrameHeaders::parse(wrong);
      put_big_endian(wrong.data() + headers->transport + headers->checksum_offset(), 0xbad, 2);
      const Bytes packet = even_.seal(concat({ByteView(&kind, 1), wrong}));
      if (first == 0) first = packet.size();
      packets.insert(packets.end(), packet.begin(), packet.end());
    }
    MetricSlot ignored;
    even_.socket.send(std::vector{Datagram{{*IpAddress::parse("127.0.0.1"), sockets_[0].port()},
                                           {},
                                           packets,
                                           0,
                                           static_cast<std::uint16_t>(first)}},
                      ignored);
  }

  std::unique_ptr<TapDevice> device_;
  int host_ = -1;
};

TEST_F(OffloadTest, ALargeFrameLeavesAsTheSegmentsOfAHostWithoutOffload) {
  for (const bool tcp : {true, false}) {
    const Bytes large = frame_of(true, {.tcp = tcp, .payload = pattern(20500)});
    host_sends(large, 21);
    for (const Bytes& segment : cut(large)) {
      bool partial = false;
      EXPECT_EQ(peer_receives(&partial), segment);
      EXPECT_TRUE(partial);
    }
  }
  stop();
  std::uint64_t sealed = 0;
  for (const Sealer& lane : even_.ours->lanes) sealed += lane.sealed();
  EXPECT_EQ(sealed, 42u);
}

TEST_F(OffloadTest, SegmentsThatCameTogetherReachTheHostAsOneFrame) {
  for (const bool tcp : {true, false}) {
    const Bytes large = frame_of(false, {.tcp = tcp, .payload = pattern(20500)});
    peer_sends_together(cut(large));
    Got got = host_receives();
    EXPECT_EQ(got.left.segment_bytes, kSegment);
    ASSERT_TRUE(got.left.checksum);
    const auto headers = FrameHeaders::parse(got.frame);
    ASSERT_TRUE(headers);
    EXPECT_EQ(got.left.checksum_from, headers->transport);
    EXPECT_EQ(got.left.checksum_at, headers->transport + headers->checksum_offset());
    complete_checksum(got.frame, *headers);
    EXPECT_EQ(got.frame, large);
  }
  stop();
  EXPECT_EQ(total(Metric::kFramesIn), 42u);
}

TEST_F(OffloadTest, WhatNoWorkerPlacesGoesToTheControlThreadInWholeFrames) {
  publish({});
  const Bytes large = frame_of(true, {.payload = pattern(2500)});
  host_sends(large, 3);
  for (const Bytes& segment : cut(large)) {
    Punt punt = punted();
    // What the host says to groups by itself goes there too.
    while (!punt.bytes.empty() && (punt.bytes[0] & 1)) punt = punted();
    EXPECT_EQ(punt.kind, Punt::Kind::kFrameOut);
    EXPECT_EQ(punt.bytes, segment) << "with its checksum";
  }
}

TEST_F(OffloadTest, ALieAboutWhereItsChecksumIsReachesNoHost) {
  Bytes icmp = frame_of(false, {.payload = pattern(100)});
  icmp[14 + 9] = 253;
  const std::uint8_t kind = kPlainFrame | kFactChecksumPartial;
  peer_sends(even_.socket, even_.seal(concat({ByteView(&kind, 1), icmp})));
  const Bytes good = frame_of(false, {.payload = pattern(10)});
  peer_sends(even_.socket, even_.seal(concat({ByteView(&kPlainFrame, 1), good})));
  const Got got = host_receives();
  EXPECT_EQ(got.frame, good) << "the first that came";
  EXPECT_FALSE(got.left.checksum) << "its sender made it, the host checks it";
  stop();
  EXPECT_EQ(total(Metric::kDropMalformed), 1u);
}

}  // namespace
}  // namespace wow
