// What a member may do that is not honest, to sessions and those who hold them.
#include <gtest/gtest.h>

#include <utility>

#include "tests/tunnel/session_harness.h"
#include "tunnel/handshake_codec.h"

namespace wow {
namespace {

const Endpoint kVictim = *Endpoint::parse("192.0.2.66:666");
constexpr std::size_t kBulkBytes = 900;

class SessionReview : public testing::Test {
 protected:
  int flight_of(ByteView packet) {
    if (packet_type(packet) != PacketType::kHandshake) return 0;
    Bytes copy = to_bytes(packet);
    return codec_.open(copy).body->flight;
  }
  // `liar` says all but its first flight in the victim's name, and never answers a challenge. (That
  // it hears of what is sent to the victim stands for its not caring about silence.)
  void lie(Party& liar, Party& fooled) {
    liar.filter = [this, &fooled](ByteView packet, const Endpoint&) {
      if (flight_of(packet) == 1) return true;
      fooled.host.clock().schedule(net.world.now() + 10ms,
                                   [&fooled, copy = to_bytes(packet)]() mutable {
                                     fooled.sessions().on_datagram(copy, kVictim);
                                   });
      return false;
    };
    fooled.filter = [this, &liar, &fooled](ByteView packet, const Endpoint& to) {
      const bool bulk = packet.size() > kBulkBytes;
      if (packet_type(packet) == PacketType::kData) {
        if (!bulk) return false;
        at_victim_ += to == kVictim;
      }
      if (to == kVictim && (bulk || flight_of(packet) != 0)) {
        Bytes copy = to_bytes(packet);
        liar.sessions().on_datagram(copy, fooled.endpoint());
      }
      return true;
    };
  }
  void expect_traffic_at_the_victim_to_end(Party& liar, Party& fooled) {
    int said = 0;
    const auto talk = [&](int until) {
      for (; said < until; ++said) {
        liar.say(fooled, "l" + std::to_string(said));
        fooled.say(liar, std::string(kBulkBytes, 'f') + std::to_string(said));
        net.run_for(10ms);
      }
    };
    talk(200);
    EXPECT_FALSE(fooled.heard.empty()) << "the lies were sealed well";
    EXPECT_GT(std::exchange(at_victim_, 0), 0);
    talk(500);
    EXPECT_EQ(at_victim_, 0);
  }

  // A first flight as a member would send it, from a node that does not exist.
  Bytes first_flight(std::uint32_t index, const Bytes& token = {}) {
    HandshakeBody body;
    body.flight = 1;
    body.sender_index = index;
    body.token = token;
    body.bytes =
        concat({Bytes(5), FakeCredentials(1000 + index).initiate(Address())->start().send});
    return codec_.seal(body, kFirstFlightBytesMin);
  }

