// A machine that was cloned as it ran: its clone has all keys, so its sessions get others.
#include <gtest/gtest.h>

#include "tests/tunnel/session_harness.h"

namespace wow {
namespace {

using namespace std::chrono_literals;

class SessionRenew : public testing::Test {
 protected:
  void open(std::initializer_list<Party*> peers) {
    for (Party* peer : peers) a.dial(*peer);
    for (Party* peer : peers) {
      ASSERT_TRUE(net.run_until([&] { return a.is_direct(*peer) && peer->is_direct(a); }));
    }
    net.run_for(1s);
  }
  static std::uint32_t index(Party& of, Party& with) {
    return of.session(with)->keys()->receive_index;
  }

  Net net;
  Party &a = net.add(), &b = net.add();
};

TEST_F(SessionRenew, EverySessionHasNewKeysARoundTripLaterAndNothingIsLost) {
  Party &c = net.add(), &d = net.add();
  open({&b, &c, &d});
  const std::vector<Party*> peers = {&b, &c, &d};
  std::vector<std::uint32_t> before;
  for (Party* peer : peers) {
    before.push_back(index(a, *peer));
    before.push_back(index(*peer, a));
  }
  a.sessions().renew_all();
  for (int i = 0; i < 200; ++i) {
    for (Party* peer : peers) {
      a.say(*peer, "to " + peer->address().hex() + std::to_string(i));
      peer->say(a, "from " + peer->address().hex() + std::to_string(i));
    }
    net.run_for(1ms);
    if (i < 50) continue;
    // 10 ms one way: three flights, and the first packet under the new keys.
    for (std::size_t k = 0; k < peers.size(); ++k) {
      EXPECT_NE(index(a, *peers[k]), before[2 * k]);
      EXPECT_NE(index(*peers[k], a), before[2 * k + 1]);
    }
  }
  net.run_for(1s);
  EXPECT_EQ(a.heard_set.size(), 600u);
  for (Party* peer : peers) {
    EXPECT_EQ(peer->heard_set.size(), 200u);
    EXPECT_EQ(peer->opened.size(), 2u) << "no continuation: a new life";
    EXPECT_TRUE(peer->closed.empty());
  }
  EXPECT_EQ(a.count(Metric::kHandshakesStarted), 6u) << "one exchange each, no more";
}

TEST_F(SessionRenew, TheOldKeysAreForgottenOnceThePeerHasTheNew) {
  open({&b});
  std::vector<Bytes> late;
  b.filter = [&](ByteView packet, const Endpoint&) {
    late.push_back(to_bytes(packet));
    return false;
  };
  b.say(a, "sealed before");
  b.filter = {};
  ASSERT_EQ(late.size(), 1u);
  a.sessions().renew_all();
  net.run_for(200ms);
  const auto unknown = a.count(Metric::kDropUnknownIndex);
  a.sessions().on_datagram(late.front(), b.endpoint());
  EXPECT_TRUE(a.heard.empty());
  EXPECT_EQ(a.count(Metric::kDropUnknownIndex), unknown + 1);
}

TEST_F(SessionRenew, UntilThenTheyServe) {
  open({&b});
  const auto flights = [](ByteView packet, const Endpoint&) {
    return packet_type(packet) != PacketType::kHandshake;
  };
  const std::uint32_t before = index(a, b);
  a.filter = flights;
  a.sessions().renew_all();
  for (int i = 0; i < 30; ++i) {
    a.say(b, "a" + std::to_string(i));
    b.say(a, "b" + std::to_string(i));
    net.run_for(100ms);
  }
  EXPECT_EQ(index(a, b), before);
  EXPECT_EQ(a.heard_set.size() + b.heard_set.size(), 60u);
  // An exchange is tried for 8 s; then another is begun.
  net.run_for(10s);
  a.filter = {};
  net.run_for(5s);
  EXPECT_NE(index(a, b), before);
  EXPECT_TRUE(a.is_direct(b) && b.is_direct(a));
  EXPECT_TRUE(a.closed.empty() && b.closed.empty());
}

TEST_F(SessionRenew, AnyWayThatLeadsThereWillDo) {
  open({&b});
  a.sessions().add_path(*a.session(b), Path::routed());
  std::uint32_t before = index(a, b);
  net.ring_up = false;
  a.sessions().suspect_direct_paths();
  ASSERT_EQ(a.session(b)->path().path, Path::routed());
  a.sessions().renew_all();
  net.run_for(1s);
  EXPECT_NE(index(a, b), before) << "not by the ring";

  before = index(a, b);
  net.ring_up = true;
  a.filter = [](ByteView, const Endpoint&) { return false; };
  a.sessions().renew_all();
  net.run_for(1s);
  EXPECT_NE(index(a, b), before) << "by the ring";
}

TEST_F(SessionRenew, OfMoreThanMayBeDialledAtOnceTheOthersFollow) {
  SessionLimits limits;
  limits.dials_max = 3;
  Party& hub = net.add({}, limits);
  std::vector<Party*> peers;
  for (int i = 0; i < 20; ++i) peers.push_back(&net.add());
  for (Party* peer : peers) peer->dial(hub);
  net.run_for(2s);
  std::vector<std::uint32_t> before;
  for (Party* peer : peers) {
    ASSERT_TRUE(hub.is_open(*peer));
    before.push_back(index(hub, *peer));
  }
  hub.sessions().renew_all();
  net.run_for(10s);
  for (std::size_t i = 0; i < peers.size(); ++i) {
    EXPECT_NE(index(hub, *peers[i]), before[i]) << i;
    EXPECT_TRUE(hub.is_direct(*peers[i])) << i;
  }
  EXPECT_EQ(hub.count(Metric::kHandshakesStarted), 20u);
}

TEST_F(SessionRenew, WhatIsUnderWayIsBegunAnew) {
  Party& c = net.add();
  a.dial(b);
  a.say(b, "hello");
  a.sessions().dial(Address(), c.path());
  net.run_for(5ms);  // first flights are in the air
  a.sessions().renew_all();
  EXPECT_EQ(a.count(Metric::kHandshakesStarted), 4u);
  net.run_for(7ms);
  b.sessions().renew_all();  // it has answered the first of them
  EXPECT_TRUE(net.run_until([&] { return a.is_direct(b) && b.is_direct(a) && a.is_direct(c); }));
  EXPECT_EQ(b.heard, std::vector<std::string>{"hello"});
  net.run_for(6s);  // what one end has forgotten runs out at the other
  EXPECT_EQ(FakeCredentials::exchanges_alive(), 0);
}

TEST_F(SessionRenew, BothEndsAtOnceAgree) {
  open({&b});
  const std::uint32_t at_a = index(a, b), at_b = index(b, a);
  a.sessions().renew_all();
  b.sessions().renew_all();
  net.run_for(3s);
  EXPECT_NE(index(a, b), at_a);
  EXPECT_NE(index(b, a), at_b);
  a.say(b, "to b");
  b.say(a, "to a");
  net.run_for(100ms);
  EXPECT_EQ(a.heard_set.count("to a") + b.heard_set.count("to b"), 2u);
  EXPECT_TRUE(a.is_direct(b) && b.is_direct(a));
}

}  // namespace
}  // namespace wow
