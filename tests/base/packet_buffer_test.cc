#include "base/packet_buffer.h"

#include <gtest/gtest.h>

namespace wow {
namespace {

TEST(PacketBuffer, HeadersGoInFrontAndTagsBehindWithoutMovingThePayload) {
  PacketBuffer buffer;
  std::copy_n("payload", 7, buffer.room().begin());
  buffer.resize(7);
  const std::uint8_t* payload = buffer.data();
  std::copy_n("head", 4, buffer.prepend(4));
  std::copy_n("tag", 3, buffer.append(3));
  EXPECT_EQ(text_of(buffer.view()), "headpayloadtag");
  EXPECT_EQ(buffer.data() + 4, payload);
  buffer.drop_front(4);
  EXPECT_EQ(text_of(buffer.view()), "payloadtag");
  buffer.clear();
  EXPECT_EQ(buffer.size(), 0u);
}

TEST(PacketBuffer, HoldsADatagramOfAnySizeWithHeadersAndTag) {
  PacketBuffer buffer;
  ASSERT_GE(buffer.room().size(), 65535u);
  buffer.resize(buffer.room().size());
  buffer.prepend(PacketBuffer::kHeadroom);
  buffer.append(PacketBuffer::kTailroom);
  EXPECT_EQ(buffer.size(), PacketBuffer::kCapacity);
  buffer.bytes().front() = 1;
  buffer.bytes().back() = 1;
}

TEST(PacketPool, GivesBuffersAgainAndKeepsABoundedNumber) {
  PacketPool pool;
  PacketBuffer buffer = pool.take();
  const std::uint8_t* storage = buffer.data();
  buffer.append(10);
  pool.give_back(std::move(buffer));
  PacketBuffer again = pool.take();
  EXPECT_EQ(again.data(), storage);
  EXPECT_EQ(again.size(), 0u);
  for (std::size_t i = 0; i < 2 * PacketPool::kIdleBuffersMax; ++i) pool.give_back(PacketBuffer());
}

}  // namespace
}  // namespace wow
