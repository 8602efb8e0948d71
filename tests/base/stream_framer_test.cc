#include "base/stream_framer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace wow {
namespace {

struct Taken {
  bool valid;
  std::vector<std::string> packets;
};

Taken take(StreamFramer& framer, ByteView bytes) {
  Taken out;
  out.valid = framer.take(
      bytes, [&](MutableBytes packet) { out.packets.push_back(to_string(ByteView(packet))); });
  return out;
}

TEST(StreamFramer, FindsPacketsInWhateverPiecesTheyCome) {
  Bytes stream;
  frame_packet(stream, view_of("a"), view_of("bc"));
  frame_packet(stream, view_of("defg"), {});
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    StreamFramer framer;
    std::vector<std::string> all;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      const auto some =
          take(framer, ByteView(stream).subspan(at, std::min(piece, stream.size() - at)));
      EXPECT_TRUE(some.valid);
      all.insert(all.end(), some.packets.begin(), some.packets.end());
    }
    EXPECT_EQ(all, (std::vector<std::string>{"abc", "defg"})) << piece;
  }
}

TEST(StreamFramer, TheLengthIsTwoBytesBigEndian) {
  Bytes stream;
  frame_packet(stream, view_of("hi"), {});
  EXPECT_EQ(stream, (Bytes{0, 2, 'h', 'i'}));
}

TEST(StreamFramer, RefusesLengthsThatNobodySends) {
  StreamFramer none, large;
  EXPECT_FALSE(take(none, Bytes{0, 0}).valid);
  EXPECT_FALSE(take(large, Bytes{0xff, 0xff, 1}).valid);
}

TEST(StreamFramer, TheLargestPacketPasses) {
  StreamFramer framer;
  Bytes stream;
  frame_packet(stream, Bytes(kStreamPacketBytesMax, 7), {});
  const auto taken = take(framer, stream);
  EXPECT_TRUE(taken.valid);
  ASSERT_EQ(taken.packets.size(), 1u);
  EXPECT_EQ(taken.packets[0].size(), kStreamPacketBytesMax);
}

}  // namespace
}  // namespace wow
