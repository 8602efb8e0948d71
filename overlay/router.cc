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

bool better(const Hop& a, const Hop* b, const RouteQuery& query) {
  if (b == nullptr) return true;
  const Address ra = reach(a, query), rb = reach(*b, query);
  if (ra != rb) return nearer(ra, rb, query.destination);
  return nearer(a.peer, b->peer, query.destination);
}

Route forward(const Hop& hop, bool uphill) { return {Route::Kind::kForward, hop.peer, uphill}; }

}  // namespace

Route next_hop(std::span<const Hop> hops, const RouteQuery& query) {
  const bool exact = query.mode == RouteMode::kExact;
  if (exact && query.destination == query.self) return {Route::Kind::kDeliver, {}, false};

  const Hop* closer = nullptr;    // strictly
  const Hop* adjacent = nullptr;  // has an edge to the destination itself
  const Hop* any = nullptr;
  for (const Hop& hop : hops) {
    if (hop.peer == query.came_from || !may_be_meant(query, hop.peer)) continue;
    if (hop.peer == query.destination) {
      if (query.around) continue;
      return forward(hop, false);
    }
    if (!hop.member) continue;
    if (nearer(hop.peer, query.self, query.destination) && better(hop, closer, query)) {
      closer = &hop;
    }
    const bool next_to_it =
        contains(hop.knows, query.destination) || contains(query.destination_knows, hop.peer);
    if (next_to_it && better(hop, adjacent, query)) adjacent = &hop;
    if (better(hop, any, query)) any = &hop;
  }
  if (!exact) {
    if (closer != nullptr) return forward(*closer, false);
    return {Route::Kind::kDeliver, {}, false};
  }
  if (adjacent != nullptr && nearer(adjacent->peer, query.self, query.destination)) {
    return forward(*adjacent, false);
  }
  if (adjacent != nullptr && !query.uphill_used) return forward(*adjacent, true);
  if (closer != nullptr) return forward(*closer, false);
  if (any != nullptr && !query.uphill_used) return forward(*any, true);
  return {};
}

}  // namespace wow
