#include "nat/flow_timeout.h"

#include <algorithm>
#include <utility>

namespace wow {

bool FlowTimeout::on_missed(Duration silence, TimePoint now) {
  const Duration known = keepalive(now);
  if (silence < (known == Duration::zero() ? kLong : known / 2)) return false;
  const TimePoint before = std::exchange(missed_at_, now);
  const Duration longer = std::max(silence, std::exchange(missed_, silence));
  if (before == TimePoint::min() || now - before > kWithin) return false;
  const Duration wanted = std::clamp<Duration>(longer / 2, kLeast, kMost);
  if (known != Duration::zero() && wanted >= known) return false;
  keepalive_ = wanted;
  until_ = now + kHolds;
  missed_at_ = TimePoint::min();
  return true;
}

}  // namespace wow
