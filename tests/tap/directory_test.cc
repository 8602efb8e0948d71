#include "tap/directory.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/tap/fake_pool.h"

namespace wow {
namespace {

class DirectoryTest : public testing::Test {
 protected:
  DirectoryTest() {
    dht_.set_lease("10.128.0.2", node_address(2), "alpha");
    dht_.set_name("alpha", node_address(2), "10.128.0.2");
  }
  std::optional<LeaseRow> by_name(const std::string& name) {
    std::optional<LeaseRow> row;
    directory_.by_name(name, [&](Result<LeaseRow> r) {
      if (r) row = *r;
    });
    clock_.run_for(1s);
    return row;
  }
  std::optional<LeaseRow> by_ip(const std::string& text) {
    std::optional<LeaseRow> row;
    directory_.by_ip(ip(text), [&](Result<LeaseRow> r) {
      if (r) row = *r;
    });
    clock_.run_for(1s);
    return row;
  }
  std::vector<LeaseRow> list() {
    std::vector<LeaseRow> rows;
    directory_.list([&](Result<std::vector<LeaseRow>> r) { rows = r.value(); });
    clock_.run_for(1s);
    return rows;
  }

  ManualClock clock_;
  FakeDht dht_{clock_};
  DhtCalls calls_ = dht_.calls_for(node_address(1));
  Resolver resolver_{*Prefix::parse("10.128.0.0/16"), calls_, clock_, [](const Address&) {}};
  Directory directory_{calls_, resolver_, clock_, "lab", *Prefix::parse("fd12:3456:789a::/48")};
};

TEST_F(DirectoryTest, FindsAHostBothWays) {
  ASSERT_TRUE(by_name("alpha"));
  EXPECT_EQ(by_name("alpha")->ip, ip("10.128.0.2"));
  ASSERT_TRUE(by_ip("10.128.0.2"));
  EXPECT_EQ(by_ip("10.128.0.2")->name, "alpha");
  EXPECT_FALSE(by_name("beta"));
  EXPECT_FALSE(by_ip("10.128.0.3"));
}

TEST_F(DirectoryTest, ANameThatPointsAtAnothersAddressDoesNotCount) {
  dht_.set_name("evil", node_address(6), "10.128.0.2");
  EXPECT_FALSE(by_name("evil"));
  ASSERT_EQ(list().size(), 1u);
  EXPECT_EQ(list()[0].name, "alpha");
}

TEST_F(DirectoryTest, ALeaseThatClaimsAnothersNameHasNone) {
  dht_.set_lease("10.128.0.6", node_address(6), "alpha");
  EXPECT_EQ(by_ip("10.128.0.6")->name, "");
  ASSERT_EQ(list().size(), 2u);
  EXPECT_EQ(list()[1].name, "");
}

TEST_F(DirectoryTest, HostileValuesAreNoNames) {
  dht_.set("name/two words", node_address(6), to_bytes("\xff\xff"));
  dht_.set("ip/10.128.0.7", node_address(7), to_bytes("\xff\xff"));
  dht_.set_lease("10.128.0.6", node_address(6), "a\nb");
  dht_.set_name("localhost", node_address(6), "10.128.0.6");
  const auto rows = list();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[1].ip, ip("10.128.0.6"));
  EXPECT_EQ(rows[1].name, "");
}

TEST_F(DirectoryTest, FollowingAnUnchangedListGetsRareAndHurriesOnACue) {
  directory_.follow(1s, [](auto&) {});
  clock_.run_for(10min);
  const auto after_long = dht_.asked.size();
  clock_.run_for(10min);
  EXPECT_LE(dht_.asked.size() - after_long, 40u) << "every 16 s or so";
  directory_.hurry();
  const auto before = dht_.asked.size();
  clock_.run_for(1100ms);
  EXPECT_GT(dht_.asked.size(), before);
}

TEST_F(DirectoryTest, FollowingTellsOnlyChanges) {
  std::vector<std::vector<LeaseRow>> told;
  directory_.follow(10s, [&](auto& rows) { told.push_back(rows); });
  clock_.run_for(1min);
  ASSERT_EQ(told.size(), 1u);
  dht_.set_lease("10.128.0.3", node_address(3), "beta");
  dht_.set_name("beta", node_address(3), "10.128.0.3");
  clock_.run_for(20s);
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[1][1].name, "beta");
  dht_.set_lease("10.128.0.3", node_address(3), "beta");  // renewed
  clock_.run_for(1min);
  EXPECT_EQ(told.size(), 2u);
  directory_.follow(Duration{}, nullptr);
  clock_.run_for(1s);
  const auto asked = dht_.asked.size();
  clock_.run_for(1h);
  EXPECT_EQ(dht_.asked.size(), asked);
}

TEST_F(DirectoryTest, AnUnchangedListStillLosesWhatRanOut) {
  dht_.set_lease("10.128.0.3", node_address(3), "", 30s);
  EXPECT_EQ(list().size(), 2u);
  clock_.run_for(1min);
  EXPECT_EQ(list().size(), 1u);
}

}  // namespace
}  // namespace wow
