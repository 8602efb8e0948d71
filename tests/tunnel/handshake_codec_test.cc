#include "tunnel/handshake_codec.h"

#include <gtest/gtest.h>

#include "tunnel/flight.h"
#include "tunnel/receive_indexes.h"
#include "tunnel/retry_token.h"

namespace wow {
namespace {

const Endpoint kHere = *Endpoint::parse("198.51.100.7:4433");
const Endpoint kThere = *Endpoint::parse("198.51.100.7:4434");

HandshakeBody body_of(std::uint8_t flight, std::size_t bytes) {
  HandshakeBody out;
  out.flight = flight;
  out.sender_index = 7;
  out.bytes = Bytes(bytes, 0xab);
  return out;
}

TEST(HandshakeCodec, OpensUnderThePoolKeyOnly) {
  SeededRandom random(1);
  HandshakeCodec pool(Bytes(32, 1), random), other(Bytes(32, 2), random);
  const Bytes packet = pool.seal(body_of(1, 175), kFirstFlightBytesMin);
  EXPECT_EQ(packet.size(), kFirstFlightBytesMin);
  Bytes copy = packet;
  EXPECT_FALSE(other.open(copy).of_pool);
  copy = packet;
  const auto opened = pool.open(copy);
  ASSERT_TRUE(opened.of_pool && opened.body);
  EXPECT_EQ(opened.body->bytes, Bytes(175, 0xab));
  EXPECT_EQ(opened.body->sender_index, 7u);
}

TEST(HandshakeCodec, NoByteMayChangeAndNoneBeMissing) {
  SeededRandom random(1);
  HandshakeCodec codec(Bytes(32, 1), random);
  const Bytes packet = codec.seal(body_of(2, 40));
  for (std::size_t i = 0; i < packet.size(); ++i) {
    Bytes changed = packet, cut(packet.begin(), packet.begin() + i);
    changed[i] ^= 0x10;
    EXPECT_FALSE(codec.open(changed).of_pool) << i;
    EXPECT_FALSE(codec.open(cut).of_pool) << i;
  }
}

TEST(HandshakeCodec, TheLongestPieceFitsBesideTheLongestToken) {
  SeededRandom random(1);
  HandshakeCodec codec(Bytes(32, 1), random);
  HandshakeBody body = body_of(1, HandshakeCodec::kPieceBytesMax);
  body.token = Bytes(64, 1);
  EXPECT_LE(codec.seal(body, kFirstFlightBytesMin).size(), kHandshakeBytesMax);
}

TEST(Flight, IsPutTogetherFromPiecesInAnyOrder) {
  Bytes flight(2 * HandshakeCodec::kPieceBytesMax + 5);
  for (std::size_t i = 0; i < flight.size(); ++i) flight[i] = static_cast<std::uint8_t>(i * 7);
  const auto pieces = cut_flight(body_of(2, 0), flight);
  ASSERT_EQ(pieces.size(), 3u);
  FlightAssembler assembler;
  const Path path = Path::direct(kHere);
  EXPECT_FALSE(assembler.add(path, pieces[2]));
  EXPECT_FALSE(assembler.add(path, pieces[0]));
  EXPECT_FALSE(assembler.add(path, pieces[2])) << "a duplicate completes nothing";
  EXPECT_FALSE(assembler.add(Path::direct(kThere), pieces[1])) << "nor does another path's";
  EXPECT_EQ(assembler.add(path, pieces[1]), flight);
  EXPECT_EQ(assembler.unfinished(), 1u);
}

TEST(Flight, UnfinishedOnesAreBounded) {
  FlightAssembler assembler;
  for (std::uint32_t i = 1; i < 1000; ++i) {
    HandshakeBody body = body_of(1, 10);
    body.fragments = 2;
    body.sender_index = i;
    EXPECT_FALSE(assembler.add(Path::direct(kHere), body));
  }
  EXPECT_EQ(assembler.unfinished(), FlightAssembler::kFlightsMax);
  HandshakeBody many = body_of(1, 10);
  many.fragments = HandshakeCodec::kFragmentsMax + 1;
  EXPECT_FALSE(assembler.add(Path::direct(kThere), many));
}

TEST(RetryToken, IsGoodForItsEndpointForAWhile) {
  SeededRandom random(1);
  const RetryTokens tokens(random), others(random);
  const TimePoint made{1000s};
  const Bytes token = tokens.make(kHere, made);
  EXPECT_TRUE(tokens.valid(token, kHere, made));
  EXPECT_TRUE(tokens.valid(token, kHere, made + RetryTokens::kPeriod));
  EXPECT_FALSE(tokens.valid(token, kHere, made + 2 * RetryTokens::kPeriod));
  EXPECT_FALSE(tokens.valid(token, kThere, made));
  EXPECT_FALSE(others.valid(token, kHere, made));
  EXPECT_FALSE(tokens.valid(ByteView(token).first(15), kHere, made));
  EXPECT_FALSE(tokens.valid({}, kHere, made));
}

// Draws 1, 1, 2, 0, 3, 3, ...
class Repeating final : public Random {
 public:
  void fill(MutableBytes out) override {
    static constexpr std::uint8_t kDraws[] = {1, 1, 2, 0, 1, 3};
    std::fill(out.begin(), out.end(), 0);
    out.back() = kDraws[next_++ % 6];
  }

 private:
  int next_ = 0;
};

TEST(ReceiveIndexes, AreNeverZeroAndRestAfterUse) {
  Repeating random;
  ReceiveIndexes indexes(random);
  const TimePoint now{1000s};
  EXPECT_EQ(indexes.take(now), 1u);
  EXPECT_EQ(indexes.take(now), 2u) << "1 is taken";
  indexes.give_back(1, now);
  EXPECT_EQ(indexes.take(now), 3u) << "1 rests";
  EXPECT_EQ(indexes.take(now + ReceiveIndexes::kRest), 1u);
}

}  // namespace
}  // namespace wow
