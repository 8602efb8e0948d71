#include "proto/headers.h"

#include <gtest/gtest.h>

#include "base/endpoint.h"
#include "base/random.h"
#include "base/stream_framer.h"
#include "tests/proto/golden.h"

namespace wow {
namespace {

const Bytes& golden(const std::string& name) {
  static const auto all = read_golden("tests/golden/headers.txt");
  return all.at(name);
}

Address filled(std::uint8_t byte) { return Address::from_bytes(Bytes(Address::kBytes, byte)); }

// A fixed header that writes itself in place.
template <typename Header>
Bytes written(const Header& header) {
  std::size_t bytes = Header::kBytes;
  if constexpr (requires { header.size(); }) bytes = header.size();
  Bytes out(bytes);
  header.write(out.data());
  return out;
}

// Parses every prefix of `whole`: those shorter than `bytes_min` must be refused, all others taken.
template <typename Header>
void expect_refused_below(ByteView whole, std::size_t bytes_min) {
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    // A copy of its own, so that a sanitizer sees a read beyond the end.
    const Bytes part = to_bytes(whole.first(size));
    EXPECT_EQ(Header::parse(part).has_value(), size >= bytes_min) << "at " << size << " bytes";
  }
}

TEST(PacketType, IsTheFirstByte) {
  EXPECT_FALSE(packet_type({}));
  for (int first = 0; first < 256; ++first) {
    const Bytes packet = {static_cast<std::uint8_t>(first)};
    // A beacon has a port of its own.
    const bool known = (first >= 1 && first <= 4) || (first >= 0x10 && first <= 0x13);
    EXPECT_EQ(packet_type(packet).has_value(), known) << first;
  }
  for (std::uint8_t phase = 0; phase < 4; ++phase) {
    EXPECT_EQ(packet_type(Bytes{static_cast<std::uint8_t>(0x10 + phase)}), PacketType::kData);
  }
}

TEST(DataHeader, Golden) {
  DataHeader header;
  header.key_phase = 2;
  header.lane = 3;
  header.receiver_index = 0x01020304;
  header.salt = 0x05060708;
  header.counter = 0x090a0b0c0d0e;
  EXPECT_EQ(written(header), golden("data"));
  const Bytes packet = concat({golden("data"), Bytes(1 + kAeadTagBytes)});
  const auto parsed = DataHeader::parse(packet);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->key_phase, 2);
  EXPECT_EQ(parsed->lane, 3);
  EXPECT_EQ(parsed->receiver_index, 0x01020304u);
  EXPECT_EQ(parsed->salt, 0x05060708u);
  EXPECT_EQ(parsed->counter, 0x090a0b0c0d0eu);
}

TEST(DataHeader, NeedsAKindByteAndATag) {
  expect_refused_below<DataHeader>(concat({golden("data"), Bytes(40)}), kDataOverheadBytes);
  Bytes other = concat({golden("data"), Bytes(40)});
  other[0] = 0x14;
  EXPECT_FALSE(DataHeader::parse(other));
}

TEST(HandshakeBody, Golden) {
  HandshakeBody body;
  body.flight = 1;
  body.fragments = 2;
  body.sender_index = 0xa1a2a3a4;
  body.bytes = {0xc1, 0xc2, 0xc3};
  EXPECT_EQ(body.write(), golden("handshake"));

  HandshakeBody retry;
  retry.flight = HandshakeBody::kRetry;
  retry.sender_index = 0xa1a2a3a4;
  retry.receiver_index = 0xb1b2b3b4;
  retry.token = {0xd1, 0xd2, 0xd3, 0xd4};
  EXPECT_EQ(retry.write(), golden("retry"));
  const auto parsed = HandshakeBody::parse(golden("retry"));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->receiver_index, 0xb1b2b3b4u);
  EXPECT_EQ(parsed->token, retry.token);
  EXPECT_TRUE(parsed->bytes.empty());
}

TEST(HandshakeBody, PaddingIsNotPartOfTheBytes) {
  HandshakeBody body = *HandshakeBody::parse(golden("handshake"));
  const Bytes padded = body.write(1171);
  EXPECT_EQ(padded.size(), 1171u);
  EXPECT_EQ(HandshakeBody::parse(padded)->bytes, body.bytes);
  EXPECT_EQ(body.write(3).size(), golden("handshake").size());
}

TEST(HandshakeBody, EveryTruncationIsRefused) {
  for (const char* name : {"handshake", "retry"}) {
    expect_refused_below<HandshakeBody>(golden(name), golden(name).size());
  }
}

