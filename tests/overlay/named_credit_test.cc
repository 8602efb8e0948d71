#include "overlay/named_credit.h"

#include <gtest/gtest.h>

#include "tools/sim/fake_credentials.h"

namespace wow {
namespace {

const Address kAnn = FakeCredentials::address_of(1), kBen = FakeCredentials::address_of(2);
constexpr std::uint64_t kExchange = NamedCredit::kFactor * NamedCredit::kExchangeBytes;

TEST(NamedCredit, WhoHasSentNothingHasNone) {
  NamedCredit credit;
  EXPECT_FALSE(credit.spend(kAnn, 1));
}

TEST(NamedCredit, ABytePaysForThree) {
  NamedCredit credit;
  credit.count(kAnn, 7, 0);
  credit.count(kAnn, 7, 100);
  credit.count(kAnn, 7, 100);
  EXPECT_EQ(credit.of(kAnn), kExchange + 300);
  EXPECT_TRUE(credit.spend(kAnn, kExchange + 299));
  EXPECT_FALSE(credit.spend(kAnn, 2));
  EXPECT_TRUE(credit.spend(kAnn, 1));
}

TEST(NamedCredit, NoByteIsCountedTwiceHoweverKeysChange) {
  NamedCredit credit;
  credit.count(kAnn, 7, 0);
  credit.count(kAnn, 7, 100);
  credit.count(kAnn, 8, 50);
  credit.count(kAnn, 7, 100);
  EXPECT_EQ(credit.of(kAnn), 3 * kExchange + 300);
}

TEST(NamedCredit, WhatIsLentIsGivenAway) {
  NamedCredit credit;
  credit.count(kAnn, 7, 0);
  credit.lend(kAnn, kBen, 400);
  EXPECT_EQ(credit.of(kAnn), kExchange - 400);
  EXPECT_EQ(credit.of(kBen), 400u);
  credit.lend(kAnn, kBen, 5000);
  EXPECT_EQ(credit.of(kAnn), 0u);
  EXPECT_EQ(credit.of(kBen), kExchange);
  credit.lend(kBen, kBen, 5000);
  EXPECT_EQ(credit.of(kBen), kExchange);
}

TEST(NamedCredit, SoMuchIsSaved) {
  NamedCredit credit;
  credit.count(kAnn, 7, 0);
  credit.count(kAnn, 7, 1'000'000'000);
  EXPECT_EQ(credit.of(kAnn), NamedCredit::kSavedMax);
}

TEST(NamedCredit, OfThoseWithoutASessionTheOldestIsForgotten) {
  NamedCredit credit;
  credit.count(kAnn, 7, 0);
  credit.count(kBen, 9, 0);
  credit.on_closed(kBen);
  for (std::uint64_t i = 10; i < 10 + 2 * NamedCredit::kUnmetMax; ++i) {
    credit.grant(FakeCredentials::address_of(i), 10);
    EXPECT_LE(credit.size(), NamedCredit::kUnmetMax + 1);
  }
  EXPECT_EQ(credit.of(kAnn), kExchange);
  EXPECT_EQ(credit.of(kBen), 0u);
}

}  // namespace
}  // namespace wow
