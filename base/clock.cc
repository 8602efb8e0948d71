#include "base/clock.h"

#include <utility>

namespace wow {

void Timer::after(Duration delay, std::function<void()> fire) {
  cancel();
  due_ = clock_->now() + delay;
  id_ = clock_->schedule(due_, [this, fire = std::move(fire)]() mutable {
    id_ = 0;
    // The owner may destroy this timer from inside, so nothing is touched after the call.
    const auto run = std::exchange(fire, nullptr);
    run();
  });
}

void Timer::cancel() {
  if (id_ != 0) clock_->cancel(id_);
  id_ = 0;
}

}  // namespace wow
