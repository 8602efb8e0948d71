#include "tunnel/linux/punt_queue.h"

#include <gtest/gtest.h>

#include <thread>

namespace wow {
namespace {

Punt numbered(std::uint32_t n) { return {Punt::Kind::kOpened, 0, n, {}, {}}; }

TEST(PuntQueue, WakesItsReaderOnceForMany) {
  int woken = 0;
  PuntQueue queue([&] { ++woken; });
  EXPECT_TRUE(queue.take_all().empty());
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_TRUE(queue.push(numbered(i)));
  EXPECT_EQ(woken, 1);
  const auto taken = queue.take_all();
  ASSERT_EQ(taken.size(), 3u);
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_EQ(taken[i].index, i);
  EXPECT_TRUE(queue.push(numbered(3)));
  EXPECT_EQ(woken, 2);
}

TEST(PuntQueue, IsBounded) {
  PuntQueue queue([] {});
  for (std::uint32_t i = 0; i < PuntQueue::kPuntsMax; ++i) EXPECT_TRUE(queue.push(numbered(i)));
  EXPECT_FALSE(queue.push(numbered(0)));
  EXPECT_EQ(queue.take_all().size(), PuntQueue::kPuntsMax);
  EXPECT_TRUE(queue.push(numbered(0)));
}

TEST(PuntQueue, ManyWritersLoseNothing) {
  std::atomic<int> woken{0};
  PuntQueue queue([&] { ++woken; });
  const auto write = [&] {
    for (std::uint32_t i = 0; i < 400; ++i) EXPECT_TRUE(queue.push(numbered(i)));
  };
  std::thread first(write), second(write);
  first.join();
  second.join();
  EXPECT_EQ(queue.take_all().size(), 800u);
  EXPECT_EQ(woken, 1);
}

}  // namespace
}  // namespace wow
