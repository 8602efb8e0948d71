// Pools of every small size come up, one node after another or all at once.
#include "tests/overlay/pool_fixture.h"

namespace wow {
namespace {

class JoinTest : public PoolTest {};

TEST_F(JoinTest, ANodeWithNobodyToAskIsAloneAndJoinedAtOnce) {
  SimNode& only = add_public();
  int joined = 0;
  only->on_joined([&] { ++joined; });
  world_.run_for(10ms);
  EXPECT_TRUE(only->alone());
  EXPECT_TRUE(only->joined());
  EXPECT_EQ(joined, 1);
  EXPECT_EQ(only->size_estimate(), 1);
}

TEST_F(JoinTest, ANodeWhoseBootstrapIsSilentIsAloneAfterThreeSeconds) {
  NodeOptions options;
  options.bootstraps = {*Endpoint::parse("203.0.113.9:4433")};
  SimNode& only = pool_.add(world_.add_host("198.51.100.1"), options);
  world_.run_for(2900ms);
  EXPECT_FALSE(only->alone());
  EXPECT_FALSE(only->joined());
  world_.run_for(200ms);
  EXPECT_TRUE(only->alone());
  EXPECT_TRUE(only->joined());
}

TEST_F(JoinTest, TwoNodesAreARing) {
  SimNode& a = add_public();
  SimNode& b = add_public();
  int joined = 0;
  b->on_joined([&] { ++joined; });
  EXPECT_TRUE(becomes_whole(200ms));
  EXPECT_EQ(joined, 1);
  EXPECT_FALSE(a->alone());
  EXPECT_FALSE(b->alone());
  EXPECT_TRUE(pool_.all_routable());
}

TEST_F(JoinTest, ThreeNodesAtOnceAreARing) {
  add_many(3);
  EXPECT_TRUE(becomes_whole(1s));
  EXPECT_TRUE(pool_.all_routable());
}

TEST_F(JoinTest, TwoFoundersThatNameEachOtherMeet) {
  NodeOptions to_b, to_a;
  to_b.bootstraps = {*Endpoint::parse("198.51.100.2:4433")};
  to_a.bootstraps = {*Endpoint::parse("198.51.100.1:4433")};
  pool_.add(world_.add_host("198.51.100.1"), to_b);
  pool_.add(world_.add_host("198.51.100.2"), to_a);
  EXPECT_TRUE(becomes_whole(1s));
}

TEST_F(JoinTest, ANodeThatNamesItselfAsBootstrapIsNotConfused) {
  NodeOptions options;
  options.bootstraps = {*Endpoint::parse("198.51.100.1:4433")};
  SimNode& only = pool_.add(world_.add_host("198.51.100.1"), options);
  world_.run_for(4s);
  EXPECT_TRUE(only->joined());
  EXPECT_TRUE(only->edges().empty());
}

// From the moment on at which it says that it has joined.
class JoinUnderQuestions : public PoolTest {
 protected:
  JoinUnderQuestions() : PoolTest(1, 100ms) {}
  void SetUp() override {
    add_many(60);
    ASSERT_TRUE(becomes_whole(20s));
    world_.run_for(20s);
  }

