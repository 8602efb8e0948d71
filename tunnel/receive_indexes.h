// The numbers by which peers name our sessions and handshakes: random, so that they cannot be
// guessed from outside, and resting after use, so that a late packet never meets a stranger's keys.
#pragma once

#include <cstdint>
#include <list>
#include <unordered_set>

#include "base/clock.h"
#include "base/random.h"

namespace wow {

class ReceiveIndexes {
 public:
  static constexpr Duration kRest = 60s;
  static constexpr std::size_t kRestingMax = 1 << 16;  // beyond it the oldest rest is cut short

  explicit ReceiveIndexes(Random& random) : random_(random) {}

  std::uint32_t take(TimePoint now) {
    while (!resting_.empty() && (resting_.front().until <= now || resting_.size() > kRestingMax)) {
      taken_.erase(resting_.front().index);
      resting_.pop_front();
    }
    for (;;) {
      const std::uint32_t index = random_.u32();
      if (index != 0 && taken_.insert(index).second) return index;
    }
  }
  void give_back(std::uint32_t index, TimePoint now) { resting_.push_back({now + kRest, index}); }

 private:
  struct Resting {
    TimePoint until;
    std::uint32_t index;
  };
  Random& random_;
  std::unordered_set<std::uint32_t> taken_;  // in use or resting
  std::list<Resting> resting_;
};

}  // namespace wow
