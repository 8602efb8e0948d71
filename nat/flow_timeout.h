// Whether our NAT or firewall forgets silent flows sooner than edges are kept alive by default, as
// far as keepalives show (RFC 4787, 4.3; RFC 5780, 4.6 asks for it with traffic of its own, this
// does not). Of the two ends of an edge one asks first. If a peer that should have been let in
// gives a silent path up, which works as soon as we send there, then its questions were kept out.
#pragma once

#include "base/clock.h"

namespace wow {

class FlowTimeout {
 public:
  static constexpr Duration kWithin = 5min;  // two cases: one may have been a short outage
  static constexpr Duration kHolds = 1h;     // then it is seen anew

  // A peer's question did not come in. Returns whether flows are short from now on, and were not.
  bool on_missed(TimePoint now);
  bool is_short(TimePoint now) const { return now < short_until_; }
  void forget() { *this = {}; }  // our network changed

 private:
  TimePoint missed_at_ = TimePoint::min();
  TimePoint short_until_ = TimePoint::min();
};

}  // namespace wow