  Net net;
  int at_victim_ = 0;  // packets with data
  Party &a = net.add(), &b = net.add();
  SeededRandom random_{99};
  HandshakeCodec codec_{FakeCredentials(1).pool_key(), random_};
};

TEST_F(SessionReview, ALastFlightFromAFalseAddressBringsTheVictimTrafficForAMomentOnly) {
  lie(a, b);
  a.dial(b);
  net.run_for(50ms);
  expect_traffic_at_the_victim_to_end(a, b);
}

TEST_F(SessionReview, NorDoesAnAnswerFromAFalseAddressBringMore) {
  lie(b, a);
  a.dial(b);
  net.run_for(50ms);
  expect_traffic_at_the_victim_to_end(b, a);
}

TEST_F(SessionReview, HonestPeersAreAskedOnce) {
  a.dial(b);
  net.run_for(100ms);
  ASSERT_TRUE(a.is_direct(b) && b.is_direct(a));
  const std::size_t sent = a.packets_sent + b.packets_sent;
  net.run_for(10s);
  EXPECT_EQ(a.packets_sent + b.packets_sent, sent);
}

TEST_F(SessionReview, ANeighboursFloodLeavesRoomForWhatOthersHandOver) {
  const Address flooder = FakeCredentials::address_of(50), other = FakeCredentials::address_of(51);
  for (std::uint32_t i = 1; i <= 300; ++i) {
    Bytes flight = first_flight(i);
    b.sessions().on_routed_packet(FakeCredentials::address_of(1000 + i), Address(), flight,
                                  flooder);
  }
  const std::size_t share = SessionLimits().handshakes_max / 2;
  EXPECT_EQ(b.sessions().handshakes_under_way(), share);
  Bytes flight = first_flight(301);
  b.sessions().on_routed_packet(FakeCredentials::address_of(1301), Address(), flight, other);
  EXPECT_EQ(b.sessions().handshakes_under_way(), share + 1);
}

TEST_F(SessionReview, AHostsFloodLeavesRoomForOthers) {
  const auto from_victim = [this](std::uint32_t i, const Bytes& token = {}) {
    Bytes flight = first_flight(i, token);
    b.sessions().on_datagram(flight, {kVictim.ip, static_cast<std::uint16_t>(i)});
  };
  std::map<std::uint32_t, Bytes> tokens;
  b.filter = [&](ByteView packet, const Endpoint&) {
    Bytes copy = to_bytes(packet);
    const auto opened = codec_.open(copy);
    if (opened.body && opened.body->flight == HandshakeBody::kRetry)
      tokens[opened.body->receiver_index] = opened.body->token;
    return true;
  };
  for (std::uint32_t i = 1; i <= 300; ++i) from_victim(i);
  const std::size_t max = SessionLimits().handshakes_max;
  EXPECT_EQ(b.sessions().handshakes_under_way(), max / 8 + 1) << "that many in anybody's name";
  for (const auto& [index, token] : tokens) from_victim(index, token);
  EXPECT_EQ(b.sessions().handshakes_under_way(), max / 4) << "that many in its own";
  b.filter = {};
  a.dial(b);
  net.run_for(100ms);
  EXPECT_TRUE(a.is_direct(b));
}

TEST_F(SessionReview, WhoIsBusySendsNoMoreThanThreeTimesWhatAForgerDid) {
  SessionLimits limits;
  limits.handshakes_max = 0;
  Party& busy = net.add({}, limits);
  std::size_t at_victim = 0;
  busy.filter = [&](ByteView packet, const Endpoint& to) {
    at_victim += to == kVictim ? packet.size() : 0;
    return true;
  };
  HandshakeBody body;
  body.flight = 1;
  body.sender_index = 1;
  body.bytes = Bytes(6);
  for (const std::size_t padding : {std::size_t{0}, std::size_t{100}, kFirstFlightBytesMin}) {
    Bytes forged = codec_.seal(body, padding);
    const std::size_t sent = forged.size(), before = at_victim;
    busy.sessions().on_datagram(forged, kVictim);
    net.run_for(1s);
    EXPECT_GT(at_victim, before);
    EXPECT_LE(at_victim - before, 3 * sent);
  }
}

TEST(SessionRoom, TheLongestIdleGivesWayToANewcomerAndNoEdgeDoes) {
  Net net;
  SessionLimits limits;
  limits.sessions_max = 3;
  Party& full = net.add({}, limits);
  Party &edge = net.add(), &idle = net.add(), &busy = net.add(), &newcomer = net.add();
  for (Party* party : {&edge, &idle, &busy}) {
    party->dial(full);
    net.run_for(1s);
  }
  full.sessions().set_keepalive(*full.session(edge), 1h);
  newcomer.dial(full);
  net.run_for(5s);
  EXPECT_FALSE(newcomer.is_open(full)) << "all have just been active";
  net.run_for(limits.idle_gives_way);
  busy.say(full, "here");
  net.run_for(1s);
  newcomer.dial(full);
  net.run_for(1s);
  EXPECT_TRUE(newcomer.is_open(full) && full.is_open(newcomer));
  EXPECT_TRUE(full.is_open(edge) && full.is_open(busy));
  EXPECT_FALSE(full.is_open(idle) || idle.is_open(full));
  ASSERT_EQ(full.closed.size(), 1u);
  EXPECT_EQ(full.closed[0].reason, CloseReason::kIdle);
}

}  // namespace
}  // namespace wow
