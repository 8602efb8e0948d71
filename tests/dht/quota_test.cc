// How much one owner, one invite and all may store; and that what was overwritten stays so, though
// nodes forget.
#include <gtest/gtest.h>

#include "tests/dht/bench.h"

namespace wow {
namespace {

TEST(DhtQuota, TombstonesCountUntilTheyExpire) {
  auto options = founded_by_first();
  options.records_per_owner_max = 4;
  FakePool pool(31, options);
  pool.add_all(3);
  ASSERT_TRUE(pool.run_until_group(3, 20s));
  for (int i = 0; i < 4; ++i) {
    const std::string key = "k" + std::to_string(i);
    ASSERT_TRUE(pool.create(1, key, "v", 30s));
    ASSERT_TRUE(pool.remove(1, key));
  }
  const auto refused = pool.create(1, "k4", "v", 30s);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kPermission);
  EXPECT_NE(refused.error().message.find("too many"), std::string::npos);
  EXPECT_TRUE(pool.create(1, "k0", "again", 30s)) << "in the place of its own tombstone";
  EXPECT_TRUE(pool.create(2, "k4", "v", 30s)) << "others are not concerned";
  pool.run_for(60s);
  EXPECT_TRUE(pool.create(1, "k5", "v", 30s));
}

TEST(DhtQuota, AllWhoCameByOneInviteShareOneMore) {
  auto options = founded_by_first();
  options.records_per_invite_max = 6;  // the stand-in's members all came by the same
  FakePool pool(32, options);
  pool.add_all(3);
  ASSERT_TRUE(pool.run_until_group(3, 20s));
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(pool.create(i % 3, "k" + std::to_string(i), "v"));
  const auto refused = pool.create(2, "k6", "v");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kPermission);
  EXPECT_NE(refused.error().message.find("same invite"), std::string::npos);
  EXPECT_TRUE(pool.put(2, "k2", "w"));
}

TEST(DhtQuota, ExpiredRecordsThatCannotBeForgottenYetHaveABoundToo) {
  auto options = founded_by_first();
  options.records_per_owner_max = 3;
  FakePool pool(33, options);
  pool.add_all(3);
  ASSERT_TRUE(pool.run_until_group(3, 20s));
  pool.crash(2);  // a group of three goes on with two, and cannot be sure of the third
  int stored = 0;
  for (int i = 0; i < 30; ++i) {
    stored += pool.create(1, "k" + std::to_string(i), "v", 1s).has_value();
    pool.run_for(12s);
  }
  EXPECT_EQ(stored, 12);
  pool.restart(2);
  pool.run_for(5min);
  EXPECT_TRUE(pool.create(1, "again", "v"));
  EXPECT_LE(pool.store(0).entries.size(), 10u) << "forgotten by all";
}

// A long-lived value was overwritten by one that has ended, while one replica slept.
TEST(DhtCollector, WhatASleeperMissedDoesNotComeBackThroughIt) {
  for (const bool is_removed : {false, true}) {
    FakePool pool(34, founded_by_first());
    pool.add_all(3);
    ASSERT_TRUE(pool.run_until_group(3, 20s));
    ASSERT_TRUE(pool.create(1, "k", "old", 24h));
    pool.crash(2);
    ASSERT_TRUE(pool.put(1, "k", "short", 5s));
    if (is_removed) {
      ASSERT_TRUE(pool.remove(1, "k"));
    }
    pool.run_for(10min);
    pool.restart(2);
    pool.crash(0);
    // As long as one says that something older lives, the key is not free.
    const auto got = pool.get(1, "k");
    if (is_removed) {
      EXPECT_EQ(got.error().code, ErrorCode::kNotFound);
    } else if (got) {
      EXPECT_EQ(to_string(got->data), "short");
    }
    Bytes digest;
    EXPECT_TRUE(pool.list(2, "k", digest)->empty());
    pool.restart(0);
    pool.run_for(10min);
    pool.crash(0);
    EXPECT_EQ(pool.get(2, "k").error().code, ErrorCode::kNotFound);
    pool.restart(0);
    pool.run_for(10min);
    EXPECT_LE(pool.store(1).entries.size(), 5u) << "in the end all forget it";
    EXPECT_EQ(pool.get(2, "k").error().code, ErrorCode::kNotFound);
  }
}

TEST(DhtReplica, AReadersRewriteDoesNotGiveANodeASecondLease) {
  DhtOptions options;
  options.lease_subnet = Prefix::parse("10.128.0.0/16");
  Bench bench(options);
  const auto group = bench.group_of_three();
  ASSERT_TRUE(bench.replica.install(group, {}));
  const auto first = Bench::accept_of("ip/10.128.0.1", 1, 1, Bench::record(2, "ip/10.128.0.1", 1));
  ASSERT_EQ(bench.replica.accept(group.id, first)->status(), pb::ReplicaReply::OK);
  auto second = Bench::accept_of("ip/10.128.0.2", 1, 1, Bench::record(2, "ip/10.128.0.2", 1));
  second.set_keep_timer(true);
  EXPECT_EQ(bench.replica.accept(group.id, second)->status(), pb::ReplicaReply::REFUSED);
  second.set_age_ms(2 * 3600 * 1000);
  EXPECT_EQ(bench.replica.accept(group.id, second)->status(), pb::ReplicaReply::OK)
      << "what has expired gives nobody anything";
}

TEST(DhtReplica, OnlyWhoMayHaveGuestsHasAddressesOfTheirIpv6) {
  DhtOptions options;
  options.lease_subnet = Prefix::parse("10.128.0.0/16");
  options.lease_subnet6 = Prefix::parse("fd00::/64");
  Bench bench(options);
  const auto group = bench.group_of_three();
  ASSERT_TRUE(bench.replica.install(group, {}));
  for (const auto& [key, why] : std::vector<std::pair<std::string, std::string>>{
           {"ip/fd00::5", "its owner may have no guests"},
           {"ip/fd01::5", "its owner may have no guests"},
           {"ip/10.128.0.1", ""}}) {
    const auto accept = Bench::accept_of(key, 1, 1, Bench::record(2, key, 1));
    EXPECT_EQ(bench.replica.accept(group.id, accept)->reason(), why);
  }
}

TEST(DhtReplica, AGroupOfThreeDoesNotShrinkToOne) {
  Bench bench;
  const auto group = bench.group_of_three();
  ASSERT_TRUE(bench.replica.install(group, {}));
  auto next = bench.group_of_three(2);
  next.members.resize(1);
  pb::Record record;
  record.set_value(next.to_wire().SerializeAsString());
  const auto accept = Bench::accept_of(dht::kNextKey, 1, 1, record);
  EXPECT_EQ(bench.replica.accept(group.id, accept)->status(), pb::ReplicaReply::REFUSED);
}

}  // namespace
}  // namespace wow
