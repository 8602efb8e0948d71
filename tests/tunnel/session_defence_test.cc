// Hostile packets: they change nothing, store nothing, and are answered with little or nothing.
#include <gtest/gtest.h>

#include "tests/tunnel/session_harness.h"
#include "tunnel/handshake_codec.h"

namespace wow {
namespace {

const Endpoint kNowhere = *Endpoint::parse("192.0.2.66:666");

Endpoint endpoint(std::uint32_t n) {
  return {IpAddress::v4(0xc0000200 + n % 200), static_cast<std::uint16_t>(1000 + n / 200)};
}

class SessionDefence : public testing::Test {
 protected:
  void open() {
    a.dial(b);
    net.run_for(1s);
    ASSERT_TRUE(a.is_direct(b) && b.is_direct(a));
  }
  void expect_unharmed() {
    a.say(b, "still");
    b.say(a, "there");
    net.run_for(1s);
    EXPECT_TRUE(a.heard_set.contains("there") && b.heard_set.contains("still"));
    EXPECT_TRUE(a.is_direct(b) && b.is_direct(a));
    EXPECT_TRUE(a.closed.empty() && b.closed.empty());
    EXPECT_EQ(b.session(a)->path().path, a.path());
    EXPECT_EQ(b.session(a)->paths().size(), 1u);
    EXPECT_EQ(b.sessions().handshakes_under_way(), 0u);
  }
  void give_b(Bytes packet, const Endpoint& from = kNowhere) {
    b.sessions().on_datagram(packet, from);
  }
  // A first flight as a member would send it, from a node that does not exist.
  Bytes first_flight(std::uint32_t index, std::size_t bytes_min = kFirstFlightBytesMin) {
    HandshakeBody body;
    body.flight = 1;
    body.sender_index = index;
    FakeCredentials member(1000 + index);
    body.bytes = concat({Bytes(5), member.initiate(Address())->start().send});
    return codec_.seal(body, bytes_min);
  }
  std::size_t sent_by_b() const { return b.bytes_sent; }

