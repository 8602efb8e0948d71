// How the group is founded, grows, loses members and meets others.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "tests/dht/fake_pool.h"

namespace wow {
namespace {

constexpr Duration kG = 60s;

TEST(DhtGroup, OneNodeFoundsAndServesAlone) {
  FakePool pool(1);
  const int a = pool.add();
  EXPECT_FALSE(pool.dht(a).status().serving);
  ASSERT_TRUE(pool.run_until_group(1, 4s));
  ASSERT_TRUE(pool.create(a, "k", "v"));
  const auto got = pool.get(a, "k");
  ASSERT_TRUE(got);
  EXPECT_EQ(to_string(got->data), "v");
  EXPECT_EQ(got->owner, pool.address(a));
}

TEST(DhtGroup, TheNamedFounderNeedNotWaitAndOthersNeverFound) {
  FakePool pool(1, founded_by_first());
  pool.add();
  pool.run_for(300ms);
  EXPECT_TRUE(pool.dht(0).status().serving);
  FakePool without(1, founded_by_first());
  without.add();
  without.crash(0);
  without.add_all(3);
  without.run_for(20s);
  EXPECT_EQ(without.dht(1).status().epoch, 0u);
}

TEST(DhtGroup, OfSeveralConnectedNodesOneFounds) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    FakePool pool(seed);
    pool.add_all(4);
    ASSERT_TRUE(pool.run_until_group(3, 15s)) << "seed " << seed;
    std::set<Address> founders;
    for (int i = 0; i < 4; ++i) founders.insert(pool.dht(i).status().founder);
    EXPECT_EQ(founders.size(), 1u) << "seed " << seed;
  }
}

class AnyOneMember : public ::testing::TestWithParam<std::tuple<int, int>> {};

TEST_P(AnyOneMember, DiesAndThePoolGoesOnAndReplacesIt) {
  const auto [members, rank] = GetParam();
  FakePool pool(7, founded_by_first());
  pool.add_all(members + 1);
  ASSERT_TRUE(pool.run_until_group(static_cast<std::size_t>(members), 30s));
  ASSERT_TRUE(pool.create(0, "k", "v"));
  const int victim = pool.node_of(pool.dht(0).status().members[static_cast<std::size_t>(rank)]);
  pool.crash(victim);
  const int other = victim == 0 ? 1 : 0;
  const TimePoint died = pool.now();
  ASSERT_TRUE(pool.get(other, "k"));
  ASSERT_TRUE(pool.create(other, "k2", "v2"));
  EXPECT_LT(pool.now() - died, 3s);
  ASSERT_TRUE(pool.run_until_group(static_cast<std::size_t>(members), 60s));
  pool.run_until([&] { return pool.dht(other).status().epoch > 2; }, 60s);
  ASSERT_TRUE(pool.run_until_group(static_cast<std::size_t>(members), 60s));
  for (const auto& member : pool.dht(other).status().members) {
    EXPECT_NE(member, pool.address(victim));
  }
  EXPECT_TRUE(pool.get(other, "k"));
  EXPECT_TRUE(pool.get(other, "k2"));
}

TEST_P(AnyOneMember, RestartsShortlyAndStaysAMember) {
  const auto [members, rank] = GetParam();
  FakePool pool(8, founded_by_first());
  pool.add_all(members);
  ASSERT_TRUE(pool.run_until_group(static_cast<std::size_t>(members), 30s));
  ASSERT_TRUE(pool.create(0, "k", "v"));
  const auto before = pool.dht(0).status();
  const int victim = pool.node_of(before.members[static_cast<std::size_t>(rank)]);
  pool.crash(victim);
  pool.run_for(6s);
  pool.restart(victim);
  pool.run_for(60s);
  EXPECT_EQ(pool.dht(victim).status().epoch, before.epoch);
  EXPECT_TRUE(pool.dht(victim).status().serving);
  EXPECT_TRUE(pool.get(victim, "k"));
}

TEST_P(AnyOneMember, LosesItsStoreAndIsTakenInAnew) {
  const auto [members, rank] = GetParam();
  FakePool pool(9, founded_by_first());
  pool.add_all(members);
  ASSERT_TRUE(pool.run_until_group(static_cast<std::size_t>(members), 30s));
  ASSERT_TRUE(pool.create(0, "k", "v"));
  const auto before = pool.dht(0).status();
  const int victim = pool.node_of(before.members[static_cast<std::size_t>(rank)]);
  pool.restart(victim, false);
  ASSERT_TRUE(pool.run_until(
      [&] {
        return pool.dht(victim).status().serving && pool.dht(victim).status().epoch > before.epoch;
      },
      60s));
  EXPECT_EQ(pool.dht(victim).status().records, 1u);
  EXPECT_TRUE(pool.get(victim, "k"));
}