TEST(HandshakeBody, RefusesFieldsOutOfRange) {
  const auto with = [](std::size_t at, std::uint8_t value) {
    Bytes bytes = golden("handshake");
    bytes[at] = value;
    return HandshakeBody::parse(bytes);
  };
  EXPECT_TRUE(with(1, 3));
  EXPECT_TRUE(with(1, HandshakeBody::kRefer));
  EXPECT_FALSE(with(1, 5));     // no such flight
  EXPECT_FALSE(with(2, 0x00));  // of no fragments
  EXPECT_FALSE(with(2, 0x22));  // the third of two
  EXPECT_TRUE(with(2, 0xef));   // the last of fifteen
  EXPECT_FALSE(with(11, 2));    // the token reaches into the length
  EXPECT_TRUE(with(0, 9));      // versions are judged by the caller, who may speak two
  Bytes nobody = golden("handshake");
  std::fill_n(nobody.begin() + 3, 4, 0);
  EXPECT_FALSE(HandshakeBody::parse(nobody));  // sender index 0
  const auto with_token = [](std::size_t size) {
    return Writer()
        .u8(1)
        .u8(1)
        .u8(1)
        .u32(7)
        .u32(0)
        .u8(static_cast<std::uint8_t>(size))
        .bytes(Bytes(size))
        .u16(0)
        .take();
  };
  EXPECT_TRUE(HandshakeBody::parse(with_token(64)));
  EXPECT_FALSE(HandshakeBody::parse(with_token(65)));
}

TEST(UnknownIndex, GoldenAndExactSize) {
  const auto parsed = UnknownIndex::parse(golden("unknown_index"));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->index, 0x01020304u);
  EXPECT_EQ(to_bytes(parsed->write()), golden("unknown_index"));
  expect_refused_below<UnknownIndex>(golden("unknown_index"), UnknownIndex::kBytes);
  EXPECT_FALSE(UnknownIndex::parse(concat({golden("unknown_index"), Bytes(1)})));
}

TEST(RelayHeader, Golden) {
  EXPECT_EQ(written(RelayHeader{1, 0x01020304}), golden("relay"));
  const Bytes packet = concat({golden("relay"), Bytes{0x10}});
  const auto parsed = RelayHeader::parse(packet);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->hops, 1);
  EXPECT_EQ(parsed->circuit, 0x01020304u);
  expect_refused_below<RelayHeader>(concat({packet, Bytes(10)}), packet.size());
}

TEST(RelayHeader, MayAskNotToBeFragmented) {
  const Bytes packet = concat({written(RelayHeader{2, 7, true}), Bytes(20, 0x10)});
  EXPECT_EQ(packet[1], 0x0a);
  const auto parsed = RelayHeader::parse(packet);
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->whole);
  EXPECT_EQ(parsed->hops, 2);
}

TEST(RelayHeader, CarriesNothingButHandshakesAndData) {
  const auto with = [](std::size_t at, std::uint8_t value) {
    Bytes bytes = concat({golden("relay"), Bytes(20, 0x10)});
    bytes[at] = value;
    return RelayHeader::parse(bytes).has_value();
  };
  EXPECT_TRUE(with(6, 0x01));
  EXPECT_TRUE(with(6, 0x13));
  EXPECT_FALSE(with(6, 0x02));  // a relay packet
  EXPECT_FALSE(with(6, 0x03));  // "unknown index"
  EXPECT_FALSE(with(6, 0x77));
  EXPECT_FALSE(with(0, 0x10));
  EXPECT_TRUE(with(1, 0x07));
  EXPECT_TRUE(with(1, 0x0f));
  EXPECT_FALSE(with(1, 0x10));  // no such flag
}

TEST(RoutedHeader, Golden) {
  RoutedHeader header;
  header.hops = 2;
  header.mode = RouteMode::kNearest;
  header.uphill = true;
  header.payload = RoutedPayload::kCtm;
  header.destination = filled(0x11);
  header.source = filled(0x22);
  EXPECT_EQ(written(header), golden("routed"));
  const auto parsed = RoutedHeader::parse(golden("routed"));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->mode, RouteMode::kNearest);
  EXPECT_TRUE(parsed->uphill);
  EXPECT_EQ(parsed->destination, filled(0x11));
  EXPECT_EQ(written(*parsed), golden("routed"));
  expect_refused_below<RoutedHeader>(golden("routed"), RoutedHeader::kBytes);
}

TEST(RoutedHeader, CarriesANumberToBeAcknowledged) {
  auto header = *RoutedHeader::parse(golden("routed"));
  header.number = 0x0102;
  Bytes bytes(header.size());
  header.write(bytes.data());
  EXPECT_EQ(bytes.size(), RoutedHeader::kBytes + 2);
  EXPECT_EQ(bytes[2], golden("routed")[2] | 0x40);
  EXPECT_EQ(Bytes(bytes.end() - 2, bytes.end()), (Bytes{1, 2}));
  EXPECT_EQ(RoutedHeader::parse(bytes)->number, 0x0102);
  expect_refused_below<RoutedHeader>(bytes, bytes.size());
}