  Net net;
  Party &a = net.add(), &b = net.add();
  SeededRandom random_{99};
  HandshakeCodec codec_{FakeCredentials(1).pool_key(), random_};
  int spoiled_ = 0;
};

// A disk that was copied: both ends of one key speak with b. None may go on for ever with keys that
// b has replaced, or it never comes to know of the other.
TEST_F(SessionDefence, OfTwoWithOneKeyEachHearsOfTheOther) {
  open();
  Party& copy = net.add_copy(1);
  copy.dial(b);
  for (int i = 0; i < 100; ++i) {
    net.run_for(500ms);
    a.say(b, "a" + std::to_string(i));
    copy.say(b, "copy" + std::to_string(i));
  }
  EXPECT_GE(a.count(Metric::kHandshakesDone), 2u);
  EXPECT_GE(copy.count(Metric::kHandshakesDone), 2u);
}

TEST_F(SessionDefence, GarbageOfEveryLengthAndTypeChangesNothing) {
  open();
  const std::size_t before = b.packets_sent;
  std::uint64_t given = 0;
  for (const int type : {0x00, 0x01, 0x02, 0x03, 0x10, 0x13, 0x17, 0xff}) {
    for (std::size_t size = 0; size < 1400; size += size < 80 ? 1 : 97) {
      Bytes packet(size);
      random_.fill(packet);
      if (size > 0) packet[0] = static_cast<std::uint8_t>(type);
      give_b(packet);
      ++given;
    }
  }
  EXPECT_LE(b.packets_sent, before + 20) << "unknown indexes, rate-limited";
  EXPECT_EQ(b.count(Metric::kDropGarbage) + b.count(Metric::kDropStranger) +
                b.count(Metric::kDropUnknownIndex),
            given - 1)
      << "all but a well-formed unknown index";
  expect_unharmed();
}

TEST_F(SessionDefence, ForgedAndTruncatedDataChangesNothing) {
  open();
  Bytes genuine;
  a.filter = [&](ByteView packet, const Endpoint&) {
    genuine = to_bytes(packet);
    return false;
  };
  a.say(b, "genuine");
  a.filter = {};
  const std::size_t before = b.packets_sent;
  for (std::size_t i = 0; i < genuine.size(); ++i) {
    Bytes forged = genuine;
    forged[i] ^= 1;
    if (i < 2 || i > 5) give_b(forged);  // another index is another test
    give_b(Bytes(genuine.begin(), genuine.begin() + static_cast<std::ptrdiff_t>(i)));
  }
  EXPECT_EQ(b.packets_sent, before) << "not even a path is made of it";
  EXPECT_TRUE(b.heard.empty());
  give_b(genuine, a.endpoint());
  EXPECT_EQ(b.heard.size(), 1u);
  expect_unharmed();
}

TEST_F(SessionDefence, ReplayedPacketsAreCountedAndNotAnswered) {
  std::vector<Bytes> seen;
  a.filter = [&](ByteView packet, const Endpoint&) {
    seen.push_back(to_bytes(packet));
    return true;
  };
  open();
  a.say(b, "once");
  net.run_for(10s);
  a.filter = {};
  const std::size_t heard = b.heard.size();
  const auto answered = b.count(Metric::kHandshakesAnswered);
  for (int round = 0; round < 3; ++round) {
    for (const Bytes& packet : seen) give_b(packet, round == 0 ? a.endpoint() : kNowhere);
  }
  EXPECT_EQ(b.heard.size(), heard);
  EXPECT_GE(b.count(Metric::kDropReplayed), 3u);
  EXPECT_LE(b.count(Metric::kHandshakesAnswered), answered + 1) << "one flight, one handshake";
  net.run_for(10s);
  expect_unharmed();
}

TEST_F(SessionDefence, StrangersHandshakesLeaveNoTrace) {
  open();
  FakeIdentityOptions other;
  other.pool = "another";
  HandshakeCodec strange(FakeCredentials(1, other).pool_key(), random_);
  HandshakeBody body;
  body.flight = 1;
  body.sender_index = 1;
  body.bytes = Bytes(180);
  const std::size_t before = b.packets_sent;
  for (int i = 0; i < 1000; ++i) give_b(strange.seal(body, kFirstFlightBytesMin), endpoint(i));
  EXPECT_EQ(b.packets_sent, before);
  EXPECT_EQ(b.count(Metric::kDropStranger), 1000u);
  expect_unharmed();
}

TEST_F(SessionDefence, NobodyGetsThreeTimesWhatHeSent) {
  for (const std::size_t size : {0, 250, 300, 500, 1200}) {
    const std::size_t before = sent_by_b();
    std::size_t given = 0;
    const Endpoint from = endpoint(static_cast<std::uint32_t>(size));
    const Bytes flight = first_flight(static_cast<std::uint32_t>(size) + 1, size);
    for (int i = 0; i < 20; ++i) {
      give_b(flight, from);
      given += flight.size();
      EXPECT_LE(sent_by_b() - before, 3 * given) << size;
      net.run_for(100ms);
    }
  }
  EXPECT_GE(b.count(Metric::kDropAmplification), 1u);
}

// A member answers an attempt as from the address of a victim, which then hears the last flight.
TEST_F(SessionDefence, WhoAnswersFromAnothersAddressDoesNotHaveItFlooded) {
  std::size_t named = 0, hit = 0;
  b.filter = [&](ByteView packet, const Endpoint&) {
    named += packet.size();
    Bytes forged = to_bytes(packet);
    a.sessions().on_datagram(forged, kNowhere);
    return false;
  };
  a.filter = [&](ByteView packet, const Endpoint& to) {
    if (to == kNowhere) hit += packet.size();
    return true;
  };
  a.dial(b);
  net.run_for(30s);
  EXPECT_GT(hit, named / 2);
  EXPECT_LE(hit, 3 * named);
}

TEST_F(SessionDefence, AFloodOfFirstFlightsIsAskedForTokensAndBounded) {
  open();
  const std::size_t max = SessionLimits().handshakes_max;
  for (std::uint32_t i = 1; i <= 2000; ++i) give_b(first_flight(i), endpoint(i));
  EXPECT_EQ(b.sessions().handshakes_under_way(), max / 2);
  EXPECT_EQ(b.count(Metric::kRetryTokensSent), 2000 - max / 2);
  // Honest newcomers come in meanwhile, by a token.
  Party& c = net.add();
  c.dial(b);
  c.say(b, "hello");
  net.run_for(100ms);
  EXPECT_TRUE(b.heard_set.contains("hello"));
  EXPECT_EQ(b.sessions().handshakes_under_way(), max / 2);
  net.run_for(10s);
  EXPECT_EQ(FakeCredentials::exchanges_alive(), 0);
  expect_unharmed();
}

TEST_F(SessionDefence, AFloodAlongTheRingLeavesRoomForDirectPeers) {
  open();
  for (std::uint32_t i = 1; i <= 2000; ++i) {
    Bytes flight = first_flight(i);
    b.sessions().on_routed_packet(FakeCredentials::address_of(50), Address(), flight);
  }
  EXPECT_LE(b.sessions().handshakes_under_way(), SessionLimits().handshakes_max * 3 / 4);
  Party& c = net.add();
  c.dial(b);
  net.run_for(100ms);
  EXPECT_TRUE(b.is_open(c));
}

TEST_F(SessionDefence, AMembersFalseFlightsEndNoAttempt) {
  // Somebody who sees the first flight answers it before the right one does.
  a.filter = [&](ByteView packet, const Endpoint&) {
    if (packet_type(packet) != PacketType::kHandshake) return true;
    Bytes copy = to_bytes(packet);
    const auto opened = codec_.open(copy);
    if (opened.body->flight != 1 || a.count(Metric::kHandshakesStarted) > 1) return true;
    if (spoiled_++ > 0) return true;
    HandshakeBody lie;
    lie.flight = 2;
    lie.sender_index = 77;
    lie.receiver_index = opened.body->sender_index;
    lie.bytes = Bytes(855, 3);
    Bytes forged = codec_.seal(lie);
    a.host.clock().schedule(net.world.now() + 1ms, [this, forged]() mutable {
      a.sessions().on_datagram(forged, b.endpoint());
    });
    return true;
  };
  a.dial(b);
  net.run_for(1s);
  EXPECT_EQ(spoiled_, 2);
  EXPECT_TRUE(a.is_open(b) && b.is_open(a));
}

TEST_F(SessionDefence, AMemberCannotContinueAnothersSession) {
  std::uint32_t index = 0;
  a.filter = [&](ByteView packet, const Endpoint&) {
    if (receiver_index(packet) != 0) index = receiver_index(packet);
    return true;
  };
  open();
  std::vector<Bytes> replies;
  b.filter = [&](ByteView packet, const Endpoint& to) {
    if (to == kNowhere) replies.push_back(to_bytes(packet));
    return true;
  };
  const FakeCredentials member(77);
  const auto exchange = member.initiate(b.address());
  HandshakeBody body;
  body.flight = 1;
  body.sender_index = 5;
  body.bytes = concat({Writer().u8(0).u32(index).view(), exchange->start().send});
  give_b(codec_.seal(body, kFirstFlightBytesMin));
  ASSERT_EQ(replies.size(), 1u);
  const auto second = codec_.open(replies[0]);
  ASSERT_TRUE(second.body);
  const auto step = exchange->on_flight(ByteView(second.body->bytes).subspan(1));
  ASSERT_EQ(step.state, KeyExchange::State::kDone);
  body.flight = 3;
  body.receiver_index = second.body->sender_index;
  body.bytes = step.send;
  give_b(codec_.seal(body));
  EXPECT_EQ(b.sessions().size(), 1u);
  EXPECT_EQ(b.sessions().find(member.address()), nullptr);
  expect_unharmed();
}

TEST_F(SessionDefence, UnknownIndexIsAHintAndNothingMore) {
  open();
  std::uint32_t index = 0;
  a.filter = [&](ByteView packet, const Endpoint&) {
    index = receiver_index(packet);
    return true;
  };
  a.say(b, "x");
  a.filter = {};
  const auto started = a.count(Metric::kHandshakesStarted);
  for (int i = 0; i < 1000; ++i) {
    auto lie = UnknownIndex{index}.write();
    a.sessions().on_datagram(lie, b.endpoint());
    if (i % 10 == 0) net.run_for(1ms);
  }
  net.run_for(30s);
  EXPECT_LE(a.count(Metric::kHandshakesStarted), started + 3);
  expect_unharmed();
  EXPECT_EQ(a.opened.size() + b.opened.size(), 2u) << "at most new keys";
}

TEST_F(SessionDefence, AForgedCloseOrChallengeIsNotBelieved) {
  open();
  const DirectionKeys wrong;
  KeyPhases phases({}, {});
  std::uint32_t index = 0;
  a.filter = [&](ByteView packet, const Endpoint&) {
    index = receiver_index(packet);
    return true;
  };
  a.say(b, "x");
  Sealer sealer(CipherSuite::kAes256Gcm, wrong, phases, index, 0);
  PathMessage close;
  close.op = PathMessage::Op::kClose;
  PacketBuffer buffer;
  const Bytes message = concat({Bytes{4}, close.write()});
  buffer.resize(message.size());
  std::copy(message.begin(), message.end(), buffer.data());
  ASSERT_TRUE(sealer.seal(buffer));
  give_b(to_bytes(buffer.view()), a.endpoint());
  expect_unharmed();
}

TEST_F(SessionDefence, FragmentsOfNothingAreBoundedAndForgotten) {
  open();
  for (std::uint32_t i = 1; i <= 1000; ++i) {
    HandshakeBody body;
    body.flight = 1;
    body.sender_index = i;
    body.fragments = 4;
    body.bytes = Bytes(1000);
    give_b(codec_.seal(body, kFirstFlightBytesMin), endpoint(i));
  }
  EXPECT_EQ(b.sessions().handshakes_under_way(), 0u);
  expect_unharmed();
}

}  // namespace
}  // namespace wow
