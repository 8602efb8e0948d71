#include "base/random.h"

#include <gtest/gtest.h>

#include <array>

namespace wow {
namespace {

TEST(SeededRandom, IsSplitMix64OnEveryMachine) {
  // The first outputs of the published generator for this seed, low byte first.
  Bytes out(16);
  SeededRandom(1234567).fill(out);
  std::uint64_t words[2] = {};
  for (int i = 15; i >= 0; --i) words[i / 8] = words[i / 8] << 8 | out[i];
  EXPECT_EQ(words[0], 6457827717110365317u);
  EXPECT_EQ(words[1], 3203168211198807973u);
  EXPECT_NE(SeededRandom(1).u64(), SeededRandom(2).u64());
}

TEST(SeededRandom, FillsAnyLength) {
  for (std::size_t size = 0; size < 20; ++size) {
    Bytes whole(24), part(size, 0xaa);
    SeededRandom(1).fill(whole);
    SeededRandom(1).fill(part);
    EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin()));
  }
}

TEST(Random, BelowIsUniform) {
  SeededRandom random(3);
  std::array<int, 7> counts{};
  for (int i = 0; i < 70000; ++i) ++counts.at(random.below(7));
  for (const int count : counts) EXPECT_NEAR(count, 10000, 400);
  EXPECT_EQ(random.below(1), 0u);
}

TEST(Random, BelowRejectsTheTailThatWouldFavourLowResults) {
  // Gives the highest value first, which must be thrown away, then five.
  class Scripted final : public Random {
    void fill(MutableBytes out) override {
      std::fill(out.begin(), out.end(), first_ ? 0xff : 0);
      if (!first_) out.back() = 5;
      first_ = false;
    }
    bool first_ = true;
  } random;
  EXPECT_EQ(random.below(10), 5u);
}

TEST(Random, UnitAndJitterStayInTheirBounds) {
  SeededRandom random(4);
  double low = 1, high = 0;
  Duration least = 1h, most = 0s;
  for (int i = 0; i < 10000; ++i) {
    const double unit = random.unit();
    low = std::min(low, unit), high = std::max(high, unit);
    const Duration delay = random.jittered(10s, 0.2);
    least = std::min(least, delay), most = std::max(most, delay);
  }
  EXPECT_GE(low, 0);
  EXPECT_LT(low, 0.01);
  EXPECT_LT(high, 1);
  EXPECT_GT(high, 0.99);
  EXPECT_GE(least, 8s);
  EXPECT_LT(least, 8100ms);
  EXPECT_LE(most, 12s);
  EXPECT_GT(most, 11900ms);
}

}  // namespace
}  // namespace wow
