// How long answers take, and so when one is late: the smoothed mean and four times the deviation
// (RFC 6298, 2), without its lower bound of a second.
#pragma once

#include <algorithm>

#include "base/clock.h"

namespace wow::dht {

class AnswerTime {
 public:
  void note(Duration took) {
    if (mean_ == Duration::zero()) {
      mean_ = took;
      deviation_ = took / 2;
      return;
    }
    const Duration off = mean_ > took ? mean_ - took : took - mean_;
    deviation_ = (deviation_ * 3 + off) / 4;
    mean_ = (mean_ * 7 + took) / 8;
  }
  // Nothing noted yet: `most`.
  Duration late_after(Duration least, Duration most) const {
    if (mean_ == Duration::zero()) return most;
    return std::clamp<Duration>(mean_ + 4 * deviation_, least, most);
  }

 private:
  Duration mean_{};
  Duration deviation_{};
};

}  // namespace wow::dht
