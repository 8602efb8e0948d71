#include "overlay/ctm_memory.h"

#include <gtest/gtest.h>

#include <limits>

#include "overlay/limits.h"
#include "tests/overlay/pool_fixture.h"

namespace wow {
namespace {

Ctm of(std::uint64_t source, std::int64_t sent_at, std::uint64_t id) {
  Ctm ctm;
  ctm.source.address = FakeCredentials::address_of(source);
  ctm.sent_at = sent_at;
  ctm.id = id;
  return ctm;
}

constexpr TimePoint kNow{Duration(1h)};

TEST(CtmMemory, RefusesRepeatedAndOlderOnesOfASourceOnly) {
  CtmMemory memory;
  EXPECT_TRUE(memory.is_new(of(1, 50'000, 7), kNow));
  EXPECT_FALSE(memory.is_new(of(1, 50'000, 7), kNow + 1s));
  EXPECT_TRUE(memory.is_new(of(1, 49'000, 8), kNow + 1s));  // overtaken on the way
  EXPECT_FALSE(memory.is_new(of(1, 47'000, 9), kNow + 1s));
  EXPECT_TRUE(memory.is_new(of(1, 50'000, 9), kNow + 1s));
  EXPECT_TRUE(memory.is_new(of(2, 47'000, 9), kNow + 1s));
}

TEST(CtmMemory, AClockThatIsSetBackIsHeardAgainAfterAWhile) {
  CtmMemory memory;
  EXPECT_TRUE(memory.is_new(of(1, 1'000'000'000, 1), kNow));
  EXPECT_FALSE(memory.is_new(of(1, 1, 2), kNow + 30s));
  EXPECT_TRUE(memory.is_new(of(1, 1, 3), kNow + ring::kCtmMemory + 1s));
}

TEST(CtmMemory, TimesWithoutReasonDoNoHarm) {
  CtmMemory memory;
  const auto most = std::numeric_limits<std::int64_t>::max();
  EXPECT_TRUE(memory.is_new(of(1, -most, 1), kNow));
  EXPECT_TRUE(memory.is_new(of(1, most, 2), kNow));
  EXPECT_FALSE(memory.is_new(of(1, -most, 3), kNow));
}

TEST(CtmMemory, IsBounded) {
  CtmMemory memory;
  for (std::uint64_t i = 1; i <= ring::kRatesMax + 50; ++i) {
    memory.is_new(of(i, 1, 1), kNow + Duration(i));
  }
  EXPECT_EQ(memory.size(), ring::kRatesMax);
  EXPECT_FALSE(memory.is_new(of(ring::kRatesMax + 50, 1, 1), kNow + 1s));
}

class DeadClockTest : public PoolTest {};

TEST_F(DeadClockTest, AMemberWhoseClockIsDeadJoinsLikeAnyOther) {
  add_many(8);
  ASSERT_TRUE(becomes_whole(5s));
  NodeOptions options;
  options.bootstraps = {pool_[0].host.endpoint()};
  for (const auto off : {-std::chrono::hours(24 * 365 * 50), std::chrono::hours(26)}) {
    SimHost& host = world_.add_host("203.0.113." + std::to_string(pool_.members().size()));
    host.set_wall_offset(off);
    pool_.add(host, options);
    EXPECT_TRUE(becomes_whole(3s));
  }
  EXPECT_TRUE(pool_.all_routable());
}

}  // namespace
}  // namespace wow
