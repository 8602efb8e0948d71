// A host moves from one site to another while messages flow both ways.
//
//   r1  r2 (public routers, bootstraps)
//    --------- internet ---------
//    |          |          |
//   NAT A      NAT B     firewall C
//   a1 a2      b1 b2      c1 c2
#include "tests/overlay/pool_fixture.h"

namespace wow {
namespace {

class MoveTest : public PoolTest {
 protected:
  MoveTest() : PoolTest(1, 5ms) {}

  void SetUp() override {
    options_.bootstraps = {*Endpoint::parse("198.51.100.1:4433"),
                           *Endpoint::parse("198.51.100.2:4433")};
    pool_.add(world_.add_host("198.51.100.1"), options_);
    pool_.add(world_.add_host("198.51.100.2"), options_);
    for (Site* site : {&a_, &b_}) {
      pool_.add(world_.add_host("192.168.1.10", *site), options_);
      pool_.add(world_.add_host("192.168.1.11", *site), options_);
    }
    pool_.add(world_.add_host("198.18.0.10", c_), options_);
    pool_.add(world_.add_host("198.18.0.11", c_), options_);
    ASSERT_TRUE(becomes_whole(3s, 3));
    world_.run_for(20s);
  }

  // The longest time without a message between two nodes, in either direction.
  class Stream {
   public:
    Stream(World& world, SimNode& a, SimNode& b) : world_(world), a_(a), b_(b) {
      for (auto [from, to] : {std::pair{&a, &b}, {&b, &a}}) {
        (*to)->set_handler(Service::kUserFirst,
                           [this, to = to, from = from](const Address& sender, ByteView) {
                             if (sender == from->address()) note(to == &a_ ? 0 : 1);
                           });
      }
      last_[0] = last_[1] = world.now();
    }
    void run(Duration span) {
      for (const TimePoint end = world_.now() + span; world_.now() < end; world_.run_for(10ms)) {
        a_->send(b_.address(), Service::kUserFirst, Bytes(100));
        b_->send(a_.address(), Service::kUserFirst, Bytes(100));
      }
      note(0);
      note(1);
    }
    Duration longest_gap() const { return gap_; }

   private:
    void note(int side) {
      gap_ = std::max(gap_, world_.now() - last_[side]);
      last_[side] = world_.now();
    }
    World& world_;
    SimNode &a_, &b_;
    TimePoint last_[2];
    Duration gap_{};
  };

  NodeOptions options_;
  Site& a_ = world_.add_nat("203.0.113.1");
  Site& b_ = world_.add_nat("203.0.113.2");
  Site& c_ = world_.add_firewall();
};

TEST_F(MoveTest, EveryStreamGoesOnWithinASecond) {
  for (const std::size_t other : {0u, 3u, 4u, 6u}) {
    SimNode& mover = pool_[2];
    Stream stream(world_, mover, pool_[other]);
    stream.run(2s);
    if (other % 2 == 0) {
      pool_.move(mover, "198.18.0.2" + std::to_string(other), &c_);
    } else {
      pool_.move(mover, "192.168.1.2" + std::to_string(other), &a_);
    }
    stream.run(3s);
    EXPECT_LT(stream.longest_gap(), 200ms) << other;
    EXPECT_TRUE(pool_.direct(mover, pool_[other])) << other;
    EXPECT_TRUE(becomes_whole(5s)) << other;
    EXPECT_TRUE(pool_.all_routable()) << other;
    world_.run_for(20s);
  }
}

TEST_F(MoveTest, ARouterThatMovesIsFoundAgain) {
  SimNode& mover = pool_[1];
  Stream stream(world_, mover, pool_[4]);
  stream.run(2s);
  pool_.move(mover, "198.51.100.77");
  stream.run(3s);
  EXPECT_LT(stream.longest_gap(), 200ms);
  EXPECT_TRUE(becomes_whole(5s));
}

TEST_F(MoveTest, AStrangerReachesTheMoverMeanwhile) {
  for (int i = 0; i < 30; ++i)
    pool_.add(world_.add_host("198.51.101." + std::to_string(i + 1)), options_);
  ASSERT_TRUE(becomes_whole(5s));
  world_.run_for(20s);
  SimNode* stranger = nullptr;
  for (SimNode& n : pool_.members()) {
    if (n->session(pool_[2].address()) == nullptr) stranger = &n;
  }
  ASSERT_NE(stranger, nullptr);
  count_messages(pool_[2]);
  pool_.move(pool_[2], "198.18.0.20", &c_);
  (*stranger)->send(pool_[2].address(), Service::kUserFirst, view_of("still there?"));
  EXPECT_TRUE(becomes([&] { return received(pool_[2]) == 1; }, 1500ms));
}

TEST_F(MoveTest, TheSameAddressesWithoutAMoveChangeNothing) {
  Stream stream(world_, pool_[2], pool_[4]);
  stream.run(1s);
  pool_[2]->on_network_change();
  stream.run(2s);
  EXPECT_LT(stream.longest_gap(), 100ms);
  EXPECT_TRUE(pool_.ring_is_whole(3));
}

}  // namespace
}  // namespace wow
