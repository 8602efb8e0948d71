#include "overlay/router.h"

#include <algorithm>

namespace wow {
namespace {

bool contains(std::span<const Address> list, const Address& a) {
  return std::find(list.begin(), list.end(), a) != list.end();
}

// Who may be meant as the end of this packet's way.
bool may_be_meant(const RouteQuery& query, const Address& a) {
  return query.mode == RouteMode::kExact || a != query.source;
}

// The address nearest to the destination that this hop leads to within one more step.
Address reach(const Hop& hop, const RouteQuery& query) {
  Address best = hop.peer;
  for (const Address& a : hop.knows) {
    if (a == query.self || a == query.came_from || !may_be_meant(query, a)) continue;
    if (nearer(a, best, query.destination)) best = a;
  }
  return best;
}

// The best hop so far, and how near it leads.
struct Best {
  const Hop* hop = nullptr;
  Address reach;

  void offer(const Hop& other, const Address& its_reach, const Address& destination) {
    if (hop == nullptr || nearer(its_reach, reach, destination) ||
        (its_reach == reach && nearer(other.peer, hop->peer, destination))) {
      hop = &other;
      reach = its_reach;
    }
  }
};

Route forward(const Hop& hop, bool uphill) { return {Route::Kind::kForward, hop.peer, uphill}; }

}  // namespace

Route next_hop(std::span<const Hop> hops, const RouteQuery& query) {
  const bool exact = query.mode == RouteMode::kExact;
  if (exact && query.destination == query.self) return {Route::Kind::kDeliver, {}, false};

  Best closer;    // strictly
  Best adjacent;  // has an edge to the destination itself
  Best any;
  for (const Hop& hop : hops) {
    if (hop.peer == query.came_from || !may_be_meant(query, hop.peer)) continue;
    if (hop.peer == query.destination) {
      if (query.around || contains(query.tried, hop.peer)) continue;
      return forward(hop, false);
    }
    if (!hop.member || contains(query.tried, hop.peer) || contains(query.silent, hop.peer)) {
      continue;
    }
    const Address its_reach = reach(hop, query);
    if (nearer(hop.peer, query.self, query.destination)) {
      closer.offer(hop, its_reach, query.destination);
    }
    const bool next_to_it =
        contains(hop.knows, query.destination) || contains(query.destination_knows, hop.peer);
    if (next_to_it) adjacent.offer(hop, its_reach, query.destination);
    any.offer(hop, its_reach, query.destination);
  }
  if (!exact) {
    if (closer.hop != nullptr) return forward(*closer.hop, false);
    return {Route::Kind::kDeliver, {}, false};
  }
  if (adjacent.hop != nullptr && nearer(adjacent.hop->peer, query.self, query.destination)) {
    return forward(*adjacent.hop, false);
  }
  if (adjacent.hop != nullptr && !query.uphill_used) return forward(*adjacent.hop, true);
  if (closer.hop != nullptr) return forward(*closer.hop, false);
  if (any.hop != nullptr && !query.uphill_used) return forward(*any.hop, true);
  return {};
}

}  // namespace wow
