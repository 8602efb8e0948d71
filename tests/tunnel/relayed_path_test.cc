// Two nodes that cannot exchange packets, and relays between them.
//
//   a --- r --- b      a --- r --- s --- b
#include <gtest/gtest.h>

#include "tests/tunnel/session_harness.h"
#include "tunnel/path_mtu.h"

namespace wow {
namespace {

class RelayedPath : public testing::Test {
 protected:
  RelayedPath() {
    net_.world.set_blocked([this](const SimHost& from, const SimHost& to) {
      if (cut_) return true;
      const std::pair<std::uint32_t, std::uint32_t> ends = std::minmax(from.id(), to.id());
      if (blocked_ != nullptr && (&from == &blocked_->host || &to == &blocked_->host))
        return &from == &b_.host || &to == &b_.host;
      return ends.first == a_.host.id() && ends.second == b_.host.id() && !healed_;
    });
    for (Party* end : {&a_, &b_}) end->dial(r_);
    net_.run_for(1s);
  }
  void join_by_one() {
    ASSERT_TRUE(a_.sessions().circuits().add_end(11, r_.address(), b_.address(), now()));
    ASSERT_TRUE(r_.sessions().circuits().add_passed_on(11, a_.address(), 12, b_.address(), now()));
    ASSERT_TRUE(b_.sessions().circuits().add_end(12, r_.address(), a_.address(), now()));
  }
  TimePoint now() { return net_.world.now(); }
  bool relayed(Party& x, Party& y) { return x.session(y) != nullptr && x.session(y)->is_relayed(); }
  void open_relayed() {
    join_by_one();
    a_.sessions().dial(b_.address(), Path::relayed(r_.address(), 11));
    net_.run_for(500ms);
    ASSERT_TRUE(relayed(a_, b_) && relayed(b_, a_));
  }
  // A datagram from `from` to `to` with this circuit number and something that looks sealed.
  void forge(Party& from, Party& to, std::uint32_t circuit, std::uint8_t hops = 0) {
    Bytes packet(RelayHeader::kBytes + 60);
    RelayHeader{hops, circuit}.write(packet.data());
    DataHeader{}.write(packet.data() + RelayHeader::kBytes);
    const Datagram datagram{to.endpoint(), packet, {}, 0};
    from.host.send({&datagram, 1});
  }

