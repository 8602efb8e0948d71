// A token bucket: so many a second, with as many saved up.
#pragma once

#include <algorithm>

#include "base/clock.h"

namespace wow {

class RateLimit {
 public:
  explicit RateLimit(int per_second) : per_second_(per_second), saved_(per_second) {}

  // Whether one more may pass at `now`.
  bool pass(TimePoint now) {
    const double earned = to_seconds(now - last_) * per_second_;
    last_ = now;
    saved_ = std::min<double>(per_second_, saved_ + std::max(0.0, earned));
    if (saved_ < 1) return false;
    saved_ -= 1;
    return true;
  }

  // How much of what may pass in a second has passed lately, 0 to 1.
  double used(TimePoint now) const {
    const double saved = saved_ + std::max(0.0, to_seconds(now - last_) * per_second_);
    return 1 - std::min(per_second_, saved) / per_second_;
  }

 private:
  double per_second_;
  double saved_;
  TimePoint last_{};
};

}  // namespace wow
