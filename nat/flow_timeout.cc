#include "nat/flow_timeout.h"

#include <utility>

namespace wow {

bool FlowTimeout::on_missed(TimePoint now) {
  const TimePoint before = std::exchange(missed_at_, now);
  if (is_short(now) || before == TimePoint::min() || now - before > kWithin) return false;
  short_until_ = now + kHolds;
  return true;
}

}  // namespace wow
