// The quickest ways by one relay or two, over links that somebody told.
#include "overlay/relay_ways.h"

#include <gtest/gtest.h>

#include <random>

namespace wow {
namespace {

Address node(unsigned n) {
  std::array<std::uint8_t, Address::kBytes> bytes{};
  bytes[0] = static_cast<std::uint8_t>(n >> 8);
  bytes[19] = static_cast<std::uint8_t>(n);
  return Address::from_bytes(bytes);
}
const Address kSelf = node(1), kPeer = node(2), kR = node(3), kS = node(4), kT = node(5);

TEST(RelayWays, TheQuickestOfTwoRelaysComesFirst) {
  const auto ways =
      relay_ways(kSelf, kPeer,
                 {{kSelf, kR, 30ms}, {kSelf, kS, 10ms}, {kR, kPeer, 10ms}, {kS, kPeer, 20ms}}, {});
  ASSERT_EQ(ways.size(), 2u);
  EXPECT_EQ(ways[0].first, kS);
  EXPECT_TRUE(ways[0].second.is_zero());
  EXPECT_EQ(ways[0].cost, 30ms + kRelayCost);
  EXPECT_EQ(ways[1].first, kR);
}

TEST(RelayWays, LinksHoldInBothDirections) {
  const auto ways = relay_ways(kSelf, kPeer, {{kR, kSelf, 30ms}, {kPeer, kR, 10ms}}, {});
  ASSERT_EQ(ways.size(), 1u);
  EXPECT_EQ(ways[0].cost, 40ms + kRelayCost);
}

TEST(RelayWays, ASecondRelayWhereItSavesSomethingOrNothingElseLeadsThere) {
  const std::vector<RelayLink> chain = {{kSelf, kR, 10ms}, {kR, kS, 10ms}, {kS, kPeer, 10ms}};
  auto ways = relay_ways(kSelf, kPeer, chain, {});
  ASSERT_EQ(ways.size(), 1u);
  EXPECT_EQ(ways[0].first, kR);
  EXPECT_EQ(ways[0].second, kS);
  EXPECT_EQ(ways[0].cost, 30ms + 2 * kRelayCost);
  auto with = chain;
  with.push_back({kR, kPeer, 20ms + kRelayCost});
  EXPECT_TRUE(relay_ways(kSelf, kPeer, with, {})[0].second.is_zero());
  with.back().round_trip += 1ms;
  EXPECT_EQ(relay_ways(kSelf, kPeer, with, {})[0].second, kS);
}

TEST(RelayWays, NeverThree) {
  EXPECT_TRUE(relay_ways(kSelf, kPeer,
                         {{kSelf, kR, 1ms}, {kR, kS, 1ms}, {kS, kT, 1ms}, {kT, kPeer, 1ms}}, {})
                  .empty());
}

TEST(RelayWays, NeverBackThroughOneOfTheEnds) {
  EXPECT_TRUE(relay_ways(kSelf, kPeer, {{kSelf, kPeer, 1ms}, {kSelf, kR, 1ms}}, {}).empty());
  EXPECT_TRUE(relay_ways(kSelf, kPeer, {{kPeer, kR, 1ms}, {kR, kPeer, 1ms}}, {}).empty());
}

TEST(RelayWays, ABusyRelayIsSpared) {
  const std::vector<RelayLink> links = {
      {kSelf, kR, 10ms}, {kR, kPeer, 10ms}, {kSelf, kS, 20ms}, {kS, kPeer, 20ms}};
  EXPECT_EQ(relay_ways(kSelf, kPeer, links, {})[0].first, kR);
  EXPECT_EQ(relay_ways(kSelf, kPeer, links, {{kR, 50ms}})[0].first, kS);
}

TEST(RelayWays, WhatNobodyMeasuredIsTakenForSlow) {
  const auto ways = relay_ways(
      kSelf, kPeer, {{kSelf, kR, {}}, {kR, kPeer, 1ms}, {kSelf, kS, 20ms}, {kS, kPeer, 20ms}}, {});
  EXPECT_EQ(ways[0].first, kS);
  EXPECT_EQ(ways[1].cost, kUnmeasuredLink + 1ms + kRelayCost);
}

// Against all chains of one and two, tried one by one.
TEST(RelayWays, AsGoodAsTryingAll) {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    std::vector<RelayLink> links;
    std::map<std::pair<Address, Address>, Duration> of;
    for (unsigned a = 1; a <= 12; ++a) {
      for (unsigned b = a + 1; b <= 12; ++b) {
        if (random() % 3 != 0 || (a == 1 && b == 2)) continue;
        const Duration d = std::chrono::milliseconds(1 + random() % 100);
        links.push_back({node(a), node(b), d});
        of[{node(a), node(b)}] = of[{node(b), node(a)}] = d;
      }
    }
    std::map<Address, Duration> best;
    const auto offer = [&](const Address& first, Duration cost) {
      const auto [at, fresh] = best.try_emplace(first, cost);
      if (!fresh) at->second = std::min(at->second, cost);
    };
    for (unsigned r = 3; r <= 12; ++r) {
      if (!of.contains({kSelf, node(r)})) continue;
      const Duration leg = of[{kSelf, node(r)}];
      if (of.contains({node(r), kPeer})) offer(node(r), leg + of[{node(r), kPeer}] + kRelayCost);
      for (unsigned s = 3; s <= 12; ++s) {
        if (s == r || !of.contains({node(r), node(s)}) || !of.contains({node(s), kPeer})) continue;
        offer(node(r), leg + of[{node(r), node(s)}] + of[{node(s), kPeer}] + 2 * kRelayCost);
      }
    }
    const auto ways = relay_ways(kSelf, kPeer, links, {});
    ASSERT_EQ(ways.size(), best.size());
    for (const RelayWay& way : ways) EXPECT_EQ(way.cost, best.at(way.first));
    for (std::size_t i = 1; i < ways.size(); ++i) EXPECT_LE(ways[i - 1].cost, ways[i].cost);
  }
}

}  // namespace
}  // namespace wow
