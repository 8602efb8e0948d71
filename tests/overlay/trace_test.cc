// The way along the ring, asked hop by hop: who answers, why it goes there, and what it may cost.
#include "overlay/hop_reason.h"
#include "overlay/limits.h"
#include "proto/headers.h"
#include "tests/overlay/hostile_member.h"
#include "tests/overlay/pool_fixture.h"
#include "tools/sim/ring_checker.h"

namespace wow {
namespace {

class TraceTest : public PoolTest {
 protected:
  void SetUp() override {
    add_many(30);
    ASSERT_TRUE(becomes_whole(4s));
    world_.run_for(20s);
  }
  std::vector<TraceStep> trace(SimNode& from, const Address& to, Duration limit = 20s) {
    std::optional<std::vector<TraceStep>> out;
    from->trace(to, [&](std::vector<TraceStep> steps) { out = std::move(steps); });
    EXPECT_FALSE(out) << "not from inside the call";
    EXPECT_TRUE(becomes([&] { return out.has_value(); }, limit));
    return out.value_or(std::vector<TraceStep>());
  }
  // Two members without a session, as far apart as there are.
  std::pair<SimNode*, SimNode*> strangers() {
    for (SimNode* a : pool_.ring()) {
      for (SimNode* b : pool_.ring()) {
        if (a != b && (*a)->session(b->address()) == nullptr &&
            walk(pool_, *a, b->address()).hops > 1)
          return {a, b};
      }
    }
    return {};
  }
};

TEST_F(TraceTest, EachHopAnswersAndTellsWhyTheNext) {
  const auto [a, b] = strangers();
  ASSERT_NE(a, nullptr);
  const auto steps = trace(*a, b->address());
  ASSERT_EQ(steps.size(), static_cast<std::size_t>(walk(pool_, *a, b->address()).hops));
  EXPECT_EQ(steps.back().node, b->address());
  EXPECT_TRUE(steps.back().reason == HopReason::kPeer) << to_string(steps.back().reason);
  Address last = a->address();
  for (const TraceStep& step : steps) {
    EXPECT_NE(pool_.find(step.node), nullptr);
    EXPECT_TRUE((*pool_.find(last))->session(step.node) != nullptr) << "hop by hop over edges";
    EXPECT_NE(step.reason, HopReason::kNone);
    EXPECT_GE(step.round_trip, 20ms);
    EXPECT_LT(step.round_trip, 1s);
    last = step.node;
  }
  EXPECT_EQ((*a)->session(b->address()), nullptr) << "asking is not linking";
  EXPECT_EQ((*b)->session(a->address()), nullptr);
}

TEST_F(TraceTest, ANeighbourIsOneHopAway) {
  SimNode& a = *pool_.ring()[3];
  SimNode& b = *pool_.ring()[4];
  const auto steps = trace(a, b.address());
  ASSERT_EQ(steps.size(), 1u);
  EXPECT_EQ(steps[0].node, b.address());
  EXPECT_EQ(steps[0].reason, HopReason::kPeer);
}

TEST_F(TraceTest, ItGoesAroundWhoHasVanished) {
  const auto [a, b] = strangers();
  ASSERT_NE(a, nullptr);
  const auto steps = trace(*a, b->address());
  ASSERT_GT(steps.size(), 1u);
  SimNode& mute = *pool_.find(steps[0].node);
  mute.host.set_receiver([&mute](MutableBytes, const Endpoint&) {});
  const auto again = trace(*a, b->address(), 60s);
  ASSERT_FALSE(again.empty());
  EXPECT_EQ(again.back().node, b->address());
  for (const TraceStep& step : again)
    EXPECT_NE(step.round_trip == Duration() ? Address() : step.node, mute.address());
}

TEST_F(TraceTest, NobodyAtTheAddress) {
  const auto steps = trace(pool_[2], FakeCredentials::address_of(777'777), 60s);
  for (const TraceStep& step : steps) EXPECT_NE(step.reason, HopReason::kPeer);
  EXPECT_LE(steps.size(), RoutedHeader::kHopLimit);
}

TEST_F(TraceTest, OnlySoManyAtOnce) {
  std::size_t answered = 0, empty = 0;
  for (std::size_t i = 0; i < ring::kTracesMax + 3; ++i) {
    pool_[1]->trace(pool_[20].address(), [&](const std::vector<TraceStep>& steps) {
      ++answered;
      empty += steps.empty() ? 1 : 0;
    });
  }
  EXPECT_TRUE(becomes([&] { return answered == ring::kTracesMax + 3; }, 30s));
  EXPECT_EQ(empty, 3u);
}

// One packet out for one in, and never more bytes: what a question costs who asks.
TEST_F(TraceTest, AnAnswerIsNoLongerThanItsQuestionAndNotGivenToAFlood) {
  SimNode& from = *pool_.ring()[3];
  SimNode& at = *pool_.ring()[4];
  world_.run_for(5s);
  const auto sent = [&] { return at.host.counters(); };
  const SimCounters before = sent();
  const SimCounters asked_before = from.host.counters();
  trace(from, at.address());
  const auto out = sent().bytes_out - before.bytes_out;
  const auto in = from.host.counters().bytes_out - asked_before.bytes_out;
  EXPECT_LT(out, 2 * in) << "with all that both say besides";
  const auto dropped = at.metrics.total(Metric::kDropRateLimited);
  std::size_t ended = 0;
  for (int i = 0; i < 200; ++i) {
    from->trace(at.address(), [&](const std::vector<TraceStep>&) { ++ended; });
    world_.run_for(10ms);
  }
  world_.run_for(20s);
  EXPECT_EQ(ended, 200u);
  EXPECT_GT(at.metrics.total(Metric::kDropRateLimited), dropped);
}

TEST(HopReasons, AreOfTheHopChosen) {
  const Address self = Address::power_of_two(1), near = Address::power_of_two(3),
                target = Address::power_of_two(9);
  const std::vector<Address> knows = {target};
  const std::vector<Hop> hops = {{near, true, false, knows, 5ms}, {target, true, false, {}, 5ms}};
  const auto why = [&](Route route) { return why_this_hop(hops, target, route); };
  EXPECT_EQ(why({Route::Kind::kNowhere, {}, false}), HopReason::kNone);
  EXPECT_EQ(why({Route::Kind::kForward, target, false}), HopReason::kPeer);
  EXPECT_EQ(why({Route::Kind::kForward, near, false}), HopReason::kKnows);
  EXPECT_EQ(why({Route::Kind::kForward, near, true}), HopReason::kUphill);
  EXPECT_EQ(
      why_this_hop({{{near, true, false, {}, 5ms}}}, target, {Route::Kind::kForward, near, false}),
      HopReason::kQuickest);
  EXPECT_NE(self, near);
}

}  // namespace
}  // namespace wow