  // Who answers for this address, of whomever is asked.
  void ask(SimNode& from, const Address& target) {
    ++asked_;
    from->locate(target, [this, target](std::optional<Address> found) {
      const auto& ring = pool_.ring();
      const auto nearest = std::ranges::min_element(
          ring, [&](SimNode* a, SimNode* b) { return nearer(a->address(), b->address(), target); });
      right_ += found == (*nearest)->address() ? 1 : 0;
    });
  }
  std::size_t asked_ = 0, right_ = 0;
};

TEST_F(JoinUnderQuestions, WhatIsNearestToItEndsWithIt) {
  for (int i = 0; i < 20; ++i) {
    SimNode& newcomer = add_public();
    ASSERT_TRUE(becomes([&] { return newcomer->joined(); }, 5s));
    const auto ring = pool_.ring();
    for (SimNode* member : ring) {
      if (member != &newcomer) ask(newcomer, member->address());
    }
    for (std::size_t k = 0; k < ring.size(); k += 7) {
      if (ring[k] != &newcomer) ask(*ring[k], newcomer.address());
    }
    world_.run_for(4s);
  }
  EXPECT_EQ(right_, asked_);
}

// While it joins others answer for what it will be asked for.
TEST_F(JoinUnderQuestions, WhoHasNotJoinedYetAnswersForNobody) {
  for (int i = 0; i < 20; ++i) {
    SimNode& newcomer = add_public();
    while (!newcomer->joined()) {
      const auto& ring = pool_.ring();
      SimNode& asker = *ring[world_.now().time_since_epoch().count() / 20'000'000 % ring.size()];
      for (SimNode* member : ring) {
        if (asker->joined() && member != &newcomer) ask(asker, member->address());
      }
      world_.run_for(100ms);
    }
    world_.run_for(4s);
  }
  EXPECT_EQ(right_, asked_);
}

TEST_F(JoinTest, EightOneAfterAnother) {
  for (int i = 0; i < 8; ++i) {
    add_public();
    EXPECT_TRUE(becomes([&] { return pool_.all_joined(); }, 1s)) << i;
  }
  EXPECT_TRUE(becomes_whole(1s));
  EXPECT_TRUE(pool_.all_routable());
}

TEST_F(JoinTest, EightAtOnce) {
  add_many(8);
  EXPECT_TRUE(becomes_whole(2s));
  EXPECT_TRUE(pool_.all_routable());
}

TEST_F(JoinTest, FiftyOneAfterAnother) {
  for (int i = 0; i < 50; ++i) {
    add_public();
    ASSERT_TRUE(becomes([&] { return pool_.all_joined(); }, 1s)) << i;
  }
  EXPECT_TRUE(becomes_whole(2s));
  EXPECT_TRUE(pool_.all_routable());
}

TEST_F(JoinTest, FiftyAtOnce) {
  add_many(50);
  EXPECT_TRUE(becomes([&] { return pool_.all_joined(); }, 1s));
  EXPECT_TRUE(becomes_whole(4s));
  EXPECT_TRUE(pool_.all_routable());
}

TEST_F(JoinTest, FiftyAtOnceOverLossyLinks) {
  world_.set_link(::wow::Link{.latency = 10ms, .jitter = 5ms, .loss = 0.05, .duplicate = 0.01});
  add_many(50);
  EXPECT_TRUE(becomes_whole(10s));
  world_.set_link(::wow::Link{.latency = 10ms});
  world_.run_for(3s);
  EXPECT_TRUE(pool_.ring_is_whole(3));
  EXPECT_TRUE(pool_.all_routable());
}

TEST_F(JoinTest, ABusyBootstrapRefersNewcomersToOthers) {
  NodeOptions options;
  options.limits.handshakes_max = 16;
  for (int i = 1; i <= 150; ++i) {
    pool_.add(world_.add_host("198.51.100." + std::to_string(i)), options);
  }
  std::size_t most = 0;
  EXPECT_TRUE(becomes(
      [&] {
        most = std::max(most, pool_[0]->sessions().handshakes_under_way());
        return pool_.ring_is_whole(1);
      },
      20s));
  EXPECT_GT(pool_.total(Metric::kReferred), 0u);
  EXPECT_LE(most, options.limits.handshakes_max + options.limits.dials_max);
}

TEST_F(JoinTest, EdgesAreFewAndTheSizeIsKnown) {
  add_many(50);
  world_.run_for(60s);
  double sum = 0;
  for (SimNode* node : pool_.ring()) {
    std::map<EdgeRole, int> count;
    for (const auto& edge : (*node)->edges()) {
      for (const auto role : edge.roles) ++count[role];
    }
    EXPECT_GE(count[EdgeRole::kNear], 6);
    EXPECT_LE(count[EdgeRole::kNear], 8);
    EXPECT_GE(count[EdgeRole::kFar], 3);
    EXPECT_LE(count[EdgeRole::kFar], 24);
    sum += (*node)->size_estimate();
  }
  EXPECT_NEAR(sum / 50, 50, 20);
}

TEST_F(JoinTest, AnIdleNodeSaysLittle) {
  add_many(20);
  ASSERT_TRUE(becomes_whole(2s));
  world_.run_for(5min);
  const auto sent = [&] {
    std::uint64_t bytes = 0;
    for (SimNode& n : pool_.members()) {
      bytes += n.host.counters().bytes_out + 28 * n.host.counters().datagrams_out;
    }
    return bytes;
  };
  const auto before = sent();
  world_.run_for(10min);
  EXPECT_LT((sent() - before) / 600 / 20, 300u);  // bytes a second and node, with IP and UDP
}

TEST(JoinRuns, TheSameSeedGivesTheSameRun) {
  const auto run = [](std::uint64_t seed) {
    set_log_sink([](LogLevel, const std::string&) {});
    World world(seed);
    world.set_link(::wow::Link{.latency = 10ms, .jitter = 3ms, .loss = 0.02});
    SimPool pool(world);
    for (int i = 1; i <= 12; ++i) {
      pool.add(world.add_host("198.51.100." + std::to_string(i)));
      world.run_for(50ms);
    }
    world.run_for(5s);
    pool.crash(pool[3]);
    world.run_for(10s);
    set_log_sink({});
    return world.trace_hash();
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
}

}  // namespace
}  // namespace wow
