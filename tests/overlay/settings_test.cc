// Settings spread over the ring, never roll back, and drop whom they revoke.
#include "tests/overlay/pool_fixture.h"

namespace wow {
namespace {

class SettingsTest : public PoolTest {
 protected:
  // Attempts to link, on the word of those who have not heard yet, are none.
  bool is_open(SimNode& a, SimNode& b) {
    const Session* session = a->session(b.address());
    return session != nullptr && session->state() == SessionState::kOpen;
  }
  bool all_hold(std::uint64_t number) {
    for (SimNode* n : pool_.ring()) {
      if (n->credentials->settings_number() != number) return false;
    }
    return true;
  }
};

TEST_F(SettingsTest, NewOnesReachEverybodyWithinASecond) {
  add_many(20);
  ASSERT_TRUE(becomes_whole(3s));
  int told = 0;
  for (SimNode& n : pool_.members()) n->set_settings_observer([&] { ++told; });
  EXPECT_TRUE(pool_[5]->adopt_settings(FakeCredentials::make_settings(4)));
  EXPECT_TRUE(becomes([&] { return all_hold(4); }, 1s));
  world_.run_for(10ms);
  EXPECT_EQ(told, 20);
}

TEST_F(SettingsTest, OldOrBadOnesAreRefused) {
  add_many(2);
  ASSERT_TRUE(becomes_whole(1s));
  EXPECT_TRUE(pool_[0]->adopt_settings(FakeCredentials::make_settings(4)));
  EXPECT_FALSE(pool_[0]->adopt_settings(FakeCredentials::make_settings(3)));
  EXPECT_FALSE(pool_[0]->adopt_settings(view_of("?")));
  world_.run_for(1s);
  EXPECT_TRUE(all_hold(4));
}

TEST_F(SettingsTest, ANewcomerWithOldOnesGetsThemAtOnce) {
  add_many(5);
  ASSERT_TRUE(becomes_whole(2s));
  pool_[0]->adopt_settings(FakeCredentials::make_settings(9));
  world_.run_for(1s);
  add_public();
  EXPECT_TRUE(becomes([&] { return all_hold(9); }, 500ms));
}

TEST_F(SettingsTest, ANewcomerWithNewerOnesBringsThem) {
  add_many(5);
  ASSERT_TRUE(becomes_whole(2s));
  SimNode& newcomer = add_public();
  newcomer->adopt_settings(FakeCredentials::make_settings(9));
  EXPECT_TRUE(becomes([&] { return all_hold(9); }, 1s));
}

TEST_F(SettingsTest, WhoIsRevokedIsDroppedEverywhereAndStaysOut) {
  add_many(12);
  ASSERT_TRUE(becomes_whole(3s));
  SimNode& outcast = pool_[7];
  pool_[2]->adopt_settings(FakeCredentials::make_settings(2, {outcast.address()}));
  world_.run_for(2s);
  for (SimNode& n : pool_.members()) {
    EXPECT_TRUE(&n == &outcast || !is_open(n, outcast));
  }
  world_.run_for(30s);
  for (SimNode& n : pool_.members()) {
    EXPECT_TRUE(&n == &outcast || !is_open(n, outcast));
  }
  // The others close the gap.
  pool_.crash(outcast);
  EXPECT_TRUE(pool_.ring_is_whole(3));
}

}  // namespace
}  // namespace wow
