// Packets find a way around nodes that died a moment ago and whom nobody misses yet.
#include "tests/overlay/pool_fixture.h"

namespace wow {
namespace {

class HopAcksTest : public PoolTest {};

TEST_F(HopAcksTest, RoutesLeadAroundFreshCorpses) {
  add_many(100);
  ASSERT_TRUE(becomes_whole(20s));
  world_.run_for(1min);
  for (int i = 1; i < 100; i += 7) pool_.crash(pool_[i]);
  // Nobody asks twice before 700 ms: what is answered earlier was lost nowhere.
  std::size_t asked = 0;
  const auto right = std::make_shared<std::size_t>(0);
  for (int from = 0; from < 100; ++from) {
    const int to = (from * 37 + 11) % 100;
    if (from == to || !pool_[from].node || !pool_[to].node) continue;
    ++asked;
    pool_[from]->locate(pool_[to].address(), [right, wanted = pool_[to].address()](auto found) {
      if (found == wanted) ++*right;
    });
  }
  world_.run_for(650ms);
  EXPECT_GE(*right + 1, asked);
  EXPECT_GT(pool_.total(Metric::kRoutedAgain), 0u);
}

TEST_F(HopAcksTest, NothingIsSentTwiceWhereNothingIsLost) {
  add_many(30);
  ASSERT_TRUE(becomes_whole(20s));
  world_.run_for(30s);
  const auto before = pool_.total(Metric::kRoutedAgain);
  EXPECT_TRUE(pool_.all_routable());
  EXPECT_EQ(pool_.total(Metric::kRoutedAgain), before);
}

}  // namespace
}  // namespace wow
