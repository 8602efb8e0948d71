// What will happen in a World, in order of (time, order of adding). A hierarchical timing wheel
// (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", SOSP 1987) over pooled events: with
// millions of timers, adding and cancelling touches a few of them instead of log n. Only the events
// of the current millisecond are sorted.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"

namespace wow {

class EventQueue {
 public:
  static constexpr std::uint32_t kNobody = UINT32_MAX;
  // Whose event it is (a host), and in which of its lives.
  struct Owner {
    std::uint32_t id = kNobody;
    std::uint32_t life = 0;
  };
  struct Event {
    TimePoint at{};
    Owner owner;
    std::function<void()> fire;
  };

  EventQueue();

  // `at` must not be before the last popped event's.
  TimerId add(TimePoint at, Owner owner, std::function<void()> fire);
  void cancel(TimerId id);
  // The earliest event is taken out if it is due at `end` or before.
  std::optional<Event> pop(TimePoint end);
  // Gives every waiting event of this host a new time; for the rare moments when its clock stops.
  void retime(std::uint32_t owner, const std::function<TimePoint(TimePoint)>& new_time);
  std::size_t size() const { return size_; }

 private:
  using Index = std::uint32_t;
  static constexpr Index kNone = UINT32_MAX;
  static constexpr int kTickBits = 20;  // about a millisecond
  static constexpr int kLevelBits = 12;
  static constexpr int kLevels = 3;  // 2^(20 + 3 * 12) ns: two years
  static constexpr std::size_t kBuckets = std::size_t{1} << kLevelBits;
  static constexpr int kChunkBits = 10;

  struct Slot {
    std::uint64_t at = 0;  // ns
    std::uint64_t sequence = 0;
    std::function<void()> fire;
    Owner owner;
    std::uint32_t generation = 1;
    Index next = kNone, previous = kNone;
    std::uint16_t bucket = 0;
    std::uint8_t level = 0;  // kLevels: among the sorted; beyond: free
    bool dead = false;       // cancelled among the sorted
  };
  struct Sorted {
    std::uint64_t at, sequence;
    Index slot;
    bool operator>(const Sorted& o) const { return at != o.at ? at > o.at : sequence > o.sequence; }
  };
  struct Level {
    std::vector<Index> heads;
    std::array<std::uint64_t, kBuckets / 64> filled{};
  };

  Slot& slot(Index i) { return chunks_[i >> kChunkBits][i & ((1u << kChunkBits) - 1)]; }
  Index take_slot();
  void release(Index i);
  void place(Index i);
  void unlink(Index i);
  bool sort_next_bucket();
  std::optional<std::size_t> next_filled(const Level& level, std::size_t from) const;
  void spill(int level, std::size_t bucket);

  std::vector<std::unique_ptr<Slot[]>> chunks_;
  Index used_ = 0;      // slots ever taken
  Index free_ = kNone;  // a list through `next`
  std::array<Level, kLevels> levels_;
  std::vector<Sorted> sorted_;  // a heap, the earliest on top: all events of ticks up to tick_
  std::uint64_t tick_ = 0;      // the one being popped
  std::uint64_t sequence_ = 0;
  std::size_t size_ = 0;
};

}  // namespace wow
