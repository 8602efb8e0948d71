// A majority that is lost for good, and lineages that meet (rules 11 and 12 of docs/dht.md).
#include <gtest/gtest.h>

#include <algorithm>

#include "proto/dht.pb.h"
#include "tests/dht/fake_pool.h"

namespace wow {
namespace {

constexpr Duration kG = 60s;

DhtOptions short_patience() {
  DhtOptions options;
  options.majority_lost_after = kG;
  return options;
}

// Whether these nodes agree on one lineage, whose group serves.
bool agree(FakePool& pool, const std::vector<int>& nodes, std::uint64_t number = 0) {
  const auto first = pool.dht(nodes.front()).status();
  std::size_t serving = 0;
  for (const int node : nodes) {
    const auto status = pool.dht(node).status();
    if (status.lineage != first.lineage || status.founder != first.founder) return false;
    serving += status.serving;
  }
  return (number == 0 || first.lineage == number) && serving > first.members.size() / 2;
}

std::vector<int> running(FakePool& pool) {
  std::vector<int> out;
  for (int i = 0; i < pool.size(); ++i) {
    if (pool.is_up(i)) out.push_back(i);
  }
  return out;
}

TEST(DhtLineage, AfterALostMajorityTheNearestFoundsTheNextAndNotBefore) {
  for (const int survivors : {1, 2, 3}) {
    FakePool pool(21, short_patience());
    pool.add_all(6);
    ASSERT_TRUE(pool.run_until_group(5, 60s));
    ASSERT_TRUE(pool.create(0, "k", "v"));
    const auto near = pool.nearest();
    // Of five members, one, two or none are left; the sixth is none.
    for (int i = 0; i < 6 - survivors; ++i) pool.crash(near[static_cast<std::size_t>(i)]);
    const TimePoint lost = pool.now();
    const auto left = running(pool);
    ASSERT_TRUE(pool.run_until([&] { return agree(pool, left, 2); }, kG + 60s)) << survivors;
    EXPECT_GE(pool.now() - lost, kG) << survivors;
    EXPECT_LE(pool.now() - lost, kG + 25s) << survivors;
    const auto got = pool.get(left.front(), "k");
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, ErrorCode::kNotFound) << "empty but for what owners write again";
    EXPECT_TRUE(pool.create(left.back(), "k", "again"));
    EXPECT_GT(pool.dht(left.front()).status().lineages_lost, 0u);
    if (survivors == 3) {
      ASSERT_TRUE(pool.run_until_group(3, 60s));
    }
  }
}

TEST(DhtLineage, MembersThatLostTheirStoresAreMissedAtOnce) {
  FakePool pool(27, short_patience());
  pool.add_all(5);
  ASSERT_TRUE(pool.run_until_group(5, 60s));
  const auto near = pool.nearest();
  for (int i = 0; i < 3; ++i) pool.restart(near[static_cast<std::size_t>(i)], false);
  const TimePoint lost = pool.now();
  ASSERT_TRUE(pool.run_until([&] { return agree(pool, near, 2); }, 2 * kG));
  EXPECT_GE(pool.now() - lost, kG);
  EXPECT_LE(pool.now() - lost, kG + 5s) << "they said themselves that they had forgotten";
  ASSERT_TRUE(pool.run_until_group(5, 30s));
}

// A copy of its machine answers with the same promises: it makes none, and is taken in anew.
TEST(DhtLineage, AMemberWhoseStoreWasCopiedIsAnotherReplica) {
  FakePool pool(28, short_patience());
  pool.add_all(4);
  ASSERT_TRUE(pool.run_until_group(3, 60s));
  ASSERT_TRUE(pool.create(3, "k", "v"));
  const auto members = pool.dht(0).status().members;
  const int copied = pool.node_of(members.front());
  const auto held = [&] { return pool.dht(copied).status(); };
  const std::uint64_t epoch = held().epoch;
  ASSERT_TRUE(held().serving);
  pool.dht(copied).on_store_copied();
  EXPECT_FALSE(held().serving);
  // The two others are a majority, and need it not.
  EXPECT_TRUE(pool.get(copied, "k"));
  EXPECT_TRUE(pool.put(3, "k", "w"));
  ASSERT_TRUE(pool.run_until([&] { return held().serving && held().epoch > epoch; }, 60s));
  EXPECT_EQ(held().lineages_lost, 0u);
  EXPECT_EQ(text_of(pool.get(copied, "k")->data), "w");
}

TEST(DhtLineage, WhoseCopiedStoreIsTheOnlyOneKeepsIt) {
  FakePool pool(29, short_patience());
  pool.add_all(1);
  ASSERT_TRUE(pool.run_until_group(1, 60s));
  ASSERT_TRUE(pool.create(0, "k", "v"));
  pool.dht(0).on_store_copied();
  EXPECT_TRUE(pool.get(0, "k"));
}

TEST(DhtLineage, AMajorityThatReturnsInTimeLosesNothing) {
  FakePool pool(22, short_patience());
  pool.add_all(5);
  ASSERT_TRUE(pool.run_until_group(5, 60s));
  ASSERT_TRUE(pool.create(0, "k", "v"));
  const auto near = pool.nearest();
  for (int i = 2; i < 5; ++i) pool.crash(near[static_cast<std::size_t>(i)]);
  pool.run_for(kG - 5s);
  for (int i = 2; i < 5; ++i) pool.restart(near[static_cast<std::size_t>(i)]);
  pool.run_for(2 * kG);
  EXPECT_EQ(pool.dht(0).status().lineage, 1u);
  EXPECT_TRUE(pool.get(near[2], "k"));
}

TEST(DhtLineage, AMajorityThatReturnsLateWinsAndTheOthersWriteAgain) {
  FakePool pool(23, short_patience());
  pool.add_all(5);
  ASSERT_TRUE(pool.run_until_group(5, 60s));
  const auto near = pool.nearest();
  ASSERT_TRUE(pool.create(near[0], "old", "v"));
  bool cut = true;
  const auto is_minority = [&](int node) { return node == near[0] || node == near[1]; };
  pool.blocked = [&](int from, int to) { return cut && is_minority(from) != is_minority(to); };
  ASSERT_TRUE(pool.run_until([&] { return agree(pool, {near[0], near[1]}, 2); }, kG + 60s));
  ASSERT_TRUE(pool.create(near[2], "k", "of the majority"));
  ASSERT_TRUE(pool.create(near[0], "k", "of the minority"));
  cut = false;
  const TimePoint healed = pool.now();
  ASSERT_TRUE(pool.run_until([&] { return agree(pool, near, 1); }, 60s));
  EXPECT_LE(pool.now() - healed, 30s);
  for (const int node : near) {
    EXPECT_EQ(to_string(pool.get(node, "k")->data), "of the majority");
    EXPECT_TRUE(pool.get(node, "old"));
  }
  EXPECT_EQ(pool.renew(near[0], "k").error().code, ErrorCode::kPermission);
  // The two came back as other replicas, for they have forgotten what they promised.
  ASSERT_TRUE(pool.run_until_group(5, 60s));
  for (int i = 2; i < 4; ++i) pool.crash(near[static_cast<std::size_t>(i)]);
  EXPECT_TRUE(pool.get(near[4], "old"));
}

TEST(DhtLineage, WhenTwoMeetAllFollowOneAndOwnersAreTold) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    FakePool pool(seed, short_patience());
    bool cut = true;
    const int half = 1 + static_cast<int>(pool.random.below(5));
    const int other = 1 + static_cast<int>(pool.random.below(5));
    pool.blocked = [&](int from, int to) { return cut && (from < half) != (to < half); };
    pool.add_all(half + other);
    pool.run_for(40s);
    ASSERT_NE(pool.dht(0).status().founder, pool.dht(half).status().founder) << "seed " << seed;
    std::vector<int> told(static_cast<std::size_t>(pool.size()));
    for (int i = 0; i < pool.size(); ++i) {
      ASSERT_TRUE(pool.create(i, "own" + std::to_string(i), "v")) << "seed " << seed;
      const auto again = [&pool, &told, i](const DhtLineageChange&) {
        ++told[static_cast<std::size_t>(i)];
        pool.dht(i).put("own" + std::to_string(i), view_of("v"), 1h, [](auto) {});
      };
      pool.dht(i).on_lineage_change(again);
    }
    std::vector<Address> founders;
    for (int i = 0; i < pool.size(); ++i) founders.push_back(pool.dht(i).status().founder);
    cut = false;
    const TimePoint healed = pool.now();
    std::vector<int> all;
    for (int i = 0; i < pool.size(); ++i) all.push_back(i);
    ASSERT_TRUE(pool.run_until([&] { return agree(pool, all); }, 30s))
        << "seed " << seed << ": " << half << " and " << other;
    pool.run_for(healed + 40s - pool.now());
    const auto winner = pool.dht(0).status().founder;
    for (const int i : all) {
      EXPECT_EQ(pool.dht(i).status().founder, winner) << "seed " << seed;
      if (founders[static_cast<std::size_t>(i)] != winner) {
        EXPECT_GE(told[static_cast<std::size_t>(i)], 1) << "seed " << seed << " node " << i;
      }
      const auto got = pool.get(all.front(), "own" + std::to_string(i));
      EXPECT_TRUE(got) << "seed " << seed << " node " << i << ": its owner wrote it again";
    }
  }
}

