#include "tunnel/frame_cutter.h"

#include <gtest/gtest.h>

#include "tests/tunnel/frame_text.h"

namespace wow {
namespace {

// What the cutter makes, checksums completed, each copied before the next overwrites it.
std::vector<Bytes> cut(Bytes frame, std::size_t segment_bytes) {
  std::vector<Bytes> out;
  FrameCutter cutter(frame, *FrameHeaders::parse(frame), segment_bytes);
  for (MutableBytes one = cutter.next(); !one.empty(); one = cutter.next()) {
    const auto headers = FrameHeaders::parse(one);
    EXPECT_TRUE(headers) << "segment " << out.size();
    if (!headers) break;
    complete_checksum(one, *headers);
    out.push_back(to_bytes(one));
    // As sealing does: the next segment may count on nothing here.
    std::fill(one.begin(), one.end(), 0xee);
  }
  return out;
}

class FrameCutterTest : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(V4AndV6, FrameCutterTest, testing::Bool());

// Each segment is what a host would have sent by itself.
TEST_P(FrameCutterTest, TcpSegmentsAreThoseOfAHostWithoutOffload) {
  TestFrame whole{.v6 = GetParam(), .flags = 0x10 | 0x08 | 0x01, .payload = pattern(3000)};
  whole.sequence = 0xfffffe00;  // wraps
  whole.id = 0xffff;
  const auto segments = cut(whole.bytes(), 1000);
  ASSERT_EQ(segments.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    TestFrame one = whole;
    one.sequence = static_cast<std::uint32_t>(0xfffffe00 + i * 1000);
    one.id = static_cast<std::uint16_t>(0xffff + i);
    one.flags = i == 2 ? 0x19 : 0x10;
    const Bytes all = pattern(3000);
    one.payload.assign(all.begin() + static_cast<std::ptrdiff_t>(i) * 1000,
                       all.begin() + static_cast<std::ptrdiff_t>(i + 1) * 1000);
    EXPECT_EQ(segments[i], one.bytes()) << i;
  }
}

TEST_P(FrameCutterTest, OnlyTheFirstSaysThatTheWindowWasReduced) {
  const auto segments =
      cut(TestFrame{.v6 = GetParam(), .flags = 0x80 | 0x40 | 0x10, .payload = pattern(700)}.bytes(),
          300);
  ASSERT_EQ(segments.size(), 3u);
  const std::size_t flags = (GetParam() ? 54 : 34) + 13;
  EXPECT_EQ(segments[0][flags], 0xd0);
  EXPECT_EQ(segments[1][flags], 0x50);
  EXPECT_EQ(segments[2][flags], 0x50);
}

TEST_P(FrameCutterTest, UdpDatagramsKeepTheirBounds) {
  const Bytes all = pattern(2500);
  const auto datagrams =
      cut(TestFrame{.v6 = GetParam(), .tcp = false, .payload = all}.bytes(), 1200);
  ASSERT_EQ(datagrams.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    const auto from = all.begin() + static_cast<std::ptrdiff_t>(i) * 1200;
    TestFrame one{.v6 = GetParam(), .tcp = false, .id = static_cast<std::uint16_t>(7 + i)};
    one.payload.assign(from, i == 2 ? all.end() : from + 1200);
    EXPECT_EQ(datagrams[i], one.bytes()) << i;
  }
}

TEST_P(FrameCutterTest, WhatFitsOneSegmentIsOne) {
  for (const std::size_t payload : {0, 1, 999, 1000}) {
    const Bytes frame = TestFrame{.v6 = GetParam(), .payload = pattern(payload)}.bytes();
    EXPECT_EQ(cut(frame, 1000), std::vector<Bytes>{frame}) << payload;
  }
}

TEST_P(FrameCutterTest, SegmentsSmallerThanTheirHeaders) {
  const Bytes all = pattern(10);
  const auto segments = cut(TestFrame{.v6 = GetParam(), .payload = all}.bytes(), 1);
  ASSERT_EQ(segments.size(), 10u);
  for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(segments[i].back(), all[i]);
}

}  // namespace
}  // namespace wow
