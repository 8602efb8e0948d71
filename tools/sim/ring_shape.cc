#include "tools/sim/ring_shape.h"

#include <unordered_map>
#include <unordered_set>

namespace wow {
namespace {

using Joined = std::unordered_set<const SimNode*>;

// The first live and joined node clockwise, of those that it has near edges with.
const SimNode* successor_of(SimPool& pool, const Joined& joined, const SimNode& node) {
  const SimNode* best = nullptr;
  for (const Address& peer : node.node->neighbours()) {
    const SimNode* other = pool.find(peer);
    if (!other || !joined.contains(other)) continue;
    if (!best || clockwise(node.address(), peer) < clockwise(node.address(), best->address()))
      best = other;
  }
  return best;
}

}  // namespace

RingShape ring_shape(SimPool& pool) {
  RingShape out;
  std::unordered_map<const SimNode*, const SimNode*> successors;
  Joined joined;
  for (const SimNode* node : pool.ring()) {
    if (node->node->joined()) joined.insert(node);
  }
  if (joined.size() <= 1) return out;
  for (const SimNode* node : pool.ring()) {
    if (!joined.contains(node)) continue;
    successors[node] = successor_of(pool, joined, *node);
    if (!successors[node]) ++out.without_successor;
  }
  // Each walk ends on a cycle not seen before, or where an earlier walk has been.
  std::unordered_map<const SimNode*, std::size_t> walked_in;
  std::size_t walk = 0;
  for (const SimNode* start : pool.ring()) {
    ++walk;
    const SimNode* at = start;
    bool fresh = true;
    while (at && successors.contains(at)) {
      fresh = walked_in.emplace(at, walk).second;
      if (!fresh) break;
      at = successors[at];
    }
    if (fresh || walked_in[at] != walk) continue;
    ++out.cycles;
    std::size_t turns = 0;
    const SimNode* on = at;
    do {
      const SimNode* next = successors[on];
      if (next->address() < on->address()) ++turns;
      ++out.on_cycles;
      on = next;
    } while (on != at);
    out.ordered = out.ordered && turns == 1;
  }
  return out;
}

}  // namespace wow
