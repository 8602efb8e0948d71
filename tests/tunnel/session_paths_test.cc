// One session, many paths: found, proven, preferred, left.
#include <gtest/gtest.h>

#include "tests/tunnel/session_harness.h"

namespace wow {
namespace {

// Two nodes that talk: each says one numbered message every 10 ms.
class Talk {
 public:
  Talk(Net &net, Party &a, Party &b) : net_(net), a_(a), b_(b) {}

  void run_for(Duration span) {
    for (Duration t{}; t < span; t += 10ms) {
      if (a_.host.is_up()) said_ += a_.say(b_, "a" + std::to_string(next_));
      if (b_.host.is_up()) said_ += b_.say(a_, "b" + std::to_string(next_));
      ++next_;
      net_.run_for(10ms);
    }
  }
  // Messages that did not arrive, of all said so far.
  int missing() {
    net_.run_for(1s);
    return said_ - static_cast<int>(a_.heard_set.size() + b_.heard_set.size());
  }
  bool repeated() const {
    return a_.heard.size() != a_.heard_set.size() || b_.heard.size() != b_.heard_set.size();
  }

 private:
  Net &net_;
  Party &a_, &b_;
  int next_ = 0, said_ = 0;
};

TEST(SessionPaths, RoutedThenDirectWithoutLosingAMessage) {
  Net net;
  Party &a = net.add(), &b = net.add();
  Talk talk(net, a, b);
  a.dial_routed(b);
  talk.run_for(300ms);
  EXPECT_FALSE(a.is_direct(b));
  a.sessions().probe(*a.session(b), b.endpoint());
  talk.run_for(300ms);
  EXPECT_TRUE(a.is_direct(b) && b.is_direct(a)) << "one exchange proves the path to both";
  EXPECT_EQ(talk.missing(), 0);
  EXPECT_FALSE(talk.repeated());
}

TEST(SessionPaths, OneProbeProvesThePathToBothEnds) {
  Net net;
  Party &a = net.add(), &b = net.add();
  a.dial_routed(b);
  net.run_for(1s);
  a.sessions().probe(*a.session(b), b.endpoint());
  net.run_for(21ms);
  EXPECT_TRUE(a.is_direct(b));
  net.run_for(10ms);
  EXPECT_TRUE(b.is_direct(a));
}

TEST(SessionPaths, ADeadDirectPathGivesWayToTheRingWithinASecondUnderTraffic) {
  Net net;
  Party &a = net.add(), &b = net.add();
  Talk talk(net, a, b);
  a.dial(b);
  talk.run_for(2s);
  for (auto [x, y] : {std::pair(&a, &b), std::pair(&b, &a)}) {
    x->sessions().add_path(*x->session(*y), Path::routed());
  }
  net.world.set_blocked([](const SimHost &, const SimHost &) { return true; });
  talk.run_for(1s);
  EXPECT_FALSE(a.is_direct(b) || b.is_direct(a));
  const auto heard = a.heard.size();
  talk.run_for(1s);
  EXPECT_GE(a.heard.size(), heard + 95);
  talk.run_for(2s);
  EXPECT_EQ(a.session(b)->paths().size(), 1u) << "the dead path is forgotten";
  EXPECT_TRUE(a.closed.empty() && b.closed.empty());
  net.world.set_blocked({});
  a.sessions().probe(*a.session(b), b.endpoint());
  talk.run_for(1s);
  EXPECT_TRUE(a.is_direct(b) && b.is_direct(a));
}

TEST(SessionPaths, AShortOutageIsSurvivedByTheRingAndThenUndone) {
  Net net;
  Party &a = net.add(), &b = net.add();
  Talk talk(net, a, b);
  a.dial(b);
  talk.run_for(2s);
  a.sessions().add_path(*a.session(b), Path::routed());
  b.sessions().add_path(*b.session(a), Path::routed());
  net.world.set_blocked([](const SimHost &, const SimHost &) { return true; });
  talk.run_for(1s);
  EXPECT_FALSE(a.is_direct(b));
  EXPECT_EQ(a.session(b)->paths().size(), 2u);
  net.world.set_blocked({});
  talk.run_for(200ms);
  EXPECT_TRUE(a.is_direct(b) && b.is_direct(a));
}

TEST(SessionPaths, OneLostProbeIsNoReasonToMove) {
  Net net;
  Party &a = net.add(), &b = net.add();
  a.dial(b);
  net.run_for(1s);
  a.sessions().add_path(*a.session(b), Path::routed());
  a.sessions().set_keepalive(*a.session(b), 1s);
  int probes = 0;
  a.filter = [&](ByteView, const Endpoint &) { return ++probes % 3 == 0; };
  const int changes = a.path_changes;
  net.run_for(60s);
  EXPECT_GE(probes, 60);
  EXPECT_EQ(a.path_changes, changes);
  EXPECT_TRUE(a.is_direct(b));
}

TEST(SessionPaths, ANewPortAfterARebindingIsFollowed) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Net net(seed);
    Site &nat = net.world.add_nat("203.0.113.1");
    Party &a = net.add_at("10.0.0.2", &nat), &b = net.add();
    Talk talk(net, a, b);
    a.dial(b);
    talk.run_for(2s);
    // The NAT restarts and gives another port.
    Site &again = net.world.add_nat("203.0.113.9");
    net.world.move(a.host, "10.0.0.2", &again);
    talk.run_for(1500ms);
    EXPECT_EQ(b.session(a)->path().path.endpoint.ip.text(), "203.0.113.9") << seed;
    const auto heard = a.heard.size();
    talk.run_for(1s);
    EXPECT_GE(a.heard.size(), heard + 95) << seed;
    EXPECT_TRUE(a.closed.empty() && b.closed.empty());
  }
}

