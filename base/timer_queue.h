// The timers of one thread, in order of due time (ties: in order of setting). Both clocks, the
// daemon's and the simulator's, keep theirs in one of these.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/clock.h"

namespace wow {

class TimerQueue {
 public:
  TimerId add(TimePoint at, std::function<void()> fire);
  void cancel(TimerId id);
  std::optional<TimePoint> next_due() const;
  // Fires the earliest timer if it is due at `now`; returns whether one fired.
  bool fire_one(TimePoint now);
  std::size_t size() const { return queue_.size(); }

 private:
  std::map<std::pair<TimePoint, TimerId>, std::function<void()>> queue_;
  std::unordered_map<TimerId, TimePoint> due_;
  TimerId last_id_ = 0;
};

}  // namespace wow
