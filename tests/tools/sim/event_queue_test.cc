#include "tools/sim/event_queue.h"

#include <gtest/gtest.h>

#include <map>
#include <utility>
#include <vector>

#include "base/random.h"

namespace wow {
namespace {

TimePoint at(Duration d) { return TimePoint(d); }

TEST(EventQueue, PopsInOrderOfTimeThenOfAdding) {
  EventQueue queue;
  std::vector<int> fired;
  for (const auto& [when, name] : {std::pair{5ms, 1}, {3ms, 2}, {5ms, 3}, {1ms, 4}})
    queue.add(at(when), {}, [&fired, name = name] { fired.push_back(name); });
  while (auto event = queue.pop(at(5ms))) event->fire();
  EXPECT_EQ(fired, (std::vector<int>{4, 2, 1, 3}));
}

TEST(EventQueue, NothingIsPoppedBeforeItsTimeAndEarlierOnesMayStillCome) {
  EventQueue queue;
  queue.add(at(10s), {1, 0}, [] {});
  EXPECT_FALSE(queue.pop(at(9s)));
  queue.add(at(9500ms), {2, 0}, [] {});
  EXPECT_EQ(queue.pop(at(20s))->owner.id, 2u);
  EXPECT_EQ(queue.pop(at(20s))->owner.id, 1u);
  EXPECT_FALSE(queue.pop(at(20s)));
}

TEST(EventQueue, ADeadIdDoesNoHarmToWhoeverHasItsPlace) {
  EventQueue queue;
  const TimerId dead = queue.add(at(1s), {}, [] {});
  queue.cancel(dead);
  queue.add(at(2s), {}, [] {});
  queue.cancel(dead);
  queue.cancel(0);
  EXPECT_EQ(queue.size(), 1u);
}

TEST(EventQueue, RetimingMovesTheEventsOfOneOwner) {
  EventQueue queue;
  for (const Duration when : {Duration(1us), Duration(2s), Duration(2h)}) {
    queue.add(at(when), {1, 0}, [] {});
    queue.add(at(when), {2, 0}, [] {});
  }
  EXPECT_EQ(queue.pop(at(1us))->owner.id, 1u);
  queue.retime(2, [](TimePoint before) { return before + 1h; });
  std::vector<std::pair<std::uint32_t, TimePoint>> order;
  while (auto event = queue.pop(at(24h))) order.emplace_back(event->owner.id, event->at);
  const std::vector<std::pair<std::uint32_t, TimePoint>> wanted = {
      {1, at(2s)}, {2, at(1h + 1us)}, {2, at(1h + 2s)}, {1, at(2h)}, {2, at(3h)}};
  EXPECT_EQ(order, wanted);
}

// Against an ordered map: spans from nanoseconds to weeks, a third of all events cancelled.
TEST(EventQueue, KeepsTheOrderOfAnOrderedMap) {
  SeededRandom random(1);
  EventQueue queue;
  std::map<std::pair<TimePoint, int>, TimerId> model;
  TimePoint now = at(1h);
  for (int i = 0; i < 200'000; ++i) {
    const std::uint64_t dice = random.below(9);
    if (dice < 4) {
      const Duration wait(random.below(std::uint64_t{1} << random.below(50)));
      model[{now + wait, i}] = queue.add(now + wait, {static_cast<std::uint32_t>(i), 0}, [] {});
    } else if (dice < 5 && !model.empty()) {
      auto victim = model.lower_bound({now + Duration(random.below(1'000'000'000)), 0});
      if (victim == model.end()) victim = model.begin();
      queue.cancel(victim->second);
      model.erase(victim);
    } else {
      const TimePoint end = now + Duration(random.below(std::uint64_t{1} << random.below(36)));
      const auto popped = queue.pop(end);
      const bool due = !model.empty() && model.begin()->first.first <= end;
      ASSERT_EQ(popped.has_value(), due) << i;
      now = popped ? popped->at : end;
      if (!popped) continue;
      ASSERT_EQ(popped->at, model.begin()->first.first) << i;
      ASSERT_EQ(static_cast<int>(popped->owner.id), model.begin()->first.second) << i;
      model.erase(model.begin());
    }
    ASSERT_EQ(queue.size(), model.size());
  }
}

}  // namespace
}  // namespace wow
