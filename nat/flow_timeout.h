// How soon our NAT or firewall forgets silent flows, if sooner than edges are kept alive by
// default, as far as keepalives and traffic show (RFC 4787, 4.3; RFC 5780, 4.6 asks for it with
// traffic of its own, this does not). Of the two ends of an edge one asks first. If a peer that
// should have been let in gives a silent path up, which works as soon as we send there, then its
// packets were kept out: the flow was forgotten within that silence.
#pragma once

#include "base/clock.h"

namespace wow {

class FlowTimeout {
 public:
  static constexpr Duration kLong = 15s;     // a silence that says something at all, at first
  static constexpr Duration kWithin = 5min;  // two cases: one may have been a short outage
  static constexpr Duration kHolds = 1h;     // then it is seen anew
  static constexpr Duration kMost = 13s, kLeast = 3s;  // of keepalive()

  // A peer's packet did not come in after so long a silence. Returns whether flows are to be kept
  // open by more packets than before.
  bool on_missed(Duration silence, TimePoint now);
  // After how long a silence a flow needs a packet from this end: half of what it was forgotten in.
  // Zero: no sooner than most.
  Duration keepalive(TimePoint now) const { return now < until_ ? keepalive_ : Duration::zero(); }
  void forget() { *this = {}; }  // our network changed

 private:
  TimePoint missed_at_ = TimePoint::min();
  Duration missed_{};  // the silence of then
  TimePoint until_ = TimePoint::min();
  Duration keepalive_{};
};

}  // namespace wow
