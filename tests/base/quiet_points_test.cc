#include "base/quiet_points.h"

#include <gtest/gtest.h>

#include <array>
#include <thread>

namespace wow {
namespace {

// Says when it is freed.
struct Counted {
  static inline std::atomic<int> alive{0};
  explicit Counted(int v = 0) : left(v), right(v) { ++alive; }
  ~Counted() {
    left = -1;
    --alive;
  }
  Counted(const Counted&) = delete;
  int left, right;
};

// A pointer that is replaced.
struct Shared {
  explicit Shared(int readers) : points(readers), current(new Counted) {}
  ~Shared() { delete current.load(); }
  void replace(int value) {
    points.retire(std::unique_ptr<const Counted>(current.exchange(new Counted(value))));
  }
  QuietPoints points;
  std::atomic<const Counted*> current;
};

TEST(QuietPoints, WhatAReaderMayHoldIsKeptUntilItIsQuiet) {
  Shared shared(1);
  shared.points.awake(0);
  const Counted* held = shared.current;
  shared.replace(1);
  shared.replace(2);
  EXPECT_EQ(held->left, 0);
  EXPECT_EQ(Counted::alive, 3);
  EXPECT_TRUE(shared.points.has_retired());
  shared.points.quiet(0);
  shared.points.collect();
  EXPECT_EQ(Counted::alive, 1);
  EXPECT_FALSE(shared.points.has_retired());
}

TEST(QuietPoints, ASleeperHoldsNothing) {
  {
    Shared shared(2);  // nobody has woken yet
    shared.replace(1);
    EXPECT_EQ(Counted::alive, 1);
    shared.points.awake(0);
    shared.replace(2);
    EXPECT_EQ(Counted::alive, 2);
    shared.points.asleep(0);
    shared.points.collect();
    EXPECT_EQ(Counted::alive, 1);
    shared.points.awake(0);
    shared.replace(3);
  }
  EXPECT_EQ(Counted::alive, 0) << "the last of them go with it";
}

TEST(QuietPoints, TwoReadersNeverSeeAFreedOrHalfWrittenObject) {
  constexpr int kRounds = 20000;
  Shared shared(2);
  std::atomic<bool> stop{false};
  std::array<std::atomic<int>, 2> wrong{};
  const auto read = [&](int reader) {
    int last = 0;
    while (!stop.load()) {
      shared.points.awake(reader);
      for (int i = 0; i < 10; ++i) {
        const Counted& object = *shared.current.load(std::memory_order_acquire);
        if (object.left != object.right || object.left < last) ++wrong[reader];
        last = object.right;
        if (i % 3 == 0) shared.points.quiet(reader);
      }
      shared.points.asleep(reader);
    }
  };
  std::thread first(read, 0), second(read, 1);
  for (int i = 1; i <= kRounds; ++i) shared.replace(i);
  stop = true;
  first.join();
  second.join();
  shared.points.collect();
  EXPECT_EQ(wrong[0] + wrong[1], 0);
  EXPECT_EQ(Counted::alive, 1);
}

}  // namespace
}  // namespace wow