using Case = std::tuple<int, int>;
INSTANTIATE_TEST_SUITE_P(, AnyOneMember,
                         ::testing::Values(Case(3, 0), Case(3, 1), Case(3, 2), Case(5, 0),
                                           Case(5, 1), Case(5, 2), Case(5, 3), Case(5, 4)));

TEST(DhtGroup, ValuesSurviveTheLossOfAnyTwoOfFiveReplicas) {
  for (int a = 0; a < 5; ++a) {
    for (int b = a + 1; b < 5; ++b) {
      FakePool pool(12, founded_by_first());
      pool.add_all(7);
      ASSERT_TRUE(pool.run_until_group(5, 30s));
      for (int i = 0; i < 20; ++i) {
        ASSERT_TRUE(pool.create(i % 7, "k" + std::to_string(i), std::to_string(i)));
      }
      const auto near = pool.nearest();
      const auto lost = {near[static_cast<std::size_t>(a)], near[static_cast<std::size_t>(b)]};
      for (const int node : lost) pool.crash(node);
      const auto read_all = [&](int reader) {
        for (int i = 0; i < 20; ++i) {
          const auto got = pool.get(reader, "k" + std::to_string(i));
          ASSERT_TRUE(got) << a << " and " << b << " are lost: " << got.error().message;
          EXPECT_EQ(to_string(got->data), std::to_string(i));
        }
      };
      read_all(near[6]);
      EXPECT_TRUE(pool.create(near[6], "new", "v"));
      // For good: others take their places, and the values along; two more may be lost then.
      ASSERT_TRUE(pool.run_until([&] { return pool.dht(near[5]).status().serving; }, 30s));
      ASSERT_TRUE(pool.run_until_group(5, 30s));
      for (const int node : lost) pool.restart(node, false);
      ASSERT_TRUE(pool.run_until([&] { return pool.dht(near[0]).status().serving; }, 30s));
      ASSERT_TRUE(pool.run_until_group(5, 30s));
      for (int i = 0, left = 2; left > 0; ++i) {
        const int node = near[static_cast<std::size_t>(i)];
        if (std::ranges::find(lost, node) != lost.end()) continue;
        pool.crash(node);
        --left;
      }
      read_all(near[6]);
    }
  }
}

TEST(DhtGroup, TheWholePoolRestartsFromItsStores) {
  FakePool pool(4, founded_by_first());
  pool.add_all(6);
  ASSERT_TRUE(pool.run_until_group(5, 30s));
  ASSERT_TRUE(pool.create(3, "k", "v"));
  for (int i = 0; i < 6; ++i) pool.crash(i);
  pool.run_for(1h);
  for (int i = 5; i >= 0; --i) pool.restart(i);
  for (int i = 0; i < 6; ++i) {
    const auto got = pool.get(i, "k");
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_EQ(got->owner, pool.address(3));
  }
}

TEST(DhtGroup, AFounderThatLostItsStoreFoundsAgain) {
  FakePool pool(5, founded_by_first());
  pool.add_all(2);
  ASSERT_TRUE(pool.create(1, "k", "v"));
  pool.restart(0, false);
  ASSERT_TRUE(pool.run_until([&] { return pool.dht(0).status().serving; }, 10s));
  // The other still believes in the lost group until it has been silent for a while.
  ASSERT_TRUE(pool.run_until(
      [&] {
        return pool.get(1, "k").has_error() &&
               pool.get(1, "k").error().code == ErrorCode::kNotFound;
      },
      60s));
  EXPECT_TRUE(pool.create(1, "k", "v"));
}

TEST(DhtGroup, AFounderThatLostItsStoreWhileCutOffFoundsOnlyAfterG) {
  for (const bool is_named : {true, false}) {
    auto options = is_named ? founded_by_first() : DhtOptions();
    options.majority_lost_after = kG;
    FakePool pool(10, options);
    pool.add();
    ASSERT_TRUE(pool.run_until_group(1, 5s));
    pool.add_all(2);
    ASSERT_TRUE(pool.run_until_group(3, 20s));
    ASSERT_TRUE(pool.create(1, "k", "v"));
    bool cut = true;
    pool.blocked = [&](int from, int to) { return cut && (from == 0) != (to == 0); };
    pool.restart(0, false);
    pool.run_for(kG - 1s);
    EXPECT_EQ(pool.dht(0).status().lineage, 0u) << "the others live, for all it knows";
    ASSERT_TRUE(pool.run_until([&] { return pool.dht(0).status().serving; }, 10s));
    EXPECT_EQ(pool.dht(0).status().lineage, 2u);
    cut = false;
    ASSERT_TRUE(pool.run_until_group(3, 30s));
    EXPECT_EQ(pool.dht(0).status().lineage, 1u);
    EXPECT_TRUE(pool.get(0, "k"));
  }
}

// The machines are there, and know that they are members; what they stored is gone.
class WithoutStores : public ::testing::TestWithParam<std::tuple<int, bool>> {};

