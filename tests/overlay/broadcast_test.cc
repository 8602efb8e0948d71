// A broadcast reaches everybody once, in few hops, although some die meanwhile.
#include "overlay/limits.h"
#include "tests/overlay/pool_fixture.h"

namespace wow {
namespace {

class BroadcastTest : public PoolTest {
 protected:
  void listen() {
    for (SimNode& m : pool_.members()) {
      m->set_broadcast_handler(Service::kUserFirst,
                               [this, &m](const Address&, ByteView payload, std::uint32_t hops) {
                                 heard_[&m].push_back(to_string(payload));
                                 deepest_ = std::max(deepest_, hops);
                               });
    }
  }
  void pool_of(int n) {
    add_many(n);
    ASSERT_TRUE(becomes_whole(20s, 1));
    world_.run_for(30s);
    listen();
  }

  std::map<SimNode*, std::vector<std::string>> heard_;
  std::uint32_t deepest_ = 0;
};

TEST_F(BroadcastTest, EverybodyHearsItOnceInFewHops) {
  pool_of(256);
  ASSERT_TRUE(pool_[7]->broadcast(Service::kUserFirst, view_of("hello")));
  world_.run_for(2s);
  EXPECT_EQ(heard_.size(), 255u);
  for (const auto& [node, messages] : heard_) EXPECT_EQ(messages.size(), 1u);
  EXPECT_LE(deepest_, 10u);
  EXPECT_FALSE(heard_.contains(&pool_[7]));
  world_.run_for(30s);
  for (SimNode& m : pool_.members()) EXPECT_EQ(m->tables().broadcasts, 0u);
}

TEST_F(BroadcastTest, TheLivingHearItAlthoughATenthDies) {
  pool_of(200);
  for (int i = 3; i < 200; i += 10) pool_.crash(pool_[i]);
  ASSERT_TRUE(pool_[0]->broadcast(Service::kUserFirst, view_of("hello")));
  world_.run_for(20s);
  EXPECT_EQ(heard_.size(), 179u);
  for (const auto& [node, messages] : heard_) EXPECT_EQ(messages.size(), 1u);
}

TEST_F(BroadcastTest, OneOriginIsLimitedByOthers) {
  pool_of(8);
  for (int i = 0; i < 100; ++i) pool_[0]->broadcast(Service::kUserFirst, view_of("spam"));
  world_.run_for(1s);
  for (const auto& [node, messages] : heard_) {
    EXPECT_LE(messages.size(), ring::kBroadcastsBurst + 2 * ring::kBroadcastsPerSecond);
  }
  EXPECT_FALSE(pool_[0]->broadcast(Service::kUserFirst, Bytes(1025)));
}

}  // namespace
}  // namespace wow
