// Token buckets by address: how often each peer may cost us something. Bounded; when full, whoever
// was quiet longest is forgotten (and so starts with a full bucket again).
#pragma once

#include <algorithm>
#include <map>

#include "base/address.h"
#include "base/clock.h"
#include "overlay/limits.h"

namespace wow {

class RateTable {
 public:
  RateTable(double per_second, double burst) : per_second_(per_second), burst_(burst) {}

  // Whether `who` may do it once more now.
  bool take(const Address& who, TimePoint now) {
    auto [it, is_new] = buckets_.try_emplace(who, Bucket{burst_, now});
    Bucket& bucket = it->second;
    bucket.tokens = std::min(burst_, bucket.tokens + per_second_ * to_seconds(now - bucket.filled));
    bucket.filled = now;
    if (is_new && buckets_.size() > ring::kRatesMax) forget_quietest(who);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }
  // Forgets whose bucket is full again: that changes nothing.
  void sweep(TimePoint now) {
    std::erase_if(buckets_, [&](const auto& b) {
      return b.second.tokens + per_second_ * to_seconds(now - b.second.filled) >= burst_;
    });
  }
  std::size_t size() const { return buckets_.size(); }

 private:
  struct Bucket {
    double tokens;
    TimePoint filled;
  };

  void forget_quietest(const Address& but) {
    auto quietest = buckets_.end();
    for (auto it = buckets_.begin(); it != buckets_.end(); ++it) {
      if (it->first == but) continue;
      if (quietest == buckets_.end() || it->second.filled < quietest->second.filled) quietest = it;
    }
    buckets_.erase(quietest);
  }

  double per_second_, burst_;
  std::map<Address, Bucket> buckets_;
};

}  // namespace wow