  bool cut_ = false, healed_ = false;
  Party* blocked_ = nullptr;  // from b as well
  Net net_;
  Party &a_ = net_.add(), &b_ = net_.add(), &r_ = net_.add(), &s_ = net_.add();
};

TEST_F(RelayedPath, ASessionIsMadeAndUsedThroughARelay) {
  open_relayed();
  EXPECT_FALSE(a_.is_direct(b_));
  EXPECT_EQ(a_.session(b_)->path().path, Path::relayed(r_.address(), 11));
  EXPECT_EQ(b_.session(a_)->path().path, Path::relayed(r_.address(), 12));
  EXPECT_GE(a_.session(b_)->path().round_trip, 40ms);
  a_.say(b_, "hello");
  b_.say(a_, "good day");
  net_.run_for(50ms);
  EXPECT_EQ(b_.heard, std::vector<std::string>{"hello"});
  EXPECT_EQ(a_.heard, std::vector<std::string>{"good day"});
  EXPECT_TRUE(r_.heard.empty());
  EXPECT_EQ(r_.session(a_)->path().path, a_.path());
}

TEST_F(RelayedPath, ItComesBeforeTheRingAndAfterADirectPath) {
  a_.dial_routed(b_);
  net_.run_for(500ms);
  ASSERT_TRUE(a_.is_open(b_));
  join_by_one();
  for (auto [x, y] : {std::pair(&a_, &b_), std::pair(&b_, &a_)})
    x->sessions().add_path(*x->session(*y), Path::routed());
  a_.sessions().dial(b_.address(), Path::relayed(r_.address(), 11));
  net_.run_for(41ms);
  EXPECT_TRUE(relayed(a_, b_)) << "one challenge proves it to both ends";
  net_.run_for(20ms);
  EXPECT_TRUE(relayed(b_, a_));
  healed_ = true;
  a_.sessions().probe(*a_.session(b_), b_.endpoint());
  net_.run_for(100ms);
  EXPECT_TRUE(a_.is_direct(b_) && b_.is_direct(a_)) << "upgraded in place";
  EXPECT_EQ(a_.opened.size(), 2u) << "r and b, once each";
}

TEST_F(RelayedPath, ThroughTwoRelays) {
  r_.dial(s_);
  b_.dial(s_);
  net_.run_for(1s);
  a_.sessions().circuits().add_end(1, r_.address(), b_.address(), now());
  r_.sessions().circuits().add_passed_on(1, a_.address(), 2, s_.address(), now());
  s_.sessions().circuits().add_passed_on(2, r_.address(), 3, b_.address(), now());
  b_.sessions().circuits().add_end(3, s_.address(), a_.address(), now());
  a_.sessions().dial(b_.address(), Path::relayed(r_.address(), 1));
  net_.run_for(500ms);
  EXPECT_TRUE(relayed(a_, b_) && relayed(b_, a_));
}

TEST_F(RelayedPath, AThirdRelayPassesNothingOn) {
  r_.dial(s_);
  b_.dial(s_);
  net_.run_for(1s);
  s_.sessions().circuits().add_passed_on(2, r_.address(), 3, b_.address(), now());
  b_.sessions().circuits().add_end(3, s_.address(), a_.address(), now());
  forge(r_, s_, 2, 1);
  net_.run_for(100ms);
  EXPECT_EQ(s_.count(Metric::kCircuitForwarded), 1u);
  forge(r_, s_, 2, 2);
  net_.run_for(100ms);
  EXPECT_EQ(s_.count(Metric::kCircuitForwarded), 1u);
  EXPECT_EQ(s_.count(Metric::kDropHopLimit), 1u);
}

TEST_F(RelayedPath, ACircleOfCircuitsEndsAfterTwoRelays) {
  for (auto [x, y] : {std::pair(&r_, &s_), std::pair(&b_, &s_), std::pair(&r_, &b_)}) x->dial(*y);
  net_.run_for(1s);
  r_.sessions().circuits().add_passed_on(21, b_.address(), 22, s_.address(), now());
  s_.sessions().circuits().add_passed_on(22, r_.address(), 23, b_.address(), now());
  b_.sessions().circuits().add_passed_on(23, s_.address(), 21, r_.address(), now());
  forge(b_, r_, 21);
  net_.run_for(1s);
  EXPECT_EQ(r_.count(Metric::kCircuitForwarded), 1u);
  EXPECT_EQ(s_.count(Metric::kCircuitForwarded), 1u);
  EXPECT_EQ(b_.count(Metric::kCircuitForwarded), 0u);
  EXPECT_EQ(b_.count(Metric::kDropHopLimit), 1u);
}

TEST_F(RelayedPath, ADeadRelayGivesWayToTheRingUnderTraffic) {
  open_relayed();
  for (auto [x, y] : {std::pair(&a_, &b_), std::pair(&b_, &a_)})
    x->sessions().add_path(*x->session(*y), Path::routed());
  r_.kill();
  int said = 0;
  EXPECT_TRUE(net_.run_until(
      [&] {
        a_.say(b_, std::to_string(++said));
        b_.say(a_, std::to_string(said));
        return !relayed(a_, b_) && !relayed(b_, a_);
      },
      1500ms));
  const std::size_t heard = b_.heard.size();
  a_.say(b_, "by the ring");
  net_.run_for(100ms);
  EXPECT_GT(b_.heard.size(), heard);
}

TEST_F(RelayedPath, WhatItsRelayDoubtsIsLeftAtOnceAndTakenAgainWhenItAnswers) {
  open_relayed();
  a_.sessions().add_path(*a_.session(b_), Path::routed());
  const int changes = a_.path_changes;
  a_.sessions().doubt_relayed_path(*a_.session(b_), Path::relayed(r_.address(), 11));
  EXPECT_FALSE(relayed(a_, b_));
  EXPECT_EQ(a_.session(b_)->path().path, Path::routed());
  EXPECT_EQ(a_.path_changes, changes + 1);
  net_.run_for(1s);
  EXPECT_TRUE(relayed(a_, b_));
  a_.sessions().drop_path(*a_.session(b_), Path::relayed(r_.address(), 11));
  EXPECT_FALSE(relayed(a_, b_));
  EXPECT_EQ(a_.session(b_)->paths().size(), 1u);
}

TEST_F(RelayedPath, NothingIsPassedOnFromElsewhereOrWithoutACircuit) {
  open_relayed();
  const auto forwarded = r_.count(Metric::kCircuitForwarded);
  s_.dial(r_);
  net_.run_for(500ms);
  const std::size_t sent = r_.packets_sent;
  forge(s_, r_, 11);  // a's number, from another member
  forge(s_, r_, 12);
  forge(a_, r_, 12);  // b's number, from the other end
  forge(a_, r_, 13);  // nobody's
  net_.run_for(300ms);
  EXPECT_EQ(r_.count(Metric::kCircuitForwarded), forwarded);
  EXPECT_EQ(r_.count(Metric::kDropCircuit), 4u);
  EXPECT_EQ(r_.packets_sent, sent) << "and never an answer";
}

TEST_F(RelayedPath, ACircuitNeverRunsInsideTheRing) {
  open_relayed();
  // r and b lose their direct path, and reach each other along the ring only.
  r_.sessions().add_path(*r_.session(b_), Path::routed());
  r_.sessions().suspect_direct_paths(*r_.session(b_));
  ASSERT_FALSE(r_.is_direct(b_));
  const auto forwarded = r_.count(Metric::kCircuitForwarded);
  const auto ring_before = net_.ring_bytes_max;
  a_.say(b_, "lost");
  net_.run_for(11ms);
  EXPECT_EQ(r_.count(Metric::kCircuitForwarded), forwarded);
  EXPECT_EQ(r_.count(Metric::kDropNoRoute), 1u);
  EXPECT_EQ(net_.ring_bytes_max, ring_before);
}

TEST_F(RelayedPath, AFloodIsPassedOnAtTheRateOfItsCircuitAndNotAnswered) {
  open_relayed();
  const auto forwarded = r_.count(Metric::kCircuitForwarded);
  const std::size_t sent = r_.packets_sent;
  for (int i = 0; i < 20'000; ++i) forge(a_, r_, 11);
  net_.run_for(11ms);
  EXPECT_LE(r_.count(Metric::kCircuitForwarded) - forwarded, CircuitLeg::kPacketsPerSecond);
  EXPECT_GT(r_.count(Metric::kDropRateLimited), 10'000u);
  EXPECT_LE(r_.packets_sent - sent, CircuitLeg::kPacketsPerSecond + 10);
}

// The narrow link is the relay's, which passes on without reading: so it is the ends that ask.
TEST_F(RelayedPath, WhatItsNarrowestLegCarriesIsFound) {
  constexpr std::size_t kNarrow = 1300;
  net_.world.set_link([this](const SimHost& from, const SimHost& to) {
    Link link{20ms};
    const bool narrow = &from == &b_.host || &to == &b_.host;
    link.payload_max = narrow ? kNarrow : 1472;
    link.drops_fragments = true;
    return link;
  });
  SessionLimits limits;
  limits.datagram_wanted = 1427;
  Party& c = net_.add({}, limits);
  c.dial(r_);
  net_.run_for(1s);
  blocked_ = &c;
  ASSERT_TRUE(c.sessions().circuits().add_end(31, r_.address(), b_.address(), now()));
  ASSERT_TRUE(r_.sessions().circuits().add_passed_on(31, c.address(), 32, b_.address(), now()));
  ASSERT_TRUE(b_.sessions().circuits().add_end(32, r_.address(), c.address(), now()));
  c.sessions().dial(b_.address(), Path::relayed(r_.address(), 31));
  net_.run_for(1s);
  ASSERT_TRUE(relayed(c, b_));
  const Bytes frame(100);
  for (Duration t{}; t < 3s; t += 20ms) {
    c.sessions().send(b_.address(), DataKind::kFrame, frame);
    net_.run_for(20ms);
  }
  const std::size_t found = c.session(b_)->datagram_max();
  EXPECT_LE(found + RelayHeader::kBytes, kNarrow);
  EXPECT_GT(found + RelayHeader::kBytes + PathMtu::kGranule, kNarrow);
  EXPECT_TRUE(relayed(c, b_)) << "a padded check that is lost says nothing of the path";
}

TEST_F(RelayedPath, RelayPacketsInsideRelayPacketsAreGarbage) {
  open_relayed();
  Bytes packet(2 * RelayHeader::kBytes + 60);
  RelayHeader{0, 11}.write(packet.data());
  RelayHeader{0, 12}.write(packet.data() + RelayHeader::kBytes);
  const Datagram datagram{r_.endpoint(), packet, {}, 0};
  a_.host.send({&datagram, 1});
  net_.run_for(20ms);
  EXPECT_EQ(r_.count(Metric::kDropGarbage), 1u);
}

}  // namespace
}  // namespace wow
