#include "overlay/router.h"

#include <gtest/gtest.h>

#include <deque>
#include <vector>

#include "base/random.h"

namespace wow {
namespace {

// A ring of 256 places: only the first byte counts.
Address at(int place) {
  Bytes bytes(Address::kBytes);
  bytes[0] = static_cast<std::uint8_t>(place);
  bytes[1] = 1;
  return Address::from_bytes(bytes);
}

Hop member(int place, std::vector<int> knows = {}) {
  static std::deque<std::vector<Address>> storage;  // a hop only refers to whom it knows
  std::vector<Address>& list = storage.emplace_back();
  for (const int k : knows) list.push_back(at(k));
  Hop hop{at(place), true, false, list, {}};
  return hop;
}

Hop slow(Hop hop, Duration round_trip) {
  hop.round_trip = round_trip;
  return hop;
}

Hop leaf(int place) { return {at(place), false, false, {}, {}}; }

RouteQuery query(int self, int destination, RouteMode mode = RouteMode::kExact) {
  RouteQuery q;
  q.self = at(self);
  q.destination = at(destination);
  q.source = at(200);
  q.came_from = at(199);
  q.mode = mode;
  return q;
}

std::string way(const Route& route) {
  switch (route.kind) {
    case Route::Kind::kDeliver:
      return "deliver";
    case Route::Kind::kNowhere:
      return "nowhere";
    case Route::Kind::kForward:
      break;
  }
  return (route.uphill ? "uphill " : "") + std::to_string(route.next.bytes()[0]);
}

TEST(Router, DeliversWhatIsForUs) { EXPECT_EQ(way(next_hop({}, query(10, 10))), "deliver"); }

TEST(Router, GoesToTheEdgeThatIsNearest) {
  const std::vector<Hop> hops = {member(20), member(40), member(90)};
  EXPECT_EQ(way(next_hop(hops, query(10, 50))), "40");
}

TEST(Router, GoesTheShorterWayRound) {
  const std::vector<Hop> hops = {member(100), member(250)};
  EXPECT_EQ(way(next_hop(hops, query(10, 245))), "250");
}

TEST(Router, PrefersWhoKnowsANodeThatIsNearerStill) {
  const std::vector<Hop> hops = {member(40, {42}), member(30, {48})};
  EXPECT_EQ(way(next_hop(hops, query(10, 50))), "30");
}

TEST(Router, OfTwoThatLeadAsFarTheQuickerWins) {
  const std::vector<Hop> hops = {slow(member(40), 200ms), slow(member(38), 20ms)};
  EXPECT_EQ(way(next_hop(hops, query(10, 50))), "38");
  const std::vector<Hop> adjacent = {slow(member(49, {50}), 200ms), slow(member(47, {50}), 20ms)};
  EXPECT_EQ(way(next_hop(adjacent, query(10, 50))), "47");
}

TEST(Router, AHopMoreCostsAsMuchTimeAsEdgesUsuallyDo) {
  // Neighbours at 2 and 3 show how dense the ring is: 98 is six hops of the usual 100 ms away.
  const std::vector<Hop> slow_but_there = {slow(member(2), 100ms), slow(member(3), 100ms),
                                           slow(member(96, {100}), 130ms), slow(member(5), 70ms)};
  EXPECT_EQ(way(next_hop(slow_but_there, query(1, 100))), "96");
}

TEST(Router, NoHopIsSoQuickThatItMayLeadAway) {
  const std::vector<Hop> hops = {slow(member(5), 1ms), slow(member(20), 1s)};
  EXPECT_EQ(way(next_hop(hops, query(10, 50))), "20");
  EXPECT_EQ(way(next_hop(std::vector{hops[0]}, query(10, 50, RouteMode::kNearest))), "deliver");
}

TEST(Router, APacketThatHasComeFarTakesTheLongestStep) {
  const std::vector<Hop> hops = {slow(member(11), 50ms), slow(member(12), 50ms),
                                 slow(member(40), 900ms), slow(member(35), 20ms)};
  auto q = query(10, 50);
  EXPECT_EQ(way(next_hop(hops, q)), "35");
  q.hurry = true;
  EXPECT_EQ(way(next_hop(hops, q)), "40");
}

TEST(Router, AnEdgeThatWasNotMeasuredCountsAsAnyOther) {
  const std::vector<Hop> hops = {slow(member(30), 100ms), member(40), slow(member(200), 100ms)};
  EXPECT_EQ(way(next_hop(hops, query(10, 50))), "40");
}

TEST(Router, AnEdgeToTheDestinationWinsEvenIfItIsALeaf) {
  const std::vector<Hop> hops = {member(49, {50}), leaf(50)};
  EXPECT_EQ(way(next_hop(hops, query(10, 50))), "50");
}

TEST(Router, LeavesForwardNothing) {
  const std::vector<Hop> hops = {leaf(49), member(30)};
  EXPECT_EQ(way(next_hop(hops, query(10, 50))), "30");
}

TEST(Router, NearestIsDeliveredWhereNoEdgeIsNearer) {
  const std::vector<Hop> hops = {member(10), member(70)};
  EXPECT_EQ(way(next_hop(hops, query(45, 50, RouteMode::kNearest))), "deliver");
  EXPECT_EQ(way(next_hop(hops, query(45, 65, RouteMode::kNearest))), "70");
}

TEST(Router, TheSourceIsNeverTheNearestToItself) {
  auto q = query(45, 50, RouteMode::kNearest);
  q.source = at(50);
  q.came_from = at(10);
  EXPECT_EQ(way(next_hop(std::vector<Hop>{leaf(50), member(10)}, q)), "deliver");
  // Nor does it draw the packet by being known to others.
  EXPECT_EQ(way(next_hop(std::vector<Hop>{member(47, {50}), member(48)}, q)), "48");
}

TEST(Router, ExactThatIsStuckTakesOneStepAwayButNeverTwo) {
  const std::vector<Hop> hops = {member(20), member(90)};
  auto q = query(45, 50);
  EXPECT_EQ(way(next_hop(hops, q)), "uphill 20");
  q.uphill_used = true;
  EXPECT_EQ(way(next_hop(hops, q)), "nowhere");
}

TEST(Router, NeverStraightBack) {
  auto q = query(45, 50);
  q.came_from = at(49);
  EXPECT_EQ(way(next_hop(std::vector<Hop>{member(49)}, q)), "nowhere");
}

// The destination has moved: our edge to it is broken, but a router far away still has one.
TEST(Router, GoesAroundABrokenEdgeByWhomTheDestinationNamed) {
  const std::vector<Hop> hops = {member(48), member(120), member(130)};
  auto q = query(45, 50);
  const std::vector<Address> knows = {at(130)};
  q.destination_knows = knows;
  EXPECT_EQ(way(next_hop(hops, q)), "uphill 130");
  q.uphill_used = true;
  EXPECT_EQ(way(next_hop(hops, q)), "48");
}

TEST(Router, GoesAroundABrokenEdgeByWhoNamesTheDestination) {
  const std::vector<Hop> hops = {member(20), member(120, {50})};
  EXPECT_EQ(way(next_hop(hops, query(45, 50))), "uphill 120");
}

TEST(Router, APacketOfOurSessionWithTheDestinationGoesAroundOurEdgeToIt) {
  auto q = query(45, 50);
  q.around = true;
  EXPECT_EQ(way(next_hop(std::vector<Hop>{member(50), member(20, {50})}, q)), "uphill 20");
  EXPECT_EQ(way(next_hop(std::vector<Hop>{member(50)}, q)), "nowhere");
}

// Every hop but the flagged one is strictly nearer, so a packet cannot go in circles, whatever
// nodes measure.
TEST(Router, OnRandomRingsEveryPacketArrivesWithinTheHopLimit) {
  std::vector<std::vector<Hop>> ring;  // each node knows its neighbours and one node across
  const int n = 64;
  SeededRandom random(7);
  for (int i = 0; i < n; ++i) {
    std::vector<Hop> hops;
    for (const int d : {1, 2, 3, n - 1, n - 2, n - 3, (i * 7) % n}) {
      const Duration round_trip = 1ms * random.below(300);
      if (d != 0) hops.push_back(slow(member((i + d) % n * 4), round_trip));
    }
    ring.push_back(hops);
  }
  for (int from = 0; from < n; ++from) {
    for (int to = 0; to < n; ++to) {
      auto q = query(from * 4, to * 4);
      q.came_from = {};
      int hops = 0;
      while (true) {
        const Route r = next_hop(ring[q.self.bytes()[0] / 4], q);
        if (r.kind == Route::Kind::kDeliver) break;
        ASSERT_EQ(r.kind, Route::Kind::kForward);
        ASSERT_FALSE(r.uphill);
        ASSERT_TRUE(nearer(r.next, q.self, q.destination));
        q.came_from = q.self;
        q.self = r.next;
        ASSERT_LE(++hops, RoutedHeader::kHopLimit);
      }
      EXPECT_EQ(q.self, at(to * 4));
    }
  }
}

}  // namespace
}  // namespace wow
