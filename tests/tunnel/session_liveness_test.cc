// Silence, death, restart, new keys.
#include <gtest/gtest.h>

#include "tests/tunnel/session_harness.h"

namespace wow {
namespace {

class SessionLiveness : public testing::Test {
 protected:
  // Says something each 20 ms.
  void talk_for(Duration span) {
    for (Duration t{}; t < span; t += 20ms) {
      const std::string text = std::to_string(said_++);
      if (a.host.is_up()) a.say(b, "a" + text);
      if (b.host.is_up()) b.say(a, "b" + text);
      net.run_for(20ms);
    }
  }
  // How long until `party` has noticed that its peer is dead.
  Duration until_dead(Party &party, Duration limit) {
    const TimePoint from = net.world.now();
    net.run_until([&] { return !party.closed.empty(); }, limit);
    return net.world.now() - from;
  }

  Net net;
  Party &a = net.add(), &b = net.add();
  int said_ = 0;
};

TEST_F(SessionLiveness, AnIdlePeersDeathIsNoticedInFiveSeconds) {
  for (int phase = 0; phase < 10; ++phase) {
    Net net(static_cast<std::uint64_t>(phase));
    Party &a = net.add(), &b = net.add();
    a.dial(b);
    net.run_for(1s);
    a.sessions().set_keepalive(*a.session(b), 3500ms);
    net.run_for(10s + phase * 350ms);
    b.kill();
    const TimePoint from = net.world.now();
    net.run_until([&] { return !a.closed.empty(); }, 20s);
    ASSERT_FALSE(a.closed.empty());
    EXPECT_EQ(a.closed[0].reason, CloseReason::kDead);
    EXPECT_LE(net.world.now() - from, 5100ms);
  }
}

// Whoever sends nothing more until his timer ends need not wait for that.
TEST_F(SessionLiveness, WhatIsSentToASilentPeerArrivesOnceWhenThatIsBack) {
  for (const Duration outage : {600ms, 1000ms}) {
    Net net;
    Party &a = net.add(), &b = net.add();
    a.dial(b);
    net.run_for(1s);
    a.sessions().add_path(*a.session(b), Path::routed());
    a.send_frame(b, "before");
    net.run_for(1s);
    net.world.set_blocked([](auto &, auto &) { return true; });
    net.ring_up = false;
    a.send_frame(b, "first");
    net.run_for(outage - 100ms);
    a.send_frame(b, "second");
    net.run_for(100ms);
    net.world.set_blocked(nullptr);
    net.ring_up = true;
    b.say(a, "heard before its path is proven again");
    EXPECT_TRUE(net.run_until([&] { return b.frames.size() == 2; }, 200ms)) << "of 3 s";
    net.run_for(2s);
    EXPECT_EQ(b.frames, (std::vector<std::string>{"before", "second"}));
    EXPECT_EQ(a.count(Metric::kSentAgain), 1u);
    a.send_frame(b, "after");
    net.run_for(1s);
    EXPECT_EQ(a.count(Metric::kSentAgain), 1u);
  }
}

// It never says anything but answers to challenges.
TEST_F(SessionLiveness, ToAPeerThatOnlyListensNothingIsSentTwice) {
  a.dial(b);
  net.run_for(1s);
  for (int i = 0; i < 500; ++i) {
    a.send_frame(b, std::to_string(i));
    net.run_for(10ms);
  }
  EXPECT_EQ(b.frames.size(), 500u);
  EXPECT_EQ(a.count(Metric::kSentAgain), 0u);
}

TEST_F(SessionLiveness, UnderTrafficDeathIsNoticedInOneAndAHalf) {
  a.dial(b);
  talk_for(3s);
  b.kill();
  const TimePoint from = net.world.now();
  while (a.closed.empty() && net.world.now() - from < 5s) talk_for(20ms);
  ASSERT_FALSE(a.closed.empty());
  EXPECT_EQ(a.closed[0].reason, CloseReason::kDead);
  EXPECT_LE(net.world.now() - from, 1500ms);
}

// Both get a turn of 20 ms every 420, as on a machine with too much to do.
TEST_F(SessionLiveness, WhoIsKeptFromWorkingDoesNotJudge) {
  a.dial(b);
  talk_for(3s);
  for (int turn = 0; turn < 200; ++turn) {
    net.world.pause(a.host, 400ms, PausedClock::kRuns);
    net.run_for(200ms);
    net.world.pause(b.host, 400ms, PausedClock::kRuns);
    net.run_for(200ms);
    talk_for(20ms);
  }
  EXPECT_TRUE(a.closed.empty());
  EXPECT_TRUE(b.closed.empty());
  b.kill();
  for (int turn = 0; turn < 40 && a.closed.empty(); ++turn) {
    net.world.pause(a.host, 400ms, PausedClock::kRuns);
    net.run_for(400ms);
    talk_for(20ms);
  }
  EXPECT_FALSE(a.closed.empty()) << "but the dead are found";
}

TEST_F(SessionLiveness, TheFirstMessageAfterLongSilenceFindsADeadPeer) {
  a.dial(b);
  net.run_for(10min);
  b.kill();
  a.say(b, "anybody?");
  EXPECT_LE(until_dead(a, 10s), 1500ms);
}

TEST_F(SessionLiveness, WithTheRingAsWellDeathTakesLittleLonger) {
  a.dial(b);
  net.run_for(1s);
  a.sessions().add_path(*a.session(b), Path::routed());
  a.sessions().set_keepalive(*a.session(b), 3500ms);
  net.run_for(10s);
  b.kill();
  EXPECT_LE(until_dead(a, 20s), 8s);
}

TEST_F(SessionLiveness, FivePercentLossKillsNobody) {
  net.world.set_link(Link{10ms, 5ms, 0.05});
  a.dial(b);
  net.run_for(3s);
  ASSERT_TRUE(a.is_open(b) && b.is_open(a));
  a.sessions().set_keepalive(*a.session(b), 3500ms);
  net.run_for(2h);
  EXPECT_TRUE(a.closed.empty() && b.closed.empty());
}

TEST_F(SessionLiveness, AnIdleSessionIsNearlySilent) {
  a.dial(b);
  net.run_for(1s);
  a.sessions().set_keepalive(*a.session(b), 3500ms);
  b.sessions().set_keepalive(*b.session(a), 4500ms);  // as the ring has it
  const std::size_t packets = a.packets_sent + b.packets_sent;
  const std::size_t bytes = a.bytes_sent + b.bytes_sent;
  net.run_for(350s);
  EXPECT_LE(a.packets_sent + b.packets_sent - packets, 205u) << "a challenge and its answer";
  EXPECT_LE(a.bytes_sent + b.bytes_sent - bytes, 205u * 50);
}

TEST_F(SessionLiveness, WithoutKeepaliveADirectSessionIsSilent) {
  a.dial(b);
  net.run_for(5s);
  const std::size_t packets = a.packets_sent + b.packets_sent;
  net.run_for(50min);
  EXPECT_EQ(a.packets_sent + b.packets_sent, packets);
  EXPECT_TRUE(a.is_open(b) && b.is_open(a));
}

TEST_F(SessionLiveness, WhatWantsNoAnswerIsNotAskedAfter) {
  a.dial(b);
  net.run_for(5s);
  const auto sent = [&] { return a.packets_sent + b.packets_sent; };
  const std::size_t before = sent();
  a.sessions().send(b.address(), DataKind::kControl, Bytes(3), 0, Answer::kNone);
  net.run_for(10s);
  EXPECT_EQ(sent() - before, 1u);
  a.sessions().send(b.address(), DataKind::kControl, Bytes(3));
  net.run_for(10s);
  EXPECT_EQ(sent() - before, 4u) << "the message, a challenge and its answer";
}

TEST_F(SessionLiveness, TrafficThatFlowsInNeedsNoProbe) {
  a.dial(b);
  net.run_for(1s);
  a.sessions().set_keepalive(*a.session(b), 1s);
  int path_messages = 0;
  a.filter = [&](ByteView packet, const Endpoint &) {
    path_messages += packet.size() == DataHeader::kBytes + 1 + 10 + kAeadTagBytes;
    return true;
  };
  for (int i = 0; i < 100; ++i) {
    b.say(a, "a longer message " + std::to_string(i));
    net.run_for(100ms);
  }
  EXPECT_EQ(path_messages, 0);
}

TEST_F(SessionLiveness, AnIdleRoutedSessionIsClosedAndThePeerTold) {
  a.dial_routed(b);
  net.run_for(119s);
  EXPECT_TRUE(a.is_open(b) && b.is_open(a));
  net.run_for(3s);
  ASSERT_EQ(a.closed.size() + b.closed.size(), 2u);
  EXPECT_EQ(a.closed[0].reason, CloseReason::kIdle);
}

TEST_F(SessionLiveness, AKeepaliveAtEitherEndKeepsARoutedSession) {
  a.dial_routed(b);
  net.run_for(1s);
  b.sessions().set_keepalive(*b.session(a), 25s);
  net.run_for(10min);
  EXPECT_TRUE(a.is_open(b) && b.is_open(a));
}

TEST_F(SessionLiveness, AFarewellIsBelievedAtOnce) {
  a.dial(b);
  net.run_for(1s);
  a.sessions().close(b.address(), CloseReason::kLocal);
  net.run_for(11ms);
  ASSERT_EQ(b.closed.size(), 1u);
  EXPECT_EQ(b.closed[0].reason, CloseReason::kPeerClosed);
  EXPECT_EQ(a.sessions().size() + b.sessions().size(), 0u);
}

TEST_F(SessionLiveness, AKilledAndRestartedPeerIsDialledAnewWithinASecond) {
  a.dial(b);
  talk_for(2s);
  b.kill();
  net.run_for(300ms);
  b.start();
  a.opened.clear();
  const TimePoint from = net.world.now();
  while (!b.is_open(a) && net.world.now() - from < 5s) talk_for(20ms);
  EXPECT_LE(net.world.now() - from, 1s);
  EXPECT_EQ(a.opened, std::vector{b.address()});
  EXPECT_TRUE(a.closed.empty()) << "replaced, not ended";
  b.heard.clear();
  a.heard.clear();
  talk_for(1s);
  net.run_for(100ms);
  EXPECT_EQ(b.heard.size(), 50u);
  EXPECT_EQ(a.heard.size(), 50u);
}

TEST_F(SessionLiveness, ARestartedPeerThatDialsReplacesItsOldSession) {
  a.dial(b);
  net.run_for(10s);
  for (const bool same_place : {true, false}) {
    b.kill();
    if (!same_place) net.world.move(b.host, "203.0.113.9");
    b.start();
    a.opened.clear();
    b.dial(a);
    net.run_for(1s);
    EXPECT_EQ(a.opened, std::vector{b.address()});
    a.heard.clear();
    b.heard.clear();
    a.say(b, "to b");
    b.say(a, "to a");
    net.run_for(1s);
    EXPECT_EQ(a.heard.size() + b.heard.size(), 2u);
    net.run_for(20s);
    EXPECT_TRUE(a.is_direct(b) && b.is_direct(a));
    EXPECT_EQ(a.sessions().size(), 1u);
  }
}

TEST_F(SessionLiveness, TheFarewellOfAnEarlierLifeIsTooLate) {
  a.dial(b);
  net.run_for(1s);
  Bytes farewell;
  b.filter = [&](ByteView packet, const Endpoint &) {
    farewell = to_bytes(packet);
    return false;
  };
  b.sessions().close(a.address(), CloseReason::kLocal);
  b.filter = {};
  b.kill();
  b.start();
  b.dial(a);
  net.run_for(1s);
  a.sessions().on_datagram(farewell, b.endpoint());
  net.run_for(1s);
  EXPECT_TRUE(a.is_open(b) && b.is_open(a));
}

TEST_F(SessionLiveness, NewKeysEveryHourLoseNothing) {
  net.world.set_link(Link{10ms, 30ms});
  a.dial(b);
  net.run_for(1s);
  const auto first_keys = a.session(b)->keys();
  for (int hour = 0; hour < 3; ++hour) {
    net.run_for(1h - 20s);
    const auto before = a.session(b)->keys();
    talk_for(20s);
    EXPECT_TRUE(a.session(b)->keys() != before) << hour;
  }
  net.run_for(1s);
  EXPECT_EQ(a.heard_set.size() + b.heard_set.size(), 2u * static_cast<unsigned>(said_));
  EXPECT_EQ(a.opened.size() + b.opened.size(), 2u) << "a rekey opens nothing";
  EXPECT_GE(a.path_changes, 3);
  EXPECT_EQ(a.count(Metric::kHandshakesStarted), 4u) << "who began the first begins the others";
  EXPECT_EQ(b.count(Metric::kHandshakesStarted), 0u);
  EXPECT_TRUE(a.session(b)->keys() != first_keys);
  EXPECT_EQ(FakeCredentials::exchanges_alive(), 0);
}

TEST_F(SessionLiveness, ARekeyThatFailsEndsNothing) {
  a.dial(b);
  net.run_for(1h - 10s);
  a.filter = [](ByteView packet, const Endpoint &) {
    return packet_type(packet) != PacketType::kHandshake;
  };
  talk_for(60s);
  EXPECT_TRUE(a.is_open(b) && b.is_open(a));
  EXPECT_TRUE(a.closed.empty() && b.closed.empty());
  a.filter = {};
  talk_for(90s);
  EXPECT_EQ(b.count(Metric::kHandshakesDone), 2u) << "tried again a minute later";
  net.run_for(1s);
  EXPECT_EQ(a.heard_set.size() + b.heard_set.size(), 2u * static_cast<unsigned>(said_));
}

TEST_F(SessionLiveness, ARekeyLosesNothingWhenItsFlightsAreLost) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Net lossy(seed);
    Party &x = lossy.add(), &y = lossy.add();
    x.dial(y);
    lossy.run_for(1h - 1s);
    SeededRandom random(seed);
    x.filter = y.filter = [&](ByteView packet, const Endpoint &) {
      return packet_type(packet) != PacketType::kHandshake || random.below(2) == 0;
    };
    unsigned said = 0;
    for (; said < 1500; ++said) {
      x.say(y, std::to_string(said));
      y.say(x, std::to_string(said));
      lossy.run_for(10ms);
    }
    lossy.run_for(1s);
    EXPECT_EQ(x.heard_set.size() + y.heard_set.size(), 2u * said) << seed;
  }
}

TEST_F(SessionLiveness, OldKeysOpenTenSecondsLonger) {
  a.dial(b);
  net.run_for(1s);
  Bytes late;
  b.filter = [&](ByteView packet, const Endpoint &) {
    late = to_bytes(packet);
    return false;
  };
  b.say(a, "late");
  b.filter = {};
  net.run_for(1h);
  Bytes copy = late;
  a.sessions().on_datagram(copy, b.endpoint());
  EXPECT_EQ(a.heard.size(), 1u);
  net.run_for(15s);
  const auto unknown = a.count(Metric::kDropUnknownIndex);
  a.sessions().on_datagram(late, b.endpoint());
  EXPECT_EQ(a.count(Metric::kDropUnknownIndex), unknown + 1);
}

}  // namespace
}  // namespace wow
