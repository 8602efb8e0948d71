// What went by circuits is there once more for who asks, and no more of it than there is room for.
#include "tunnel/sent_lately.h"

#include <gtest/gtest.h>

#include "proto/headers.h"

namespace wow {
namespace {

Bytes packet(std::uint8_t mark, std::size_t bytes = 100) { return Bytes(bytes, mark); }

Bytes relayed(std::uint32_t circuit, const Bytes& body) {
  Bytes out(RelayHeader::kBytes);
  RelayHeader{0, circuit}.write(out.data());
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

TEST(SentLately, TakesWhatWentByOneCircuitSinceThenOnce) {
  SentLately sent(16);
  for (std::uint8_t i = 1; i <= 6; ++i) sent.add(i % 2 == 0 ? 7 : 8, packet(i), i * 10);
  EXPECT_EQ(sent.take(7, 30), (std::vector<Bytes>{packet(4), packet(6)}));
  EXPECT_TRUE(sent.take(7, 30).empty()) << "it was asked for already";
  EXPECT_EQ(sent.take(7, 0), std::vector<Bytes>{packet(2)});
  EXPECT_EQ(sent.take(8, 0).size(), 3u);
}

TEST(SentLately, TheOldestGivesWay) {
  SentLately sent(4);
  for (std::uint8_t i = 1; i <= 6; ++i) sent.add(7, packet(i), i);
  EXPECT_EQ(sent.take(7, 0), (std::vector<Bytes>{packet(3), packet(4), packet(5), packet(6)}));
}

TEST(SentLately, WhatIsTooLargeIsNotKept) {
  SentLately sent(4);
  sent.add(7, packet(1, SentLately::kPacketBytesMax + 1), 1);
  sent.add(7, packet(2, SentLately::kPacketBytesMax), 1);
  EXPECT_EQ(sent.take(7, 0), std::vector<Bytes>{packet(2, SentLately::kPacketBytesMax)});
}

TEST(SentLately, OfABatchOnlyRelayPacketsEachByItself) {
  const Bytes one = relayed(7, packet(0x10)), two = relayed(7, packet(0x11)),
              last = relayed(7, packet(0x12, 50));
  Bytes together = one;
  together.insert(together.end(), two.begin(), two.end());
  together.insert(together.end(), last.begin(), last.end());
  const Bytes direct = packet(static_cast<std::uint8_t>(PacketType::kData));
  const Endpoint to;
  SentLately sent(8);
  sent.add(std::vector<Datagram>{{to, {}, together, 0, static_cast<std::uint16_t>(one.size())},
                                 {to, {}, direct, 0, 0}},
           5);
  EXPECT_EQ(sent.take(7, 5), (std::vector<Bytes>{packet(0x10), packet(0x11), packet(0x12, 50)}));
}

TEST(SentLately, OfABatchAlsoWhatIsForASilentPeer) {
  const auto data = [](std::uint32_t index, std::uint8_t mark) {
    Bytes out = packet(mark);
    DataHeader header;
    header.receiver_index = index;
    header.write(out.data());
    return out;
  };
  const Bytes before = data(7, 0), first = data(7, 1), second = data(7, 2), other = data(8, 3);
  Bytes together = first;
  together.insert(together.end(), second.begin(), second.end());
  const Endpoint to;
  SentLately sent(8);
  sent.add(std::vector<Datagram>{{to, {}, before, 0, 0}}, 4);
  EXPECT_FALSE(sent.is_anybody_silent());
  sent.set_silent(7, true);
  EXPECT_TRUE(sent.is_anybody_silent());
  sent.add(std::vector<Datagram>{{to, {}, together, 0, static_cast<std::uint16_t>(first.size())},
                                 {to, {}, other, 0, 0}},
           5);
  EXPECT_TRUE(sent.take(SentLately::by_circuit(7), 0).empty());
  EXPECT_EQ(sent.take(SentLately::by_session(7), 0), (std::vector<Bytes>{first, second}));
  EXPECT_TRUE(sent.take(SentLately::by_session(8), 0).empty());
  sent.set_silent(7, false);
  EXPECT_FALSE(sent.is_anybody_silent());
}

}  // namespace
}  // namespace wow
