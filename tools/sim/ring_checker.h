// Looks at all nodes of a pool at once, as nobody on the ring can: does each have its true
// neighbours, and would a packet arrive, by the tables as they are now? Cheap enough to ask often
// about 100,000 nodes.
#pragma once

#include <vector>

#include "proto/headers.h"
#include "tools/sim/sim_pool.h"

namespace wow {

class RingChecker {
 public:
  explicit RingChecker(SimPool& pool, std::size_t per_side = 3)
      : pool_(pool), per_side_(per_side) {}

  // Whether every running node has joined and has near edges that carry packets to its `per_side`
  // true neighbours on each side. Nodes that lacked one are asked first, so that a ring that is
  // not whole costs little.
  bool whole();
  // The part of the running nodes of which that is true, 0..1; all are asked.
  double health();
  // Only these members count, as if others were not there (halves of a partition).
  void restrict_to(std::vector<SimNode*> members);

 private:
  const std::vector<SimNode*>& ring();
  bool healthy(const std::vector<SimNode*>& ring, std::size_t i) const;

  SimPool& pool_;
  const std::size_t per_side_;
  std::vector<SimNode*> only_;
  std::vector<std::size_t> lacking_;  // places in the ring
  std::uint64_t version_ = 0;
};

// The way of one packet by the tables as they are, without sending it.
struct Walk {
  bool arrived = false;
  bool looped = false;  // came twice to the same node in the same state: must never happen
  int hops = 0;
  Duration latency{};  // of the links, without their jitter
  Address last;        // where it ended
};
// From a running member to an exact address, or (kNearest) to whoever is nearest to it.
Walk walk(SimPool& pool, const SimNode& from, const Address& to,
          RouteMode mode = RouteMode::kExact);

}  // namespace wow
