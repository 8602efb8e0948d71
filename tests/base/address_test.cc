#include "base/address.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/random.h"

namespace wow {
namespace {

const Address kZero;
const Address kOne = Address::power_of_two(0);
const Address kTop = kZero - kOne;  // 2^160 - 1

Address drawn(Random& random) {
  std::array<std::uint8_t, Address::kBytes> raw;
  random.fill(raw);
  return Address::from_bytes(raw);
}

TEST(Address, ReadsAndWritesFortyDigits) {
  const std::string digits = "0123456789abcdef0123456789abcdef01234567";
  const auto address = Address::from_hex(digits);
  ASSERT_TRUE(address);
  EXPECT_EQ(address->hex(), digits);
  EXPECT_EQ(address->short_hex(), "01234567");
  EXPECT_FALSE(Address::from_hex(digits.substr(1)));
  EXPECT_FALSE(Address::from_hex(digits.substr(2)));
  EXPECT_FALSE(Address::from_hex("g" + digits.substr(1)));
}

TEST(Address, ParsesExactlyTwentyBytes) {
  const Bytes bytes(21, 7);
  EXPECT_TRUE(Address::parse(ByteView(bytes).first(20)));
  EXPECT_FALSE(Address::parse(ByteView(bytes).first(19)));
  EXPECT_FALSE(Address::parse(bytes));
  EXPECT_EQ(Address::from_bytes(bytes).bytes().size(), 20u);
}

TEST(Address, ArithmeticCarriesAndWrapsAround) {
  EXPECT_EQ(kTop.hex(), std::string(40, 'f'));
  EXPECT_EQ(kTop + kOne, kZero);
  EXPECT_EQ(Address::power_of_two(7) + Address::power_of_two(7), Address::power_of_two(8));
  EXPECT_EQ(Address::power_of_two(8) - kOne, *Address::from_hex(std::string(38, '0') + "ff"));
  SeededRandom random(1);
  for (int i = 0; i < 1000; ++i) {
    const Address a = drawn(random), b = drawn(random);
    EXPECT_EQ(a + b - b, a);
    EXPECT_EQ(a - b + (b - a), kZero);
  }
}

// Byte by byte, as on paper: borrows cross every boundary between words.
TEST(Address, ArithmeticIsThatOfBytes) {
  SeededRandom random(2);
  for (int i = 0; i < 10'000; ++i) {
    std::array<std::uint8_t, Address::kBytes> a, b, difference;
    for (auto* raw : {&a, &b}) {
      random.fill(*raw);
      // Long runs of equal and of extreme bytes.
      const std::size_t from = random.below(Address::kBytes), to = random.below(Address::kBytes);
      for (std::size_t at = from; at < to; ++at) (*raw)[at] = random.below(2) == 0 ? 0 : 0xff;
    }
    if (i % 3 == 0) std::copy_n(a.begin(), random.below(Address::kBytes), b.begin());
    int borrow = 0;
    for (int at = Address::kBytes - 1; at >= 0; --at) {
      const int d = a[at] - b[at] - borrow;
      difference[at] = static_cast<std::uint8_t>(d);
      borrow = d < 0 ? 1 : 0;
    }
    const Address x = Address::from_bytes(a), y = Address::from_bytes(b);
    ASSERT_EQ(x - y, Address::from_bytes(difference));
    ASSERT_EQ(x - y + y, x);
    ASSERT_EQ(x < y, a < b);
    ASSERT_EQ(x == y, a == b);
    ASSERT_EQ(ring_distance(x, y), std::min(x - y, y - x));
  }
}

TEST(Address, OrderIsThatOfNumbers) {
  EXPECT_LT(kZero, kOne);
  EXPECT_LT(Address::power_of_two(8) - kOne, Address::power_of_two(8));
  EXPECT_LT(Address::power_of_two(158), Address::power_of_two(159));
  EXPECT_TRUE(kZero.is_zero());
  EXPECT_FALSE(kOne.is_zero());
}

TEST(Ring, DistanceIsTheShorterWayRound) {
  EXPECT_EQ(clockwise(kTop, kOne), Address::power_of_two(1));
  EXPECT_EQ(ring_distance(kTop, kOne), Address::power_of_two(1));
  EXPECT_EQ(ring_distance(kOne, kTop), Address::power_of_two(1));
  EXPECT_EQ(ring_distance(kZero, Address::power_of_two(159)), Address::power_of_two(159));
  SeededRandom random(2);
  for (int i = 0; i < 1000; ++i) {
    const Address a = drawn(random), b = drawn(random);
    EXPECT_EQ(ring_distance(a, b), ring_distance(b, a));
    EXPECT_LE(ring_distance(a, b), Address::power_of_two(159));
  }
}

TEST(Ring, OfTwoEquallyNearTheLowerIsNearer) {
  const Address middle = Address::power_of_two(100);
  const Address below = middle - kOne, above = middle + kOne;
  EXPECT_TRUE(nearer(below, above, middle));
  EXPECT_FALSE(nearer(above, below, middle));
  EXPECT_FALSE(nearer(below, below, middle));
  EXPECT_TRUE(nearer(kTop, Address::power_of_two(3), kOne));  // across zero
}

TEST(Ring, BetweenWalksClockwiseFromExclusiveToInclusive) {
  const Address two = kOne + kOne;
  EXPECT_TRUE(between(kOne, kZero, two));
  EXPECT_TRUE(between(two, kZero, two));
  EXPECT_FALSE(between(kZero, kZero, two));
  EXPECT_TRUE(between(kZero, kTop, kOne));  // across zero
  EXPECT_FALSE(between(kTop, kZero, two));
  EXPECT_FALSE(between(kOne, two, two));  // an empty walk
}

TEST(Ring, Log2MeasuresDistances) {
  for (const int bit : {0, 1, 7, 8, 63, 64, 100, 159}) {
    EXPECT_DOUBLE_EQ(log2_of(Address::power_of_two(bit)), bit);
  }
  EXPECT_DOUBLE_EQ(log2_of(kOne + Address::power_of_two(1)), std::log2(3));
  EXPECT_NEAR(log2_of(kTop), 160, 1e-9);
  EXPECT_EQ(log2_of(kZero), -std::numeric_limits<double>::infinity());
}

}  // namespace
}  // namespace wow
