#include "overlay/far.h"

#include <algorithm>

#include "overlay/limits.h"
#include "tests/overlay/pool_fixture.h"

namespace wow {
namespace {

constexpr int kNodes = 60;

// Two continents: quick within, slow between.
class Far : public PoolTest {
 protected:
  void settle(Duration across) {
    world_.set_link([across](const SimHost& from, const SimHost& to) {
      const bool same = from.id() % 2 == to.id() % 2;
      return ::wow::Link{.latency = same ? Duration(10ms) : across};
    });
    add_many(kNodes);
    ASSERT_TRUE(becomes_whole(10s));
    world_.run_for(10s);
  }
  // The part of all far edges (that are not near, too) that stays on its continent.
  double quick_part() {
    int quick = 0, all = 0;
    for (const SimNode* m : pool_.ring()) {
      for (const EdgeInfo& e : m->node->edges()) {
        const auto has = [&](EdgeRole role) {
          return std::find(e.roles.begin(), e.roles.end(), role) != e.roles.end();
        };
        if (!has(EdgeRole::kFar) || has(EdgeRole::kNear)) continue;
        ++all;
        quick += pool_.find(e.peer)->host.id() % 2 == m->host.id() % 2 ? 1 : 0;
      }
    }
    return static_cast<double>(quick) / all;
  }
  std::uint64_t handshakes() { return pool_.total(Metric::kHandshakesDone); }
};

TEST_F(Far, EdgesGoToTheQuickestOfSeveralCandidates) {
  settle(100ms);
  EXPECT_LT(quick_part(), 0.65);
  world_.run_for(4min);
  EXPECT_GT(quick_part(), 0.85);
  for (const SimNode* m : pool_.ring()) {
    std::size_t far = 0;
    for (const EdgeInfo& e : m->node->edges()) {
      far += std::count(e.roles.begin(), e.roles.end(), EdgeRole::kFar);
    }
    // Ours, and at most twice as many of others.
    EXPECT_LE(far, 3u * (far_wanted(m->node->size_estimate()) + 2));
  }
}

TEST_F(Far, ComparingComesToAnEnd) {
  settle(100ms);
  world_.run_for(10min);  // and what was only for joining is let go
  const auto before = handshakes();
  world_.run_for(10min);
  EXPECT_EQ(handshakes(), before);
}

TEST_F(Far, WhereAllAreAlikeNothingIsCompared) {
  settle(10ms);
  world_.run_for(10s);
  const auto before = handshakes();
  world_.run_for(3min);
  EXPECT_LT(handshakes(), before + kNodes);  // but for edges that were drawn late
}

// Most of those that a node remembers it knows from its neighbours' lists only.
TEST_F(Far, NeighboursSayWhereOthersAre) {
  settle(10ms);
  std::size_t only_told = 0;
  for (const SimNode* m : pool_.ring()) {
    for (const Member& known : m->node->remember()) {
      SimNode* it = pool_.find(known.address);
      ASSERT_NE(it, nullptr);
      EXPECT_EQ(known.endpoints.front(), it->host.endpoint()) << known.address.hex();
      only_told += m->node->session(known.address) == nullptr ? 1 : 0;
    }
  }
  EXPECT_GT(only_told, 3u * kNodes);
}

}  // namespace
}  // namespace wow