TEST(RoutedHeader, RefusesUnknownModesPayloadsAndLongerLimits) {
  const auto with = [](std::size_t at, std::uint8_t value) {
    Bytes bytes = golden("routed");
    bytes[at] = value;
    return RoutedHeader::parse(bytes).has_value();
  };
  EXPECT_TRUE(with(1, 32));
  EXPECT_FALSE(with(1, 33));
  EXPECT_TRUE(with(2, 0x00));
  EXPECT_FALSE(with(2, 0x02));
  EXPECT_FALSE(with(2, 0x22));
  EXPECT_FALSE(with(3, 0));
  EXPECT_TRUE(with(3, 3));
  EXPECT_FALSE(with(3, 4));
}

TEST(MessageHeader, Golden) {
  const auto parsed = MessageHeader::parse(golden("message"));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->service, 2);
  EXPECT_EQ(parsed->message, 0x0405);
  EXPECT_EQ(parsed->piece, 1);
  EXPECT_EQ(parsed->pieces, 3);
  EXPECT_EQ(written(*parsed), golden("message"));
  expect_refused_below<MessageHeader>(golden("message"), MessageHeader::kBytes);
  EXPECT_FALSE(MessageHeader::parse(Bytes{2, 0, 0, 0, 0}));  // of no pieces
  EXPECT_FALSE(MessageHeader::parse(Bytes{2, 0, 0, 3, 3}));  // the fourth of three
}

TEST(PathMessage, Golden) {
  for (const char* name : {"challenge", "response", "response_routed", "close"}) {
    const auto parsed = PathMessage::parse(golden(name));
    ASSERT_TRUE(parsed) << name;
    EXPECT_EQ(parsed->write(), golden(name));
    expect_refused_below<PathMessage>(golden(name), golden(name).size());
  }
  const auto challenge = PathMessage::parse(golden("challenge"));
  EXPECT_EQ(challenge->op, PathMessage::Op::kChallenge);
  EXPECT_EQ(challenge->flags, PathMessage::kMoved);
  EXPECT_EQ(challenge->token, 0x0102030405060708u);
  EXPECT_EQ(PathMessage::parse(golden("close"))->op, PathMessage::Op::kClose);
  EXPECT_EQ(PathMessage::parse(golden("response"))->observed,
            Endpoint::parse("198.51.100.7:4433")->bytes());
}

TEST(PathMessage, RefusesUnknownOpsAndEndpointsOfNoFamily) {
  for (int op = 0; op < 256; ++op) {
    Bytes bytes = golden("response");
    bytes[0] = static_cast<std::uint8_t>(op);
    EXPECT_EQ(PathMessage::parse(bytes).has_value(), op >= 1 && op <= 3) << op;
  }
  for (std::size_t size = 0; size < 256; ++size) {
    PathMessage response;
    response.op = PathMessage::Op::kResponse;
    response.observed = Bytes(size);
    EXPECT_EQ(PathMessage::parse(response.write()).has_value(),
              size == 0 || size == 6 || size == 18);
  }
  PathMessage by_stream;
  by_stream.op = PathMessage::Op::kResponse;
  by_stream.observed = Endpoint::parse("tcp://203.0.113.5:4433")->bytes();
  EXPECT_EQ(PathMessage::parse(by_stream.write())->observed, by_stream.observed);
}

// What parses must be written again as it was, up to what lies behind it.
template <typename Header, typename Write>
int round_trips(std::uint64_t seed, std::size_t bytes_max, Write write) {
  SeededRandom random(seed);
  int parsed = 0;
  for (int i = 0; i < 100000; ++i) {
    Bytes noise(random.below(bytes_max + 1));
    random.fill(noise);
    for (auto& b : noise) b &= random.below(3) == 0 ? 0xff : 0x03;  // small numbers reach deeper
    const auto header = Header::parse(noise);
    if (!header) continue;
    ++parsed;
    const Bytes again = write(*header);
    EXPECT_LE(again.size(), noise.size());
    EXPECT_TRUE(std::equal(again.begin(), again.end(), noise.begin()));
  }
  return parsed;
}

TEST(Headers, NoiseEitherParsesAndRoundTripsOrIsRefused) {
  EXPECT_GT((round_trips<HandshakeBody>(1, 80, [](const auto& h) { return h.write(); })), 100);
  EXPECT_GT((round_trips<RoutedHeader>(2, 60, [](const auto& h) { return written(h); })), 100);
  EXPECT_GT((round_trips<MessageHeader>(3, 10, [](const auto& h) { return written(h); })), 100);
  EXPECT_GT((round_trips<PathMessage>(4, 40, [](const auto& h) { return h.write(); })), 100);
}

TEST(Streams, CandidatesAndFramesAreGolden) {
  EXPECT_EQ(Endpoint::parse("tcp://198.51.100.7:4433")->bytes(), golden("candidate_tcp"));
  EXPECT_EQ(Endpoint::parse("tls://[2001:db8::7]:443")->bytes(), golden("candidate_tls"));
  Bytes framed;
  frame_packet(framed, UnknownIndex{0x01020304}.write(), {});
  EXPECT_EQ(framed, golden("framed"));
}

}  // namespace
}  // namespace wow