TEST_P(WithoutStores, APoolComesBackWithoutAHand) {
  const auto [nodes, is_named] = GetParam();
  auto options = is_named ? founded_by_first() : DhtOptions();
  options.majority_lost_after = kG;
  FakePool pool(11, options);
  pool.add_all(nodes);
  pool.run_for(40s);
  ASSERT_TRUE(pool.create(nodes - 1, "k", "v"));
  for (int i = 0; i < nodes; ++i) pool.crash(i);
  pool.run_for(10s);
  const TimePoint began = pool.now();
  for (int i = 0; i < nodes; ++i) pool.restart(i, false);
  const std::size_t members = nodes > 4 ? 5 : nodes > 2 ? 3 : 1;
  ASSERT_TRUE(pool.run_until_group(members, kG + 30s));
  if (nodes == 1) {
    EXPECT_LE(pool.now() - began, 4s) << "nobody else ever had a part in it";
  }
  for (int i = 0; i < nodes; ++i) {
    EXPECT_TRUE(pool.create(i, "own" + std::to_string(i), "v"));
    EXPECT_EQ(pool.get(i, "k").error().code, ErrorCode::kNotFound);
  }
}

INSTANTIATE_TEST_SUITE_P(, WithoutStores,
                         ::testing::Combine(::testing::Values(1, 2, 3, 5), ::testing::Bool()));

TEST(DhtGroup, WhenTwoLineagesMeetTheOlderWinsAndOwnersCreateAgain) {
  FakePool pool(6);
  bool cut = true;
  pool.blocked = [&](int from, int to) { return cut && (from < 3) != (to < 3); };
  pool.add_all(3);
  ASSERT_TRUE(pool.run_until_group(3, 20s));
  pool.run_for(10s);
  pool.add_all(3);
  ASSERT_TRUE(pool.run_until([&] { return pool.dht(4).status().members.size() == 3; }, 20s));
  const auto older = pool.dht(0).status().founder;
  ASSERT_NE(older, pool.dht(4).status().founder);
  ASSERT_TRUE(pool.create(1, "k", "old"));
  ASSERT_TRUE(pool.create(4, "k", "young"));
  ASSERT_TRUE(pool.create(5, "mine", "x"));
  cut = false;
  ASSERT_TRUE(pool.run_until_group(5, 60s));
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(pool.dht(i).status().founder, older);
    EXPECT_EQ(to_string(pool.get(i, "k")->data), "old");
  }
  const auto renewed = pool.renew(5, "mine");
  ASSERT_FALSE(renewed);
  EXPECT_EQ(renewed.error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(pool.create(5, "mine", "x"));
}

TEST(DhtGroup, HearsayOfADeadLineageDoesNotTakeThePoolAlong) {
  FakePool pool(7);
  const int hermit = pool.add();
  ASSERT_TRUE(pool.run_until_group(1, 5s));
  const int friend_of_hermit = pool.add();
  ASSERT_TRUE(pool.run_until([&] { return pool.dht(friend_of_hermit).status().epoch == 1; }, 5s));
  pool.crash(hermit);
  pool.crash(friend_of_hermit);
  pool.run_for(60s);
  pool.add_all(3);
  ASSERT_TRUE(pool.run_until_group(3, 20s));
  ASSERT_TRUE(pool.create(3, "k", "v"));
  pool.restart(friend_of_hermit);
  pool.run_for(60s);
  EXPECT_EQ(to_string(pool.get(4, "k")->data), "v");
  EXPECT_EQ(to_string(pool.get(friend_of_hermit, "k")->data), "v");
}

TEST(DhtGroup, WithoutAMajorityOperationsEndWithinFiveSeconds) {
  FakePool pool(8, founded_by_first());
  pool.add_all(3);
  ASSERT_TRUE(pool.run_until_group(3, 10s));
  ASSERT_TRUE(pool.create(0, "k", "v"));
  pool.crash(1);
  pool.crash(2);
  const TimePoint began = pool.now();
  const auto got = pool.get(0, "k");
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(pool.create(0, "k2", "v").error().code, ErrorCode::kUnavailable);
  EXPECT_LE(pool.now() - began, 2 * kDhtOperationLimit + 100ms);
  pool.run_for(120s);
  EXPECT_EQ(pool.dht(0).status().members.size(), 3u) << "a minority changes nothing";
  pool.restart(1);
  EXPECT_TRUE(pool.get(0, "k"));
}

TEST(DhtGroup, AMemberWhoseStoreFailsAnswersNothing) {
  FakePool pool(9, founded_by_first());
  pool.add();
  pool.run_for(1s);
  pool.store(0).fails = true;
  EXPECT_EQ(pool.create(0, "k", "v").error().code, ErrorCode::kUnavailable);
  pool.store(0).fails = false;
  EXPECT_EQ(pool.get(0, "k").error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace wow
