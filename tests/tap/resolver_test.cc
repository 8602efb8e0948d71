#include "tap/resolver.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/tap/fake_pool.h"

namespace wow {
namespace {

class ResolverTest : public testing::Test {
 protected:
  // Asks, lets a round trip pass, and tells the node or the error.
  std::optional<Address> resolve(const std::string& text) {
    std::optional<Result<Binding>> result;
    resolver_.resolve(ip(text), [&](Result<Binding> r) { result = r; });
    clock_.run_for(FakeDht::kRoundTrip);
    EXPECT_TRUE(result.has_value());
    if (!*result) {
      error_ = result->error().code;
      return std::nullopt;
    }
    return (*result)->node;
  }
  std::ptrdiff_t gets() const { return static_cast<std::ptrdiff_t>(dht_.asked.size()); }

  ManualClock clock_;
  FakeDht dht_{clock_};
  int changes_ = 0;
  Resolver resolver_{*Prefix::parse("10.128.0.0/16"), dht_.calls_for(node_address(1)), clock_,
                     [this](const Address&) { ++changes_; }, Prefix::parse("fd00::/48")};
  std::optional<ErrorCode> error_;
};

TEST_F(ResolverTest, TheOwnerIsWhoSignedTheRecord) {
  dht_.set_lease("10.128.0.2", node_address(2));
  EXPECT_EQ(resolve("10.128.0.2"), node_address(2));
  ASSERT_TRUE(resolver_.find(ip("10.128.0.2")));
  EXPECT_EQ(resolver_.find(ip("10.128.0.2"))->node, node_address(2));
  EXPECT_EQ(changes_, 1);
}

TEST_F(ResolverTest, AsksOnceForManyWhoWaitAndThenFromTheCache) {
  dht_.set_lease("10.128.0.2", node_address(2));
  int answered = 0;
  for (int i = 0; i < 10; ++i) resolver_.resolve(ip("10.128.0.2"), [&](auto) { ++answered; });
  clock_.run_for(1s);
  resolver_.resolve(ip("10.128.0.2"), [&](auto) { ++answered; });
  EXPECT_EQ(answered, 11);
  EXPECT_EQ(gets(), 1);
}

TEST_F(ResolverTest, NobodyIsRememberedForAMomentOnly) {
  EXPECT_FALSE(resolve("10.128.0.2"));
  EXPECT_EQ(error_, ErrorCode::kNotFound);
  dht_.set_lease("10.128.0.2", node_address(2));
  EXPECT_FALSE(resolve("10.128.0.2"));
  EXPECT_EQ(gets(), 1);
  clock_.run_for(Resolver::kNegativeTtl);
  EXPECT_EQ(resolve("10.128.0.2"), node_address(2));
}

TEST_F(ResolverTest, SpecialAddressesAreNeverBelieved) {
  for (const char* special :
       {"10.128.0.0", "10.128.255.254", "10.128.255.255", "127.0.0.1", "169.254.1.1", "224.0.0.251",
        "0.0.0.0", "fe80::1", "ff02::1", "::1", "fd00:0:0:1::1", "fd00::"}) {
    dht_.set_lease(special, node_address(2));
    EXPECT_FALSE(resolve(special)) << special;
  }
  EXPECT_EQ(gets(), 0);
}

TEST_F(ResolverTest, AnOldEntryIsUsedAndAskedForAnew) {
  dht_.set_lease("10.128.0.2", node_address(2), "", 24h);
  resolve("10.128.0.2");
  clock_.run_for(Resolver::kRefreshAfter);
  dht_.set_lease("10.128.0.2", node_address(3), "", 24h);
  EXPECT_EQ(resolve("10.128.0.2"), node_address(2));
  EXPECT_EQ(resolve("10.128.0.2"), node_address(3));
}

TEST_F(ResolverTest, WhatTheDhtSaidHoldsWhileItDoesNotAnswerButNoLongerThanTheLease) {
  dht_.set_lease("10.128.0.2", node_address(2), "", 1h);
  resolve("10.128.0.2");
  dht_.available = false;
  clock_.run_for(59min);
  resolver_.sweep([](auto&) { return true; });
  EXPECT_EQ(resolve("10.128.0.2"), node_address(2));
  clock_.run_for(1min);
  EXPECT_FALSE(resolve("10.128.0.2"));
  EXPECT_EQ(error_, ErrorCode::kUnavailable);
}

TEST_F(ResolverTest, SweepingRefreshesWhatIsInUseAndForgetsWhatEnded) {
  dht_.set_lease("10.128.0.2", node_address(2), "", 24h);
  dht_.set_lease("10.128.0.3", node_address(3), "", 10s);
  resolve("10.128.0.2");
  resolve("10.128.0.3");
  clock_.run_for(Resolver::kRefreshAfter);
  resolver_.sweep([](const Address& node) { return node == node_address(2); });
  EXPECT_EQ(gets(), 3);
  EXPECT_EQ(resolver_.size(), 1u);
}

TEST_F(ResolverTest, OnlyTheNodeItselfCanSayThatTheAddressIsNotItsOwn) {
  dht_.set_lease("10.128.0.2", node_address(2));
  resolve("10.128.0.2");
  clock_.run_for(1s);
  EXPECT_FALSE(resolver_.refute(ip("10.128.0.2"), node_address(3)));
  EXPECT_TRUE(resolver_.refute(ip("10.128.0.2"), node_address(2)));
  EXPECT_FALSE(resolver_.find(ip("10.128.0.2")));
}

TEST_F(ResolverTest, ALiarMakesUsAskTheDhtNowAndThenOnly) {
  dht_.set_lease("10.128.0.2", node_address(2));
  for (int i = 0; i < 1000; ++i) {
    resolver_.refute(ip("10.128.0.2"), node_address(2));
    resolve("10.128.0.2");
    clock_.run_for(1ms);
  }
  EXPECT_LE(gets(), 21s / Resolver::kDoubtAfter + 1);
}

TEST_F(ResolverTest, WhatIsBeingAskedIsBounded) {
  int exhausted = 0;
  for (std::uint32_t i = 1; i <= 1000; ++i) {
    resolver_.resolve(IpAddress::v4(0x0a800000 + i), [&](Result<Binding> r) {
      exhausted += r.error().code == ErrorCode::kExhausted;
    });
  }
  EXPECT_EQ(exhausted, 1000 - static_cast<int>(Resolver::kAskedMax));
  EXPECT_EQ(gets(), static_cast<int>(Resolver::kAskedMax));
}

TEST_F(ResolverTest, TheCacheIsBoundedAndKeepsTheLivingLongest) {
  dht_.set_lease("10.128.200.1", node_address(2), "", 24h);
  resolve("10.128.200.1");
  for (std::uint32_t i = 1; i <= Resolver::kEntriesMax + 100; ++i) {
    resolver_.resolve(IpAddress::v4(0x0a800000 + i), [](auto) {});
    if (i % 100 == 0) clock_.run_for(FakeDht::kRoundTrip);
  }
  EXPECT_EQ(resolver_.size(), Resolver::kEntriesMax);
  EXPECT_TRUE(resolver_.find(ip("10.128.200.1")));
}

}  // namespace
}  // namespace wow
