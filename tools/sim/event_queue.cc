#include "tools/sim/event_queue.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace wow {

EventQueue::EventQueue() {
  for (Level& level : levels_) level.heads.assign(kBuckets, kNone);
}

TimerId EventQueue::add(TimePoint at, Owner owner, std::function<void()> fire) {
  const Index i = take_slot();
  Slot& s = slot(i);
  s.at = static_cast<std::uint64_t>(at.time_since_epoch().count());
  s.sequence = ++sequence_;
  s.owner = owner;
  s.fire = std::move(fire);
  s.dead = false;
  place(i);
  ++size_;
  return TimerId{s.generation} << 32 | i;
}

void EventQueue::cancel(TimerId id) {
  const auto i = static_cast<Index>(id);
  if (i >= used_) return;
  Slot& s = slot(i);
  if (s.generation != id >> 32 || s.dead || s.level > kLevels) return;
  --size_;
  if (s.level == kLevels) {  // popped and freed in its turn
    s.dead = true;
    s.fire = nullptr;
    return;
  }
  unlink(i);
  release(i);
}

std::optional<EventQueue::Event> EventQueue::pop(TimePoint end) {
  const auto end_ns = static_cast<std::uint64_t>(end.time_since_epoch().count());
  for (;;) {
    while (sorted_.empty()) {
      if (size_ == 0 || !sort_next_bucket()) return std::nullopt;
    }
    const Sorted first = sorted_.front();
    Slot& s = slot(first.slot);
    if (!s.dead && first.at > end_ns) return std::nullopt;
    std::pop_heap(sorted_.begin(), sorted_.end(), std::greater<>());
    sorted_.pop_back();
    if (s.dead) {
      release(first.slot);
      continue;
    }
    Event out{TimePoint(Duration(static_cast<Duration::rep>(first.at))), s.owner,
              std::move(s.fire)};
    release(first.slot);
    --size_;
    return out;
  }
}

void EventQueue::retime(std::uint32_t owner, const std::function<TimePoint(TimePoint)>& new_time) {
  std::vector<Index> owned;
  for (Index i = 0; i < used_; ++i) {
    const Slot& s = slot(i);
    if (s.level <= kLevels && !s.dead && s.owner.id == owner) owned.push_back(i);
  }
  for (const Index i : owned) {
    Slot& s = slot(i);
    const auto at = new_time(TimePoint(Duration(static_cast<Duration::rep>(s.at))));
    s.at = static_cast<std::uint64_t>(at.time_since_epoch().count());
    if (s.level < kLevels) {
      unlink(i);
    } else {
      std::erase_if(sorted_, [i](const Sorted& e) { return e.slot == i; });
      std::make_heap(sorted_.begin(), sorted_.end(), std::greater<>());
    }
    place(i);
  }
}

EventQueue::Index EventQueue::take_slot() {
  if (free_ != kNone) return std::exchange(free_, slot(free_).next);
  if (used_ == chunks_.size() << kChunkBits)
    chunks_.push_back(std::make_unique<Slot[]>(std::size_t{1} << kChunkBits));
  return used_++;
}

void EventQueue::release(Index i) {
  Slot& s = slot(i);
  ++s.generation;
  s.fire = nullptr;
  s.level = kLevels + 1;
  s.next = free_;
  free_ = i;
}

// Into the finest level whose span around the current tick holds it; into the sorted if its tick
// has begun.
void EventQueue::place(Index i) {
  Slot& s = slot(i);
  const std::uint64_t tick = s.at >> kTickBits;
  if (tick <= tick_) {
    s.level = kLevels;
    sorted_.push_back({s.at, s.sequence, i});
    std::push_heap(sorted_.begin(), sorted_.end(), std::greater<>());
    return;
  }
  int level = 0;
  const auto beyond = [&](int l) { return tick >> kLevelBits * l != tick_ >> kLevelBits * l; };
  while (level + 1 < kLevels && beyond(level + 1)) ++level;
  s.level = static_cast<std::uint8_t>(level);
  s.bucket = static_cast<std::uint16_t>(tick >> kLevelBits * level & (kBuckets - 1));
  if (beyond(kLevels)) s.bucket = kBuckets - 1;
  Level& into = levels_[level];
  Index& head = into.heads[s.bucket];
  s.previous = kNone;
  s.next = head;
  if (head != kNone) slot(head).previous = i;
  head = i;
  into.filled[s.bucket / 64] |= std::uint64_t{1} << s.bucket % 64;
}

void EventQueue::unlink(Index i) {
  const Slot& s = slot(i);
  if (s.next != kNone) slot(s.next).previous = s.previous;
  if (s.previous != kNone) {
    slot(s.previous).next = s.next;
    return;
  }
  Level& from = levels_[s.level];
  from.heads[s.bucket] = s.next;
  if (s.next == kNone) from.filled[s.bucket / 64] &= ~(std::uint64_t{1} << s.bucket % 64);
}

std::optional<std::size_t> EventQueue::next_filled(const Level& level, std::size_t from) const {
  for (std::size_t word = from / 64; word < level.filled.size(); ++word) {
    std::uint64_t bits = level.filled[word];
    if (word == from / 64) bits &= ~std::uint64_t{0} << from % 64;
    if (bits != 0) return word * 64 + static_cast<std::size_t>(std::countr_zero(bits));
  }
  return std::nullopt;
}

// Moves on to the next tick that has events, coarser buckets spilling into finer ones on the way.
bool EventQueue::sort_next_bucket() {
  for (int level = 0; level < kLevels; ++level) {
    const std::uint64_t here = tick_ >> kLevelBits * level;
    // Coarser levels hold only later buckets than the current; the finest has none at tick_ itself.
    const std::size_t from = (here & (kBuckets - 1)) + 1;
    const auto found = from < kBuckets ? next_filled(levels_[level], from) : std::nullopt;
    if (!found) continue;
    tick_ = ((here & ~std::uint64_t{kBuckets - 1}) | *found) << kLevelBits * level;
    spill(level, *found);
    return true;
  }
  return false;
}

void EventQueue::spill(int level, std::size_t bucket) {
  Level& from = levels_[level];
  Index i = std::exchange(from.heads[bucket], kNone);
  from.filled[bucket / 64] &= ~(std::uint64_t{1} << bucket % 64);
  while (i != kNone) {
    const Index next = slot(i).next;
    place(i);
    i = next;
  }
}

}  // namespace wow
