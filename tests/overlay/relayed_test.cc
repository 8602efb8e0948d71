// Pairs that cannot exchange packets: near neighbours among them get a relayed edge, through a
// third that both can reach, and every node stays routable.
#include <set>

#include "overlay/limits.h"
#include "tests/overlay/pool_fixture.h"
#include "tools/sim/ring_checker.h"

namespace wow {
namespace {

class RelayedTest : public PoolTest {
 protected:
  // Of all pairs this part, 0..1, cannot exchange packets; the same for the same seed.
  void block_part(double part, std::uint64_t seed) {
    world_.set_blocked([part, seed](const SimHost& from, const SimHost& to) {
      return is_blocked(from.id(), to.id(), part, seed);
    });
  }
  void block(SimNode& a, SimNode& b) {
    world_.set_blocked([&a, &b](const SimHost& from, const SimHost& to) {
      return (&from == &a.host && &to == &b.host) || (&from == &b.host && &to == &a.host);
    });
  }
  static bool is_blocked(std::uint32_t a, std::uint32_t b, double part, std::uint64_t seed) {
    const auto [low, high] = std::minmax(a, b);
    SeededRandom random(seed << 40 ^ std::uint64_t{high} << 20 ^ low);
    return random.unit() < part;
  }
  // Public hosts, started one after the other, each with a bootstrap that it can reach. Those that
  // nobody can reach, even by way of others, are left out.
  void add_blocked(int count, double part, std::uint64_t seed) {
    block_part(part, seed);
    std::vector<SimHost*> waiting;
    for (int i = 0; i < count; ++i) {
      ++public_hosts_;
      waiting.push_back(&world_.add_host("198.51." + std::to_string(public_hosts_ / 200) + "." +
                                         std::to_string(public_hosts_ % 200 + 1)));
    }
    pool_.add(*waiting.front());
    waiting.erase(waiting.begin());
    for (std::size_t i = 0; i < pool_.members().size(); ++i) {
      SimHost& known = pool_[i].host;
      NodeOptions options;
      options.bootstraps = {known.endpoint()};
      std::erase_if(waiting, [&](SimHost* host) {
        if (is_blocked(known.id(), host->id(), part, seed)) return false;
        pool_.add(*host, options);
        world_.run_for(20ms);
        return true;
      });
    }
  }
  // Ordered pairs of which a packet from one would not arrive at the other.
  std::size_t unroutable() {
    std::size_t out = 0;
    for (SimNode* from : pool_.ring()) {
      for (SimNode* to : pool_.ring()) {
        if (from != to && !walk(pool_, *from, to->address()).arrived) ++out;
      }
    }
    return out;
  }
  // Whether two relays can stand between them: three links in a row.
  bool can_be_relayed(SimNode& a, SimNode& b, double part, std::uint64_t seed) {
    std::set<SimNode*> reached = {&a};
    for (int links = 0; links < 3; ++links) {
      const auto before = reached;
      for (SimNode* x : before) {
        for (SimNode& y : pool_.members()) {
          if (!is_blocked(x->host.id(), y.host.id(), part, seed)) reached.insert(&y);
        }
      }
    }
    return reached.contains(&b);
  }
  // Near neighbours without an edge, though two relays or fewer would do.
  std::size_t lacking(double part, std::uint64_t seed) {
    const auto& ring = pool_.ring();
    std::size_t out = 0;
    for (std::size_t i = 0; i < ring.size(); ++i) {
      for (std::size_t step = 1; step <= ring::kNearPerSide; ++step) {
        SimNode& other = *ring[(i + step) % ring.size()];
        const bool linked =
            (*ring[i])->is_neighbour(other.address()) && other->is_neighbour(ring[i]->address());
        if (!linked && can_be_relayed(*ring[i], other, part, seed)) ++out;
      }
    }
    return out;
  }
  const EdgeInfo* edge(SimNode& of, SimNode& to) {
    edges_ = of->edges();
    for (const EdgeInfo& e : edges_) {
      if (e.peer == to.address()) return &e;
    }
    return nullptr;
  }
  std::size_t relayed_edges() {
    std::size_t out = 0;
    for (SimNode* m : pool_.ring()) {
      for (const EdgeInfo& e : (*m)->edges()) out += e.relayed ? 1 : 0;
    }
    return out;
  }

