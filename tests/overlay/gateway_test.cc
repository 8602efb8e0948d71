#include "overlay/gateway.h"

#include "overlay/limits.h"
#include "tests/overlay/pool_fixture.h"

namespace wow {
namespace {

class GatewayTest : public PoolTest {
 protected:
  SimNode& node_ = add_public();
  Gateway gateway_{node_.host.clock()};
  static Address at(std::uint64_t i) { return FakeCredentials::address_of(i); }
};

TEST_F(GatewayTest, ClosesByItself) {
  EXPECT_FALSE(gateway_.is_open());
  gateway_.open(at(1));
  EXPECT_TRUE(gateway_.is_open());
  EXPECT_EQ(gateway_.contact(), at(1));
  world_.run_for(ring::kGatewayFor - 1s);
  gateway_.open(at(2));
  world_.run_for(ring::kGatewayFor - 1s);
  EXPECT_TRUE(gateway_.is_open());
  EXPECT_EQ(gateway_.contact(), at(2));
  world_.run_for(1s);
  EXPECT_FALSE(gateway_.is_open());
}

TEST_F(GatewayTest, KnowsTheLatestWayBackForAWhile) {
  EXPECT_TRUE(gateway_.way_to(at(1)).is_zero());
  gateway_.note_way_to(at(1), at(2));
  gateway_.note_way_to(at(1), at(3));
  gateway_.note_way_to(at(4), {});  // our own packet
  EXPECT_EQ(gateway_.way_to(at(1)), at(3));
  EXPECT_TRUE(gateway_.way_to(at(4)).is_zero());
  world_.run_for(ring::kIngressLife);
  EXPECT_TRUE(gateway_.way_to(at(1)).is_zero());
  gateway_.forget_old();
  EXPECT_EQ(gateway_.size(), 0u);
}

TEST_F(GatewayTest, ForgetsTheOldestWayWhenThereAreTooMany) {
  for (std::uint64_t i = 1; i <= ring::kIngressMax + 1; ++i) {
    gateway_.note_way_to(at(i), at(5000));
    world_.run_for(1ms);
  }
  EXPECT_EQ(gateway_.size(), ring::kIngressMax);
  EXPECT_TRUE(gateway_.way_to(at(1)).is_zero());
  EXPECT_EQ(gateway_.way_to(at(2)), at(5000));
}

}  // namespace
}  // namespace wow