// Who founds after a loss leaves the group that it was in; had it counted on itself there, it would
// have found that group alive when the others come back, and given up the new one for nothing.
TEST(DhtLineage, WhatAFounderLeftDoesNotLiveByItsWord) {
  FakePool pool(28, short_patience());
  pool.add_all(5);
  ASSERT_TRUE(pool.run_until_group(5, 60s));
  const auto near = pool.nearest();
  for (int i = 2; i < 5; ++i) pool.crash(near[static_cast<std::size_t>(i)]);
  while (pool.dht(near[0]).status().lineage == 1) {
    pool.dht(near[0]).get("k", [](const auto&) {});  // its own answers are a sign of life, too
    pool.run_for(1s);
  }
  for (int i = 2; i < 5; ++i) pool.restart(near[static_cast<std::size_t>(i)], i == 2);
  ASSERT_TRUE(pool.run_until([&] { return agree(pool, near, 2); }, 30s));
  EXPECT_TRUE(pool.create(near[2], "k", "v"));
  // One keeps what it holds of the lost one for G.
  ASSERT_TRUE(pool.run_until_group(5, 2 * kG));
  EXPECT_TRUE(agree(pool, near, 2));
  EXPECT_TRUE(pool.get(near[4], "k"));
}

// The next group was decided and named, and then no majority could be asked whether that is so.
TEST(DhtLineage, AGroupThatWasCutOffWhileItChangedGoesOnAtOnce) {
  for (int phase = 0; phase < 6; ++phase) {
    auto options = short_patience();
    options.majority_lost_after = 10min;
    FakePool pool(29, options);
    pool.add_all(5);
    ASSERT_TRUE(pool.run_until_group(5, 60s));
    ASSERT_TRUE(pool.create(0, "k", "v"));
    pool.crash(pool.nearest().back());
    pool.add();
    const std::uint64_t epoch = pool.dht(0).status().epoch;
    pool.tamper = [&](int, int, Bytes& bytes) {
      pb::DhtMessage message;
      message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
      const bool reads_next = message.prepare().key().empty() && !message.prepare().has_ballot();
      return !message.has_prepare() || !reads_next;
    };
    const auto nodes = running(pool);
    const auto knows_next = [&](int node) { return pool.dht(node).status().epoch > epoch; };
    ASSERT_TRUE(pool.run_until([&] { return std::ranges::all_of(nodes, knows_next); }, 60s));
    pool.run_for(1min + 5s * phase);
    pool.tamper = nullptr;
    const auto is_installed = [&] {
      return std::ranges::count_if(nodes,
                                   [&](int node) { return pool.dht(node).status().serving; }) >= 3;
    };
    ASSERT_FALSE(is_installed());
    EXPECT_TRUE(pool.run_until(is_installed, 8s)) << "phase " << phase;
    EXPECT_TRUE(pool.get(nodes.front(), "k"));
  }
}

