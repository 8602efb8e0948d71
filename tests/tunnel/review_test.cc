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

}  // namespace
}  // namespace wow
