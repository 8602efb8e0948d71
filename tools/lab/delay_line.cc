#include "tools/lab/delay_line.h"

#include <algorithm>

namespace wow::lab {

DelayLine::Admission DelayLine::admit(const LineQuality& line, std::size_t frame_bytes,
                                      TimePoint now) {
  if (line.mtu != 0 && frame_bytes > line.mtu + kEthernetHeaderBytes) return {Fate::kTooLarge, {}};
  if (line.loss > 0 && random_.unit() < line.loss) return {Fate::kLost, {}};
  TimePoint left = now;
  if (line.bits_per_second != 0) {
    const TimePoint begins = std::max(now, wire_free_);
    if (begins - now > kLineQueueMax) return {Fate::kQueueFull, {}};
    const double seconds = static_cast<double>((frame_bytes + kWireBytes) * 8) /
                           static_cast<double>(line.bits_per_second);
    left = wire_free_ = begins + Duration(static_cast<std::int64_t>(seconds * 1e9));
  }
  Duration delay = line.delay;
  if (line.jitter > Duration::zero()) {
    delay += Duration(static_cast<std::int64_t>((random_.unit() * 2 - 1) *
                                                static_cast<double>(line.jitter.count())));
  }
  TimePoint due = left + std::max(delay, Duration::zero());
  if (!line.reorder) due = last_due_ = std::max(due, last_due_);
  return {Fate::kPasses, due};
}

}  // namespace wow::lab