// A member says what it likes of a lineage of its own.
class ForgedLineage : public ::testing::TestWithParam<int> {};

TEST_P(ForgedLineage, OfAMemberAloneDestroysNothing) {
  FakePool pool(24, short_patience());
  pool.add_all(7);
  ASSERT_TRUE(pool.run_until_group(5, 60s));
  for (int i = 0; i < 7; ++i) ASSERT_TRUE(pool.create(i, "k" + std::to_string(i), "v"));
  const auto before = pool.dht(0).status();
  const int forger = pool.nearest()[static_cast<std::size_t>(GetParam())];
  pb::DhtMessage forged;
  forged.set_incarnation(77);
  auto& group = *forged.mutable_known();
  group.set_lineage(1);
  group.set_founder(to_string(pool.address(forger).bytes()));
  group.set_founded(1);  // long ago
  group.set_epoch(1);
  group.add_members()->set_address(to_string(pool.address(forger).bytes()));
  group.mutable_members(0)->set_incarnation(77);
  forged.set_lineage(group.lineage());
  forged.set_founder(group.founder());
  forged.set_founded(group.founded());
  forged.set_epoch(group.epoch());
  forged.mutable_announce();
  auto larger = forged;
  larger.mutable_known()->set_epoch(2);
  *larger.mutable_known()->mutable_previous() = group.members();
  for (int i = 0; i < 2; ++i) {
    auto& member = *larger.mutable_known()->add_members();
    member.set_address(to_string(pool.address(i == forger ? 6 : i).bytes()));
    member.set_incarnation(7);
  }
  larger.set_epoch(2);
  for (int round = 0; round < 120; ++round) {
    for (int i = 0; i < 7; ++i) {
      pool.inject(forger, i, view_of(forged.SerializeAsString()));
      pool.inject(forger, i, view_of(larger.SerializeAsString()));
    }
    pool.run_for(500ms);
  }
  for (int i = 0; i < 7; ++i) {
    if (i == forger) continue;
    EXPECT_EQ(pool.dht(i).status().founder, before.founder) << i;
    for (int key = 0; key < 7; ++key) {
      EXPECT_TRUE(pool.get(i, "k" + std::to_string(key))) << i << " reads " << key;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, ForgedLineage, ::testing::Values(0, 2, 6));

TEST(DhtLineage, ANewcomerThatHearsAForgerFirstFindsThePoolYet) {
  FakePool pool(25, short_patience());
  pool.add_all(5);
  ASSERT_TRUE(pool.run_until_group(5, 60s));
  ASSERT_TRUE(pool.create(0, "k", "v"));
  const int forger = pool.nearest().back();
  const auto status = pool.dht(0).status();
  pb::DhtMessage forged;
  forged.set_incarnation(77);
  auto& group = *forged.mutable_known();
  group.set_lineage(1);
  group.set_founder(to_string(pool.address(forger).bytes()));
  group.set_founded(1);
  group.set_epoch(1);
  group.add_members()->set_address(to_string(pool.address(forger).bytes()));
  group.mutable_members(0)->set_incarnation(77);
  forged.set_lineage(1);
  forged.set_founder(group.founder());
  forged.set_founded(1);
  forged.set_epoch(1);
  forged.mutable_announce();
  const int newcomer = pool.add();
  for (int round = 0; round < 120; ++round) {
    pool.inject(forger, newcomer, view_of(forged.SerializeAsString()));
    pool.run_for(500ms);
  }
  EXPECT_EQ(pool.dht(newcomer).status().founder, status.founder);
  EXPECT_TRUE(pool.get(newcomer, "k"));
}

TEST(DhtLineage, AFrozenNodeDoesNotCountTheTimeThatItSlept) {
  FakePool pool(26, short_patience());
  pool.add_all(3);
  ASSERT_TRUE(pool.run_until_group(3, 60s));
  ASSERT_TRUE(pool.create(0, "k", "v"));
  const int nearest = pool.nearest().front();
  pool.pause(nearest, false);
  pool.run_for(10 * kG);
  pool.resume(nearest);
  pool.run_for(kG / 2);
  EXPECT_EQ(pool.dht(nearest).status().lineage, 1u);
  EXPECT_TRUE(pool.get(nearest, "k"));
}

}  // namespace
}  // namespace wow
