// A member that stands between two rings for a while: everybody of its own ring asks through it for
// their places on the other (merge.h), and the answers come back the same way. Greedy routing knows
// no way between rings, so it remembers from where packets of either end came. Used by Forwarder
// alone. It must never let a packet through that neither ring asked for: what has no remembered way
// is routed on our own ring as ever.
#pragma once

#include <cstddef>
#include <map>

#include "base/address.h"
#include "base/clock.h"

namespace wow {

class Gateway {
 public:
  explicit Gateway(Clock& clock) : clock_(clock) {}

  // Into the ring of `contact`, with whom we have a session, for kGatewayFor from now on. Another
  // contact replaces the one before.
  void open(const Address& contact);
  bool is_open() const { return clock_.now() < until_; }
  // To whom goes what is for the nearest node of the other ring; only while it is open.
  const Address& contact() const { return contact_; }

  // A packet of `source` came through this neighbour: remembered for kIngressLife. Bounded by
  // kIngressMax sources, the oldest goes first.
  void note_way_to(const Address& source, const Address& neighbour);
  // Zero if it is not known, or was long ago.
  Address way_to(const Address& source) const;
  // Every now and then.
  void forget_old();
  std::size_t size() const { return ways_.size(); }

 private:
  struct Way {
    Address neighbour;
    TimePoint until;
  };

  Clock& clock_;
  Address contact_;
  TimePoint until_{};
  std::map<Address, Way> ways_;  // by source
};

}  // namespace wow
