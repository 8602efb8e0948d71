// Where a routed packet goes next: strictly closer at each hop; of these the one through which it
// should be there first, by the hop's own round trip and what the rest may take. What the rest may
// take is guessed from the distance left after one step of look-ahead (Manku et al., "Know thy
// Neighbor's Neighbor", STOC 2004). One flagged hop away from the destination where nobody is
// closer (annealing, as Brunet has it). A pure function.
#pragma once

#include <optional>
#include <span>

#include "base/address.h"
#include "base/clock.h"
#include "proto/headers.h"

namespace wow {

// An edge that can carry routed packets now.
struct Hop {
  Address peer;
  bool member = false;             // on the ring; others get only what is for themselves
  bool gateway = false;            // we are a leaf of it
  std::span<const Address> knows;  // the peer's own edges, as far as it told
  Duration round_trip{};           // of the edge; zero: not measured
};

struct RouteQuery {
  Address self;
  Address destination;
  Address source;
  Address came_from;  // the previous hop; zero at the source
  RouteMode mode = RouteMode::kExact;
  bool uphill_used = false;
  // Not over our own edge to the destination: a packet of that very session, to which the routed
  // path is the one that does not depend on the session's own state.
  bool around = false;
  // By distance alone. A packet that has come a long way is on a ring that is not settled, where
  // many small quick steps may use up its hops.
  bool hurry = false;
  // Next hops that did not acknowledge this packet, or one of the last: any other is better.
  std::span<const Address> tried, silent;
  // To whom the destination itself says it has edges: a way round when ours to it is broken.
  std::span<const Address> destination_knows;
};

struct Route {
  enum class Kind { kDeliver, kForward, kNowhere };
  Kind kind = Kind::kNowhere;
  Address next;  // kForward
  bool uphill =
      false;  // kForward: this hop uses up the packet's only one away from the destination
};

// In nearest mode the source is never the answer: a node that asks for its own address wants to
// know its neighbours.
Route next_hop(std::span<const Hop> hops, const RouteQuery& query);

}  // namespace wow
