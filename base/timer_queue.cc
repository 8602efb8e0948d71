#include "base/timer_queue.h"

namespace wow {

TimerId TimerQueue::add(TimePoint at, std::function<void()> fire) {
  const TimerId id = ++last_id_;
  queue_.emplace(std::pair(at, id), std::move(fire));
  due_.emplace(id, at);
  return id;
}

void TimerQueue::cancel(TimerId id) {
  const auto found = due_.find(id);
  if (found == due_.end()) return;
  queue_.erase({found->second, id});
  due_.erase(found);
}

std::optional<TimePoint> TimerQueue::next_due() const {
  if (queue_.empty()) return std::nullopt;
  return queue_.begin()->first.first;
}

bool TimerQueue::fire_one(TimePoint now) {
  if (queue_.empty() || queue_.begin()->first.first > now) return false;
  auto node = queue_.extract(queue_.begin());
  due_.erase(node.key().second);
  node.mapped()();
  return true;
}

}  // namespace wow
