#include "base/clock.h"

#include <utility>

namespace wow {

void Timer::after(Duration delay, std::function<void()> fire) {
  if (id_ != 0) clock_->cancel(id_);
  due_ = clock_->now() + delay;
  fire_ = std::move(fire);
  id_ = clock_->schedule(due_, [this] {
    id_ = 0;
    // The owner may destroy this timer from inside, so nothing is touched after the call.
    const auto run = std::exchange(fire_, nullptr);
    run();
  });
}

void Timer::cancel() {
  if (id_ != 0) clock_->cancel(id_);
  id_ = 0;
  fire_ = nullptr;
}

}  // namespace wow
