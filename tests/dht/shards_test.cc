// Many shards, each with a group of its own, at little cost.
#include <gtest/gtest.h>

#include <set>

#include "dht/group.h"
#include "tests/dht/fake_pool.h"

namespace wow {
namespace {

constexpr std::size_t kShards = 256;

DhtOptions many_shards(bool founder_is_named = true) {
  auto options = founder_is_named ? founded_by_first() : DhtOptions();
  options.shards = kShards;
  options.majority_lost_after = 60s;
  return options;
}

// Until groups of `members` keep all shards.
bool run_until_kept(FakePool& pool, std::size_t members, Duration limit) {
  return pool.run_until(
      [&] {
        std::size_t serving = 0;
        for (int i = 0; i < pool.size(); ++i) {
          if (!pool.is_up(i)) continue;
          const auto status = pool.dht(i).status();
          if (status.groups_serving != status.groups_held) return false;
          serving += status.groups_serving;
        }
        return serving == members * kShards;
      },
      limit);
}

TEST(DhtShards, KeysSpreadAndNamespacesStayTogether) {
  std::set<std::uint32_t> used;
  for (int i = 0; i < 4096; ++i) used.insert(dht::shard_of("key" + std::to_string(i), kShards));
  EXPECT_EQ(used.size(), kShards);
  EXPECT_EQ(dht::shard_of("ip/10.0.0.1", kShards), dht::shard_of("ip/10.0.0.2", kShards));
  EXPECT_EQ(dht::shard_of("anything", 1), 0u);
}

TEST(DhtShards, ALoneNodeFoundsAllAtOnce) {
  FakePool pool(1, many_shards(false));
  pool.add();
  const auto writes = pool.store(0).batches;
  ASSERT_TRUE(run_until_kept(pool, 1, 3500ms));
  EXPECT_LE(pool.store(0).batches - writes, 4u) << "synced together";
  ASSERT_TRUE(pool.create(0, "k", "v"));
  pool.crash(0);
  pool.restart(0);
  ASSERT_TRUE(pool.get(0, "k"));
  EXPECT_EQ(pool.dht(0).status().groups_serving, kShards);
  const auto stat = [&](const std::string& key) {
    std::optional<DhtStat> out;
    pool.dht(0).stat(key, [&](auto answer) { out = *answer; });
    pool.run_until([&] { return out.has_value(); }, 6s);
    return *out;
  };
  EXPECT_EQ(stat("k").shard, dht::shard_of("k", kShards));
  EXPECT_EQ(stat("k").coordinator, pool.address(0));
  EXPECT_EQ(stat("k").holder->owner, pool.address(0));
  EXPECT_FALSE(stat("free").holder);
}

TEST(DhtShards, GrowToFiveMembersEachAndAreQuietThen) {
  FakePool pool(2, many_shards());
  pool.add();
  ASSERT_TRUE(run_until_kept(pool, 1, 5s));
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(pool.create(0, "k" + std::to_string(i), "v"));
  pool.add_all(4);
  ASSERT_TRUE(run_until_kept(pool, 5, 120s));
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(pool.get(i % 5, "k" + std::to_string(i)));
  pool.run_for(60s);
  std::size_t bytes = 0, messages = 0;
  pool.delivering = [&](int from, int to, ByteView message) {
    if (from == to) return;
    bytes += message.size();
    ++messages;
  };
  constexpr Duration kWatched = 600s;
  pool.run_for(kWatched);
  pool.delivering = nullptr;
  const double per_node = static_cast<double>(bytes) / 5 / to_seconds(kWatched);
  std::printf("idle with 256 shards of 5 replicas on 5 nodes: %.1f B/s a node in %.2f messages/s\n",
              per_node, static_cast<double>(messages) / 5 / to_seconds(kWatched));
  EXPECT_LE(per_node, 64);
}

TEST(DhtShards, EachSurvivesTheLossOfAnyTwoOfFive) {
  FakePool pool(3, many_shards());
  pool.add_all(5);
  ASSERT_TRUE(run_until_kept(pool, 5, 120s));
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(pool.create(i % 5, "k" + std::to_string(i), "v"));
  for (int a = 0; a < 5; ++a) {
    for (int b = a + 1; b < 5; ++b) {
      const int reader = a > 0 ? 0 : b > 1 ? 1 : 2;
      pool.crash(a);
      pool.crash(b);
      for (int i = 0; i < 40; i += 3) {
        ASSERT_TRUE(pool.get(reader, "k" + std::to_string(i))) << a << " and " << b << " are down";
      }
      pool.restart(a);
      pool.restart(b);
      pool.run_for(2s);
    }
  }
}

TEST(DhtShards, APrefixOfManyShardsIsListedWhole) {
  FakePool pool(4, many_shards());
  pool.add_all(3);
  ASSERT_TRUE(run_until_kept(pool, 3, 120s));
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(pool.create(i % 3, "k" + std::to_string(100 + i), "v"));
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(pool.create(i % 3, "a/" + std::to_string(i), "v"));
  Bytes digest;
  const auto all = pool.list(1, "k", digest);
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 60u);
  EXPECT_TRUE(
      std::is_sorted(all->begin(), all->end(), [](auto& a, auto& b) { return a.key < b.key; }));
  EXPECT_TRUE(pool.list(2, "k", digest)->empty()) << "nothing has changed";
  ASSERT_TRUE(pool.remove(0, "k100"));
  EXPECT_EQ(pool.list(2, "k", digest)->size(), 59u);
  std::size_t requests = 0;
  pool.delivering = [&](int, int, ByteView) { ++requests; };
  Bytes other;
  EXPECT_EQ(pool.list(2, "a/", other)->size(), 60u);
  EXPECT_LT(requests, 40u) << "one namespace, one shard";
}

TEST(DhtShards, InABigPoolANodeKeepsOnlyItsOwn) {
  FakePool pool(5, many_shards(false));
  pool.options.shards = 16;
  pool.add_all(24);
  ASSERT_TRUE(pool.run_until(
      [&] {
        std::size_t serving = 0;
        for (int i = 0; i < pool.size(); ++i) serving += pool.dht(i).status().groups_serving;
        return serving == 5 * 16;
      },
      120s));
  for (int i = 0; i < 48; ++i) ASSERT_TRUE(pool.create(i % 24, "k" + std::to_string(i), "v"));
  for (int i = 0; i < 48; ++i) ASSERT_TRUE(pool.get((i + 7) % 24, "k" + std::to_string(i)));
}

}  // namespace
}  // namespace wow