TEST(SessionPaths, AnAnnouncedMoveCostsOneRoundTrip) {
  Net net;
  Party &a = net.add(), &b = net.add();
  Talk talk(net, a, b);
  a.dial(b);
  talk.run_for(2s);
  net.world.move(a.host, "203.0.113.7");
  a.sessions().suspect_direct_paths();
  const auto before = a.heard.size();
  talk.run_for(100ms);
  EXPECT_GE(a.heard.size(), before + 4) << "b follows at once";
  EXPECT_EQ(b.session(a)->path().path.endpoint.ip.text(), "203.0.113.7");
  EXPECT_TRUE(a.is_direct(b) && b.is_direct(a));
  talk.run_for(5s);
  EXPECT_EQ(b.session(a)->paths().size(), 1u) << "the old endpoint is forgotten";
}

TEST(SessionPaths, WhileDirectPathsAreSuspectTheRingCarriesTraffic) {
  Net net;
  Party &a = net.add(), &b = net.add();
  Talk talk(net, a, b);
  a.dial(b);
  talk.run_for(1s);
  a.sessions().add_path(*a.session(b), Path::routed());
  net.world.move(a.host, "203.0.113.7");
  net.world.set_blocked([](const SimHost &, const SimHost &) { return true; });
  a.sessions().suspect_direct_paths();
  EXPECT_FALSE(a.is_direct(b));
  const auto before = b.heard.size();
  talk.run_for(1s);
  EXPECT_GE(b.heard.size(), before + 90);
  net.world.set_blocked({});
  a.sessions().probe(*a.session(b), b.endpoint());
  talk.run_for(100ms);
  EXPECT_TRUE(a.is_direct(b)) << "and back";
}

TEST(SessionPaths, AReplayedPacketFromElsewhereMovesNothing) {
  Net net;
  Party &a = net.add(), &b = net.add(), &thief = net.add();
  Talk talk(net, a, b);
  a.dial(b);
  talk.run_for(1s);
  // The thief takes a packet off the wire and sends it first, from its own endpoint.
  int taken = 0;
  a.filter = [&](ByteView packet, const Endpoint &to) {
    if (++taken % 7 != 0) return true;
    const Datagram stolen{to, packet, {}, 0};
    thief.host.send({&stolen, 1});
    return false;
  };
  const std::size_t thief_in = thief.host.counters().bytes_in;
  talk.run_for(3s);
  EXPECT_EQ(b.session(a)->path().path, a.path());
  EXPECT_TRUE(b.is_direct(a));
  EXPECT_LE(thief.host.counters().bytes_in - thief_in, 3 * taken * 40u / 7);
  EXPECT_EQ(talk.missing(), 0);
}

TEST(SessionPaths, TheQuickerOfTwoWaysIsUsedByBothEnds) {
  Net net;
  Party &a = net.add(), &b = net.add();
  net.world.add_address(b.host, "203.0.113.2");
  a.dial_routed(b);
  net.run_for(1s);
  a.sessions().probe(*a.session(b), b.endpoint());
  a.sessions().probe(*a.session(b), {*IpAddress::parse("203.0.113.2"), 4433});
  Talk talk(net, a, b);
  talk.run_for(2s);
  EXPECT_TRUE(a.is_direct(b) && b.is_direct(a));
  EXPECT_EQ(talk.missing(), 0);
}

TEST(SessionPaths, ProbesToNowhereLeaveNothingBehind) {
  Net net;
  Party &a = net.add(), &b = net.add();
  a.dial(b);
  net.run_for(1s);
  for (int i = 0; i < 100; ++i) {
    a.sessions().probe(*a.session(b), {IpAddress::v4(0xcb007100u + i), 1000});
  }
  net.run_for(1s);
  EXPECT_EQ(a.session(b)->paths().size(), 1u);
  EXPECT_TRUE(a.is_direct(b));
}

TEST(SessionPaths, ThePeerTellsHowANatShowsUs) {
  Net net;
  Site &nat = net.world.add_nat("203.0.113.1");
  Party &a = net.add_at("10.0.0.2", &nat), &b = net.add();
  a.dial(b);
  net.run_for(1s);
  EXPECT_EQ(a.reflexive.at(0).ip.text(), "203.0.113.1");
  EXPECT_TRUE(b.is_direct(a));
}

}  // namespace
}  // namespace wow
