// What its users have of a group that changes, and what the change costs.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <utility>

#include "dht/group.h"
#include "tests/dht/fake_pool.h"

namespace wow {
namespace {

constexpr int kFilled = 400;

// "key/0" and so on, 800 bytes each: some twenty pages.
const std::string& filling() {
  static const std::string data(800, 'x');
  return data;
}
void fill(FakePool& pool, int node) {
  for (int i = 0; i < kFilled; ++i)
    ASSERT_TRUE(pool.create(node, "key/" + std::to_string(i), filling()));
}

TEST(DhtGroup, WhoLooksUpWhatWasInstalledDoesNotWaitForItsWriting) {
  FakePool pool(3, founded_by_first());
  pool.jitter = 0ms;
  pool.add_all(3);
  ASSERT_TRUE(pool.run_until_group(3, 5s));
  ASSERT_TRUE(pool.create(2, "read", "1"));
  ASSERT_TRUE(pool.create(2, "looked up", "2"));
  pool.add_all(5);
  ASSERT_TRUE(pool.run_until_group(5, 30s));
  pool.run_for(15s);
  const int client = pool.nearest().back();
  ASSERT_FALSE(pool.dht(client).status().member);
  const auto timed = [&](const std::function<Result<DhtRecord>()>& read, const std::string& data) {
    const TimePoint begun = pool.now();
    const auto found = read();
    EXPECT_TRUE(found && to_string(found->data) == data);
    return pool.now() - begun;
  };
  // To a member, from there to the others, and back.
  const Duration settled = 4 * pool.delay;
  EXPECT_GT(timed([&] { return pool.get(client, "read"); }, "1"), settled);
  EXPECT_EQ(timed([&] { return pool.get(client, "read"); }, "1"), settled);
  EXPECT_EQ(timed([&] { return pool.look_up(client, "looked up"); }, "2"), settled);
  pool.run_for(1s);
  EXPECT_EQ(timed([&] { return pool.get(client, "looked up"); }, "2"), settled)
      << "it was written meanwhile";
}

// Its records take many round trips to be copied to those who had none.
TEST(DhtGroup, WhoLooksUpWhileTheGroupChangesIsAnsweredAtOnce) {
  FakePool pool(3, founded_by_first());
  pool.jitter = 0ms;
  const int founder = pool.add();
  ASSERT_TRUE(pool.run_until_group(1, 5s));
  fill(pool, founder);
  pool.add_all(7);
  pool.run_for(500ms);
  const int client = pool.nearest().back();
  const auto epoch = [&] { return pool.dht(client).status().epoch; };
  const auto before = epoch();
  Duration longest{}, changing{};
  const TimePoint end = pool.now() + 20s;
  while (pool.now() < end) {
    const TimePoint begun = pool.now();
    const auto found = pool.look_up(client, "key/7");
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(to_string(found->data), filling());
    longest = std::max(longest, pool.now() - begun);
    const auto serving = std::ranges::count_if(
        pool.nearest(), [&](int node) { return pool.dht(node).status().serving; });
    if (serving < 2) changing += pool.now() - begun;
    pool.run_for(5ms);
  }
  EXPECT_GT(epoch(), before);
  EXPECT_GT(changing, 10 * pool.delay) << "else there was nothing to wait for";
  // To a member, from there to the others, and back; and to others, if the first were interrupted.
  EXPECT_LE(longest, 10 * pool.delay);
}

// Four of its five members go on, one of which has missed a write.
TEST(DhtGroup, WhatItsOldMembersHoldAlikeIsNotCopiedWhenItChanges) {
  FakePool pool(3, founded_by_first());
  pool.jitter = 0ms;
  pool.add_all(8);
  ASSERT_TRUE(pool.run_until_group(5, 30s));
  pool.run_for(30s);
  const auto nodes = pool.nearest();
  const std::set<int> old(nodes.begin(), nodes.begin() + 4);
  fill(pool, nodes[0]);
  pool.blocked = [late = nodes[3]](int from, int to) { return from == late || to == late; };
  ASSERT_TRUE(pool.put(nodes[0], "key/200", "another"));
  pool.blocked = nullptr;
  pool.run_for(1s);

  std::size_t among_old = 0, to_new = 0;
  pool.delivering = [&](int, int to, ByteView message) {
    pb::DhtMessage parsed;
    if (!parsed.ParseFromArray(message.data(), static_cast<int>(message.size()))) return;
    (old.contains(to) ? among_old : to_new) += parsed.fetch_reply().registers_size();
  };
  const auto serving = [&] {
    return std::ranges::count_if(
        nodes, [&](int node) { return pool.is_up(node) && pool.dht(node).status().serving; });
  };
  const auto epoch = pool.dht(nodes[0]).status().epoch;
  pool.crash(nodes[4]);
  ASSERT_TRUE(pool.run_until([&] { return serving() < 3; }, 60s)) << "it has not changed";
  const TimePoint sealed = pool.now();
  ASSERT_TRUE(pool.run_until([&] { return serving() >= 3; }, 60s));
  EXPECT_LE(pool.now() - sealed, 6 * pool.delay);
  ASSERT_TRUE(pool.run_until([&] { return serving() == 5; }, 60s));
  EXPECT_GT(pool.dht(nodes[0]).status().epoch, epoch);
  EXPECT_GE(to_new, static_cast<std::size_t>(kFilled)) << "it had nothing";
  EXPECT_GT(among_old, 0u);
  // Each of the four would copy from three. Who learned of the change first asks again when the
  // others have it, and has forgotten what was before by then.
  EXPECT_LT(among_old, static_cast<std::size_t>(4 * kFilled));
  EXPECT_EQ(to_string(pool.get(nodes[3], "key/200")->data), "another");
  for (const int i : {0, 199, 201, kFilled - 1})
    EXPECT_EQ(to_string(pool.get(nodes[3], "key/" + std::to_string(i))->data), filling());
}

TEST(DhtGroup, HostsThatComeAndGoDoNotChangeIt) {
  FakePool pool(3, founded_by_first());
  pool.add_all(8);
  ASSERT_TRUE(pool.run_until_group(5, 30s));
  pool.run_for(30s);
  auto members = pool.nearest();
  members.resize(5);
  const auto epoch = pool.dht(members.front()).status().epoch;
  const auto is_drawn = [&](int guest) {
    return nearer(pool.address(guest), pool.address(members.back()), dht::shard_centre());
  };
  // One goes as the next comes: at any time somebody new is there.
  int near = 0;
  for (int guest = pool.add(), i = 0; i < 60; ++i) {
    near += is_drawn(guest);
    pool.run_for(4s);
    const int next = pool.add();
    pool.crash(std::exchange(guest, next));
  }
  EXPECT_GT(near, 10) << "else there was nothing to be drawn by";
  EXPECT_EQ(pool.dht(members.front()).status().epoch, epoch);
  for (const int member : members) EXPECT_TRUE(pool.dht(member).status().serving);
  // Who stays is taken in.
  pool.add_all(6);
  EXPECT_TRUE(
      pool.run_until([&] { return pool.dht(members.front()).status().epoch > epoch; }, 60s));
}

// Where a member is silent nothing that was only installed is held by all, and whoever lists in
// full has it all written once more, from each member that is asked. Directories list all the time.
TEST(DhtGroup, DirectoriesCostNoWritesWhenTheGroupHasChanged) {
  constexpr int kKeys = 100;
  FakePool pool(3, founded_by_first());
  pool.add_all(3);
  ASSERT_TRUE(pool.run_until_group(3, 5s));
  for (int i = 0; i < kKeys; ++i) ASSERT_TRUE(pool.create(2, "key/" + std::to_string(i), "x"));
  pool.add_all(5);
  ASSERT_TRUE(pool.run_until_group(5, 30s));
  pool.run_for(15s);
  const auto nearest = pool.nearest();
  pool.crash(nearest[4]);
  std::size_t messages = 0;
  pool.delivering = [&](int, int, ByteView) { ++messages; };
  for (int i = 5; i < 8; ++i) {
    const auto all = pool.look_up_all(nearest[static_cast<std::size_t>(i)], "key/");
    ASSERT_TRUE(all);
    EXPECT_EQ(all->size(), static_cast<std::size_t>(kKeys));
  }
  EXPECT_LT(messages, 200u);
  Bytes digest;
  const TimePoint begun = pool.now();
  const auto all = pool.list(nearest[5], "key/", digest);
  EXPECT_TRUE(all && all->size() == kKeys);
  EXPECT_LT(pool.now() - begun, kDhtOperationLimit);
  EXPECT_GT(messages, 1000u) << "a full one has to write";
}

// Its record cannot be written once more, which a list would do where a member is silent.
TEST(DhtGroup, WhatAnExpelledMemberHeldIsNotListed) {
  FakePool pool(3, founded_by_first());
  pool.add_all(3);
  ASSERT_TRUE(pool.run_until_group(3, 5s));
  constexpr int kExpelled = 2;
  ASSERT_TRUE(pool.create(1, "key/stays", "x"));
  ASSERT_TRUE(pool.create(kExpelled, "key/goes", "x"));
  pool.add_all(5);
  ASSERT_TRUE(pool.run_until_group(5, 30s));
  pool.run_for(15s);
  const auto nearest = pool.nearest();
  pool.crash(nearest[4]);
  for (int i = 0; i < pool.size(); ++i) {
    ASSERT_TRUE(pool.credentials(i).adopt_settings(
        FakeCredentials::make_settings(2, {pool.address(kExpelled)})));
  }
  Bytes digest;
  const auto all = pool.list(nearest[5], "key/", digest);
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 1u);
  EXPECT_EQ(all->front().key, "key/stays");
}

TEST(DhtGroup, GrowsFromTheFounderToThreeAndFiveAndKeepsWhatItHolds) {
  FakePool pool(3, founded_by_first());
  pool.add();
  ASSERT_TRUE(pool.create(0, "before", "1"));
  pool.add();
  pool.run_for(15s);
  EXPECT_EQ(pool.dht(1).status().members.size(), 1u) << "two nodes keep one replica";
  pool.add();
  ASSERT_TRUE(pool.run_until_group(3, 5s)) << "a pool of three survives a death soon";
  ASSERT_TRUE(pool.create(2, "between", "2"));
  pool.add_all(5);
  ASSERT_TRUE(pool.run_until_group(5, 30s));
  const auto nearest = pool.nearest();
  const auto status = pool.dht(7).status();
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(status.members[static_cast<std::size_t>(i)],
              pool.address(nearest[static_cast<std::size_t>(i)]));
  }
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(to_string(pool.get(i, "before")->data), "1");
    EXPECT_EQ(to_string(pool.get(i, "between")->data), "2");
    EXPECT_EQ(pool.dht(i).status().records, pool.dht(i).status().member ? 2u : 0u)
        << "old members forget";
  }
}

}  // namespace
}  // namespace wow
