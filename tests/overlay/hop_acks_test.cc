// Packets find a way around nodes that died a moment ago and whom nobody misses yet.
#include "tests/overlay/pool_fixture.h"

namespace wow {
namespace {

class HopAcksTest : public PoolTest {};

// Of a pool of 100, of which every seventh has just died, asks each living node who stands at the
// place of another: how many asked, how many were told within 650 ms. Nobody asks twice before
// 700 ms: what is answered earlier was lost nowhere.
class FreshCorpses : public PoolTest {
 public:
  struct Told {
    std::size_t asked = 0, right = 0;
  };
  explicit FreshCorpses(std::uint64_t seed) : PoolTest(seed) {}
  void TestBody() override {}

  Told run() {
    add_many(100);
    EXPECT_TRUE(becomes_whole(20s));
    world_.run_for(1min);
    for (int i = 1; i < 100; i += 7) pool_.crash(pool_[i]);
    const auto told = std::make_shared<Told>();
    for (int from = 0; from < 100; ++from) {
      const int to = (from * 37 + 11) % 100;
      if (from == to || !pool_[from].node || !pool_[to].node) continue;
      ++told->asked;
      pool_[from]->locate(pool_[to].address(), [told, wanted = pool_[to].address()](auto found) {
        if (found == wanted) ++told->right;
      });
    }
    world_.run_for(650ms);
    EXPECT_GT(pool_.total(Metric::kRoutedAgain), 0u);
    return *told;
  }
};

// Four dead hops on one way and back are too many for 650 ms; one question in a hundred meets them.
TEST(HopAcks, RoutesLeadAroundFreshCorpses) {
  FreshCorpses::Told all;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    const auto told = FreshCorpses(seed).run();
    all.asked += told.asked;
    all.right += told.right;
  }
  EXPECT_GE(all.right * 100, all.asked * 98);
}

TEST_F(HopAcksTest, NothingIsSentTwiceWhereNothingIsLost) {
  add_many(30);
  ASSERT_TRUE(becomes_whole(20s));
  world_.run_for(30s);
  const auto before = pool_.total(Metric::kRoutedAgain);
  EXPECT_TRUE(pool_.all_routable());
  EXPECT_EQ(pool_.total(Metric::kRoutedAgain), before);
}

// As on machines or lines that are full: every acknowledgement is late. What each hop sends again
// would keep them full.
TEST_F(HopAcksTest, WhereEverythingIsLateLittleIsSentTwice) {
  add_many(60);
  ASSERT_TRUE(becomes_whole(20s));
  world_.run_for(30s);
  const auto again = pool_.total(Metric::kRoutedAgain);
  const auto forwarded = pool_.total(Metric::kRoutedForwarded);
  world_.set_link([](const SimHost&, const SimHost&) { return ::wow::Link{.latency = 400ms}; });
  for (int i = 0; i < 6000; ++i) {
    pool_[i % 60]->locate(pool_[(i * 37 + i / 60) % 60].address(), [](auto) {});
    if (i % 6 == 0) world_.run_for(10ms);
  }
  EXPECT_LT((pool_.total(Metric::kRoutedAgain) - again) * 4,
            pool_.total(Metric::kRoutedForwarded) - forwarded);
}

}  // namespace
}  // namespace wow
