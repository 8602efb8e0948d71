#include "tunnel/frame_headers.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/tunnel/frame_text.h"

namespace wow {
namespace {

constexpr std::size_t kIp = FrameHeaders::kIp;

// RFC 1071, slowly.
std::uint16_t slow_sum(ByteView bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    sum += static_cast<std::uint32_t>(bytes[i]) << (i % 2 == 0 ? 8 : 0);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

TEST(OnesSum, IsThatOfTheRfc) {
  // RFC 1071, 3.
  EXPECT_EQ(ones_sum(*from_hex("0001f203f4f5f6f7")), 0xddf2);
  const Bytes bytes = pattern(200, 250);
  for (std::size_t size = 0; size <= bytes.size(); ++size)
    ASSERT_EQ(ones_sum(ByteView(bytes).first(size)), slow_sum(ByteView(bytes).first(size))) << size;
  EXPECT_EQ(ones_sum(ByteView(bytes).subspan(100), ones_sum(ByteView(bytes).first(100))),
            ones_sum(bytes));
}

TEST(FrameHeaders, FindsTcpAndUdpInBothVersions) {
  for (const bool v6 : {false, true}) {
    const std::size_t ip = v6 ? 40 : 20;
    const auto tcp = FrameHeaders::parse(TestFrame{.v6 = v6, .payload = pattern(9)}.bytes());
    ASSERT_TRUE(tcp);
    EXPECT_EQ(tcp->transport, kIp + ip);
    EXPECT_EQ(tcp->payload, kIp + ip + 32);
    EXPECT_TRUE(tcp->is_tcp());
    const auto udp = FrameHeaders::parse(TestFrame{.v6 = v6, .tcp = false}.bytes());
    ASSERT_TRUE(udp);
    EXPECT_EQ(udp->payload, kIp + ip + 8);
    EXPECT_FALSE(udp->is_tcp());
  }
}

TEST(FrameHeaders, TakesNoLieAboutLengthsAndNoFragment) {
  const auto refused = [](Bytes frame, auto change) {
    change(frame);
    return !FrameHeaders::parse(frame);
  };
  const Bytes tcp = TestFrame{.payload = pattern(9)}.bytes();
  const Bytes udp = TestFrame{.tcp = false, .payload = pattern(9)}.bytes();
  const Bytes v6 = TestFrame{.v6 = true, .payload = pattern(9)}.bytes();
  EXPECT_TRUE(refused(tcp, [](Bytes& f) { f.push_back(0); })) << "padding";
  EXPECT_TRUE(refused(tcp, [](Bytes& f) { f.pop_back(); }));
  EXPECT_TRUE(refused(v6, [](Bytes& f) { f.push_back(0); }));
  EXPECT_TRUE(refused(tcp, [](Bytes& f) { f[kIp] = 0x44; }));
  EXPECT_TRUE(refused(tcp, [](Bytes& f) { f[kIp] = 0x65; }));
  EXPECT_TRUE(refused(tcp, [](Bytes& f) { f[kIp + 6] = 0x20; })) << "more fragments";
  EXPECT_TRUE(refused(tcp, [](Bytes& f) { f[kIp + 7] = 1; })) << "a later fragment";
  EXPECT_TRUE(refused(tcp, [](Bytes& f) { f[kIp + 9] = 1; })) << "ICMP";
  EXPECT_TRUE(refused(v6, [](Bytes& f) { f[kIp + 6] = 44; })) << "a fragment header";
  EXPECT_TRUE(refused(tcp, [](Bytes& f) { f[kIp + 20 + 12] = 0x40; }));
  EXPECT_TRUE(refused(tcp, [](Bytes& f) { f[kIp + 20 + 12] = 0xf0; }));
  EXPECT_TRUE(refused(udp, [](Bytes& f) { f[kIp + 20 + 5] ^= 1; }));
  for (const Bytes& frame : {tcp, udp, v6}) {
    for (std::size_t size = 0; size < frame.size(); ++size)
      EXPECT_FALSE(FrameHeaders::parse(ByteView(frame).first(size))) << size;
  }
}

TEST(FrameHeaders, ACompletedChecksumSumsToAllOnes) {
  for (const bool v6 : {false, true}) {
    for (const bool tcp : {false, true}) {
      for (const std::size_t size : {0, 1, 2, 1000, 1001}) {
        Bytes frame = TestFrame{.v6 = v6, .tcp = tcp, .payload = pattern(size)}.bytes();
        const auto headers = *FrameHeaders::parse(frame);
        EXPECT_EQ(
            ones_sum(ByteView(frame).subspan(headers.transport), pseudo_header_sum(frame, headers)),
            0xffff);
        EXPECT_TRUE(v6 || ones_sum(ByteView(frame).subspan(kIp, 20)) == 0xffff);
      }
    }
  }
}

// RFC 6040, figure 4: inner in rows, outer in columns; -1: dropped.
TEST(Ecn, OfTheTunnelIsPassedOnAsTheRfcSays) {
  constexpr int kNot = 0, kEct1 = 1, kEct0 = 2, kCe = 3;
  const std::map<std::pair<int, int>, int> wanted = {
      {{kNot, kNot}, kNot},   {{kNot, kEct0}, kNot},   {{kNot, kEct1}, kNot},   {{kNot, kCe}, -1},
      {{kEct0, kNot}, kEct0}, {{kEct0, kEct0}, kEct0}, {{kEct0, kEct1}, kEct1}, {{kEct0, kCe}, kCe},
      {{kEct1, kNot}, kEct1}, {{kEct1, kEct0}, kEct1}, {{kEct1, kEct1}, kEct1}, {{kEct1, kCe}, kCe},
      {{kCe, kNot}, kCe},     {{kCe, kEct0}, kCe},     {{kCe, kEct1}, kCe},     {{kCe, kCe}, kCe}};
  for (const bool v6 : {false, true}) {
    for (const auto& [marks, result] : wanted) {
      const auto [inner, outer] = marks;
      TestFrame parts{.v6 = v6};
      parts.traffic_class = static_cast<std::uint8_t>(0xb8 | inner);
      Bytes frame = parts.bytes();
      EXPECT_EQ(ecn_of(frame), inner);
      EXPECT_EQ(apply_outer_ecn(frame, static_cast<std::uint8_t>(outer)), result >= 0);
      if (result < 0) continue;
      parts.traffic_class = static_cast<std::uint8_t>(0xb8 | result);
      EXPECT_EQ(frame, parts.bytes()) << inner << " in " << outer;
    }
  }
}

}  // namespace
}  // namespace wow
