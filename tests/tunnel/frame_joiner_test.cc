#include "tunnel/frame_joiner.h"

#include <gtest/gtest.h>

#include "tests/tunnel/frame_text.h"
#include "tunnel/frame_cutter.h"

namespace wow {
namespace {

struct Written {
  Bytes frame;
  std::size_t segments;
  std::size_t segment_bytes;
  bool partial;
};

class FrameJoinerTest : public testing::Test, protected FrameSink {
 protected:
  static constexpr std::size_t kFrameBytes = 14 + 1380;

  void write(const JoinedFrame& joined) override {
    std::fill_n(joined.frame.data() - FrameJoiner::kHeadroom, FrameJoiner::kHeadroom, 0xaa);
    Bytes frame = to_bytes(joined.frame);
    if (joined.headers) {
      // What the host is told: the field holds the pseudo header's sum, the card does the rest.
      const auto headers = FrameHeaders::parse(frame);
      ASSERT_TRUE(headers);
      EXPECT_EQ(headers->payload, joined.headers->payload);
      EXPECT_EQ(get_big_endian(frame.data() + headers->transport + headers->checksum_offset(), 2),
                pseudo_header_sum(frame, *headers));
      complete_checksum(frame, *headers);
    }
    written_.push_back({frame, joined.segments, joined.segments > 1 ? joined.segment_bytes : 0,
                        joined.headers.has_value()});
  }
  // As a worker does: opens at the place, kind byte first.
  void open(ByteView frame, bool partial = true) {
    std::uint8_t* at = joiner_.place(frame.size() + 1);
    *at = 1;
    std::copy(frame.begin(), frame.end(), at + 1);
    EXPECT_TRUE(joiner_.take(partial));
  }
  void open_forged(std::size_t bytes) {
    std::fill_n(joiner_.place(bytes), bytes, 0);
    joiner_.drop();
  }
  void open_segments(const TestFrame& whole, std::size_t segment_bytes) {
    Bytes frame = whole.bytes();
    FrameCutter cutter(frame, *FrameHeaders::parse(frame), segment_bytes);
    for (MutableBytes one = cutter.next(); !one.empty(); one = cutter.next()) open(one);
  }
  std::vector<Bytes> frames() {
    joiner_.flush();
    std::vector<Bytes> out;
    for (const Written& one : written_) out.push_back(one.frame);
    return out;
  }

