#include "base/published.h"

#include <gtest/gtest.h>

#include <thread>

namespace wow {
namespace {

// Both halves are equal in every snapshot; a freed one says so.
struct Pair {
  static inline std::atomic<int> alive{0};
  explicit Pair(int v = 0) : left(v), right(v) { ++alive; }
  ~Pair() {
    left = -1;
    --alive;
  }
  Pair(const Pair&) = delete;
  int left, right;
};

TEST(Published, AReaderKeepsItsTableUntilItIsQuiet) {
  Published<Pair> table(1);
  table.awake(0);
  const Pair& held = table.read();
  table.publish(std::make_unique<Pair>(1));
  table.publish(std::make_unique<Pair>(2));
  EXPECT_EQ(held.left, 0);
  EXPECT_EQ(Pair::alive, 3);
  EXPECT_EQ(table.read().left, 2);
  EXPECT_EQ(table.latest().left, 2);
  table.quiet(0);
  table.collect();
  EXPECT_EQ(Pair::alive, 1);
}

TEST(Published, ASleeperHoldsNothing) {
  {
    Published<Pair> table(2);  // nobody has woken yet
    table.publish(std::make_unique<Pair>(1));
    EXPECT_EQ(Pair::alive, 1);
    table.awake(0);
    table.publish(std::make_unique<Pair>(2));
    EXPECT_EQ(Pair::alive, 2);
    table.asleep(0);
    table.collect();
    EXPECT_EQ(Pair::alive, 1);
  }
  EXPECT_EQ(Pair::alive, 0);
}

TEST(Published, TwoReadersNeverSeeAFreedOrHalfWrittenTable) {
  constexpr int kRounds = 20000;
  Published<Pair> table(2);
  std::atomic<bool> stop{false};
  std::array<std::atomic<int>, 2> wrong{};
  const auto read = [&](int reader) {
    int last = 0;
    while (!stop.load()) {
      table.awake(reader);
      for (int i = 0; i < 10; ++i) {
        const Pair& pair = table.read();
        if (pair.left != pair.right || pair.left < last) ++wrong[reader];
        last = pair.right;
        if (i % 3 == 0) table.quiet(reader);
      }
      table.asleep(reader);
    }
  };
  std::thread first(read, 0), second(read, 1);
  int most_alive = 0;
  for (int i = 1; i <= kRounds; ++i) {
    table.publish(std::make_unique<Pair>(i));
    most_alive = std::max(most_alive, Pair::alive.load());
  }
  stop = true;
  first.join();
  second.join();
  table.collect();
  EXPECT_EQ(wrong[0] + wrong[1], 0);
  EXPECT_EQ(Pair::alive, 1);
  EXPECT_GE(most_alive, 1);
}

}  // namespace
}  // namespace wow