  std::vector<EdgeInfo> edges_;
};

TEST_F(RelayedTest, WhoStopsTellsThoseWhoHearOfItThroughOthers) {
  add_many(24);
  ASSERT_TRUE(becomes_whole(20s));
  world_.run_for(5s);
  int told = 0;
  const std::vector<SimNode*> ring = pool_.ring();
  for (SimNode* a : ring) {
    const auto stranger = std::ranges::find_if(ring, [&](SimNode* b) {
      return b != a && (*a)->session(b->address()) == nullptr && (*b)->joined();
    });
    if (stranger == ring.end()) continue;
    SimNode& b = **stranger;
    (*a)->want_shortcut(b.address());
    const auto is_routed = [&] {
      const Session* there = b->session(a->address());
      return there != nullptr && there->state() == SessionState::kOpen && !there->is_direct();
    };
    if (!world_.run_until(is_routed, 2s, 1ms)) continue;
    (*a)->stop();
    EXPECT_TRUE(becomes([&] { return b->session(a->address()) == nullptr; }, 200ms));
    if (++told == 3) break;
  }
  EXPECT_EQ(told, 3);
}

TEST_F(RelayedTest, NeighboursThatCannotLinkGetARelayedEdge) {
  add_many(12);
  SimNode& a = *pool_.ring()[3];
  SimNode& b = *pool_.ring()[4];
  block(a, b);
  ASSERT_TRUE(becomes_whole(4s));
  ASSERT_NE(edge(a, b), nullptr);
  EXPECT_TRUE(edge(a, b)->relayed);
  EXPECT_FALSE(edge(a, b)->direct);
  EXPECT_TRUE(edge(b, a)->relayed);
  EXPECT_EQ(relayed_edges(), 2u);
  EXPECT_TRUE(pool_.all_routable());
  world_.run_for(5min);
  EXPECT_TRUE(pool_.ring_is_whole(3)) << "it stays";
  EXPECT_EQ(relayed_edges(), 2u);
  std::size_t passed_on = 0;
  for (SimNode& m : pool_.members()) passed_on += m->tables().circuits;
  EXPECT_EQ(passed_on, 1u);

  // Upgraded in place once packets pass, and the circuit is given back.
  world_.set_blocked({});
  world_.run_for(3min);
  EXPECT_TRUE(pool_.direct(a, b));
  for (SimNode& m : pool_.members()) EXPECT_EQ(m->tables().circuits + m->tables().circuit_ends, 0u);
}

// While a pool starts everybody is everybody's neighbour for a moment. A circuit keeps the edges to
// its relay, and so entries of two NATs.
TEST_F(RelayedTest, WhoIsANeighbourNoMoreIsNotRelayedForLong) {
  add_many(12);
  SimNode& a = *pool_.ring()[3];
  SimNode& b = *pool_.ring()[4];
  block(a, b);
  ASSERT_TRUE(becomes_whole(4s));
  ASSERT_TRUE(edge(a, b) != nullptr && edge(a, b)->relayed);
  add_many(80);
  ASSERT_TRUE(becomes_whole(10s));
  const auto place = [&](SimNode& node) {
    return std::ranges::find(pool_.ring(), &node) - pool_.ring().begin();
  };
  ASSERT_GT(place(b) - place(a), static_cast<std::ptrdiff_t>(ring::kNearPerSide));
  world_.run_for(75s);
  EXPECT_EQ(a->tables().circuit_ends + b->tables().circuit_ends, 0u);
}

TEST_F(RelayedTest, WhenTheRelayDiesAnotherIsChosenAtOnce) {
  add_many(12);
  SimNode& a = *pool_.ring()[3];
  SimNode& b = *pool_.ring()[4];
  block(a, b);
  ASSERT_TRUE(becomes_whole(4s));
  world_.run_for(30s);
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(edge(a, b)->relayed);
    SimNode* relay = pool_.find(edge(a, b)->path.via);
    ASSERT_NE(relay, nullptr);
    pool_.crash(*relay);
    EXPECT_TRUE(becomes(
        [&] {
          const EdgeInfo* e = edge(a, b);
          return e != nullptr && e->relayed && e->path.via != relay->address();
        },
        6s))
        << round;
    EXPECT_TRUE(becomes_whole(10s, 1));
    world_.run_for(10s);
  }
}

TEST_F(RelayedTest, AJoinerWithOneReachableBootstrapJoins) {
  add_many(20);
  ASSERT_TRUE(becomes_whole(4s));
  SimHost& host = world_.add_host("203.0.113.77");
  // It reaches two of twenty, and only one of them is a bootstrap.
  world_.set_blocked([&](const SimHost& from, const SimHost& to) {
    if (&from != &host && &to != &host) return false;
    const SimHost& other = &from == &host ? to : from;
    return &other != &pool_[2].host && &other != &pool_[11].host;
  });
  NodeOptions options;
  for (int i = 0; i < 3; ++i) options.bootstraps.push_back(pool_[i].host.endpoint());
  pool_.add(host, options);
  EXPECT_TRUE(becomes_whole(15s));
  EXPECT_EQ(unroutable(), 0u);
}

TEST_F(RelayedTest, ThroughTwoRelays) {
  // a reaches only r, b only s, all others reach each other.
  add_many(12);
  SimNode& a = *pool_.ring()[3];
  SimNode& b = *pool_.ring()[4];
  SimNode& r = *pool_.ring()[8];
  SimNode& s = *pool_.ring()[10];
  const auto only = [](const SimHost& x, const SimHost& y, SimNode& end, SimNode& friend_) {
    if (&x != &end.host && &y != &end.host) return false;
    return &x != &friend_.host && &y != &friend_.host;
  };
  world_.set_blocked([&](const SimHost& from, const SimHost& to) {
    return only(from, to, a, r) || only(from, to, b, s);
  });
  for (SimNode* m : {&a, &b}) pool_.crash(*m);
  a.options.bootstraps = {r.host.endpoint()};
  b.options.bootstraps = {s.host.endpoint()};
  a.options.remembered.clear();
  b.options.remembered.clear();
  world_.run_for(30s);
  for (SimNode* m : {&a, &b}) pool_.restart(*m);
  EXPECT_TRUE(becomes_whole(60s));
  ASSERT_NE(edge(a, b), nullptr);
  EXPECT_TRUE(edge(a, b)->relayed);
  EXPECT_EQ(unroutable(), 0u);
  // What a trace says.
  const Path way = a->session(b.address())->path().path,
             back = b->session(a.address())->path().path;
  EXPECT_EQ(way.via, r.address());
  EXPECT_EQ(back.via, s.address());
  const SecondRelay beyond_r = a->second_relay(way.circuit);
  EXPECT_TRUE(beyond_r.is && (beyond_r.node.is_zero() || beyond_r.node == s.address()));
  EXPECT_TRUE(b->second_relay(back.circuit).is);
}

class BlockedPairs : public RelayedTest,
                     public testing::WithParamInterface<std::tuple<int, double, int>> {};

TEST_P(BlockedPairs, HaveTheirNeighboursAndAllIsRoutable) {
  const auto [count, part, seed] = GetParam();
  add_blocked(count, part, seed);
  EXPECT_TRUE(world_.run_until([&, part = part, seed = seed] { return lacking(part, seed) == 0; },
                               20s, Duration(100ms)))
      << lacking(part, seed);
  world_.run_for(5s);
  EXPECT_EQ(unroutable(), 0u);
}

INSTANTIATE_TEST_SUITE_P(All, BlockedPairs,
                         testing::Combine(testing::Values(10, 20, 50), testing::Values(0.3, 0.5),
                                          testing::Values(1, 2)));

}  // namespace
}  // namespace wow
