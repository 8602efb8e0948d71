// The invariant that makes a ring of pointers one ring, after Zave, "Reasoning about Identifier
// Spaces: How to Make Chord Correct" (2017): of the pointers from each node to its first live
// successor there is a cycle, only one, it is in the order of addresses and goes round once, and
// from every node it is reached (appendages are connected). It is claimed while no node loses all
// its neighbours on one side at once, and nobody is cut off: her assumptions.
#pragma once

#include <cstddef>

#include "tools/sim/sim_pool.h"

namespace wow {

struct RingShape {
  std::size_t cycles = 0;  // of successor pointers
  bool ordered = true;     // each of them goes round once
  std::size_t on_cycles = 0;
  std::size_t without_successor = 0;  // joined, others live, but no live neighbour
  bool sound() const { return cycles <= 1 && ordered && without_successor == 0; }
};
// Of the joined nodes; O(n log n).
RingShape ring_shape(SimPool& pool);

}  // namespace wow