  FrameJoiner joiner_{{kFrameBytes, kFrameBytes}, *this};
  std::vector<Written> written_;
};

TEST_F(FrameJoinerTest, WhatWasCutIsJoinedAgain) {
  for (const bool v6 : {false, true}) {
    for (const bool tcp : {false, true}) {
      for (const std::size_t last : {1, 700, 1000}) {
        written_.clear();
        TestFrame whole{.v6 = v6, .tcp = tcp, .payload = pattern(20000 + last)};
        if (tcp) whole.flags = 0x18;
        open_segments(whole, 1000);
        EXPECT_EQ(frames(), std::vector<Bytes>{whole.bytes()});
        ASSERT_EQ(written_.size(), 1u);
        EXPECT_EQ(written_[0].segments, 21u);
        EXPECT_EQ(written_[0].segment_bytes, 1000u);
      }
    }
  }
}

TEST_F(FrameJoinerTest, TwoFramesOneAfterTheOtherStayTwoWherePushed) {
  TestFrame first{.flags = 0x18, .payload = pattern(5000)}, second = first;
  second.sequence += 5000;
  open_segments(first, 1000);
  open_segments(second, 1000);
  EXPECT_EQ(frames(), (std::vector<Bytes>{first.bytes(), second.bytes()}));
}

TEST_F(FrameJoinerTest, AFrameIsNeverLargerThanCanBe) {
  const TestFrame whole{.payload = pattern(65535 - 20 - 32)};
  TestFrame more{.sequence = 100 + 65535 - 20 - 32, .payload = pattern(1300, 9)};
  open_segments(whole, 1300);
  open(more.bytes());
  std::size_t payload = 0;
  for (const Bytes& frame : frames()) payload += frame.size() - FrameHeaders::parse(frame)->payload;
  EXPECT_EQ(payload, whole.payload.size() + more.payload.size());
  for (const Written& one : written_) EXPECT_LE(one.segments, FrameJoiner::kSegmentsMax);
}

// Nothing that differs in a word is joined, nothing is lost or changed, and order is kept.
TEST_F(FrameJoinerTest, OnlyWhatFollowsInTheSameFlowIsJoined) {
  const TestFrame first{.payload = pattern(1000)};
  TestFrame next = first;
  next.sequence += 1000;
  next.id += 1;
  next.payload = pattern(1000, 77);
  const auto with = [&](auto change) {
    TestFrame out = next;
    change(out);
    return out;
  };
  const std::vector<TestFrame> others = {
      with([](TestFrame& f) { f.sequence += 1; }),
      with([](TestFrame& f) { f.sequence -= 1000; }),
      with([](TestFrame& f) { f.port += 1; }),
      with([](TestFrame& f) { f.window += 1; }),
      with([](TestFrame& f) { f.traffic_class = 3; }),
      with([](TestFrame& f) { f.flags = 0x10 | 0x80; }),
      with([](TestFrame& f) { f.flags = 0x10 | 0x20; }),
      with([](TestFrame& f) { f.flags = 0x10 | 0x02; }),
      with([](TestFrame& f) { f.options.back() += 1; }),
      with([](TestFrame& f) { f.options.clear(); }),
      with([](TestFrame& f) { f.options.resize(16); }),
      with([](TestFrame& f) { f.payload = pattern(1001); }),
      with([](TestFrame& f) { f.payload.clear(); }),
      with([](TestFrame& f) { f.tcp = false; }),
      with([](TestFrame& f) { f.v6 = true; }),
  };
  for (std::size_t i = 0; i < others.size(); ++i) {
    written_.clear();
    open(first.bytes());
    open(others[i].bytes());
    EXPECT_EQ(frames(), (std::vector<Bytes>{first.bytes(), others[i].bytes()})) << i;
  }
  written_.clear();
  open(first.bytes());
  open(next.bytes());
  EXPECT_EQ(frames().size(), 1u) << "and the one that follows is";
}

TEST_F(FrameJoinerTest, AChecksumThatTheSenderMadeIsLeftForTheHostToCheck) {
  TestFrame first{.payload = pattern(1000)}, second = first;
  second.sequence += 1000;
  Bytes wrong = first.bytes();
  wrong[34 + 16] ^= 1;
  open(wrong, false);
  open(second.bytes(), false);
  EXPECT_EQ(frames(), (std::vector<Bytes>{wrong, second.bytes()}));
  for (const Written& one : written_) EXPECT_FALSE(one.partial);
}

TEST_F(FrameJoinerTest, AForgeryBetweenTwoSegmentsChangesNothing) {
  const TestFrame whole{.payload = pattern(3000)};
  Bytes frame = whole.bytes();
  FrameCutter cutter(frame, *FrameHeaders::parse(frame), 1000);
  for (MutableBytes one = cutter.next(); !one.empty(); one = cutter.next()) {
    open(one);
    open_forged(one.size() + 1);
    open_forged(70);
  }
  std::size_t payload = 0;
  Bytes all;
  for (const Bytes& got : frames()) {
    payload = FrameHeaders::parse(got)->payload;
    all.insert(all.end(), got.begin() + static_cast<std::ptrdiff_t>(payload), got.end());
  }
  EXPECT_EQ(all, whole.payload);
}

TEST_F(FrameJoinerTest, WhatSaysThatItsChecksumIsOursMustHaveOne) {
  Bytes icmp = TestFrame{.payload = pattern(100)}.bytes();
  icmp[14 + 9] = 1;
  std::uint8_t* at = joiner_.place(icmp.size() + 1);
  std::copy(icmp.begin(), icmp.end(), at + 1);
  EXPECT_FALSE(joiner_.take(true));
  EXPECT_TRUE(frames().empty());
  open(icmp, false);
  EXPECT_EQ(frames(), std::vector<Bytes>{icmp});
}

TEST_F(FrameJoinerTest, SmallTcpSegmentsAndThoseBeyondTheMtuComeSingly) {
  open_segments({.payload = pattern(600)}, 200);
  EXPECT_EQ(frames().size(), 3u);
  written_.clear();
  open_segments({.payload = pattern(4200)}, 1400);
  EXPECT_EQ(frames().size(), 3u);
}

TEST_F(FrameJoinerTest, ManySmallDatagramsBecomeOneFrame) {
  const Bytes all = pattern(64 * 64);
  open_segments({.tcp = false, .payload = all}, 64);
  EXPECT_EQ(frames(), std::vector<Bytes>{(TestFrame{.tcp = false, .payload = all}.bytes())});
  EXPECT_EQ(written_[0].segments, 64u);
}

// Alternating flows: each frame ends up deep in the storage, for ever.
TEST_F(FrameJoinerTest, StorageIsNeverLeft) {
  for (std::uint32_t i = 0; i < 500; ++i) {
    TestFrame one{.port = static_cast<std::uint16_t>(i % 2), .payload = pattern(1300, 5)};
    one.sequence = i / 2 * 1300;
    open(one.bytes());
  }
  EXPECT_EQ(frames().size(), 500u);
}

}  // namespace
}  // namespace wow
