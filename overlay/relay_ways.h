// The quickest ways to a peer by one relay or two, over links that are known: our own direct paths,
// what those peers' lists say of theirs, and what the peer says of its own. Dijkstra's shortest
// paths over the union (Boost.Graph). Pure.
#pragma once

#include <map>
#include <vector>

#include "base/address.h"
#include "base/clock.h"

namespace wow {

// Two nodes with a direct path between them; in either direction.
struct RelayLink {
  Address a, b;
  Duration round_trip{};  // zero: not measured
};

struct RelayWay {
  Address first;    // we have a direct path to it
  Address second;   // zero: `first` reaches the peer
  Duration cost{};  // round trip, and what its relays are better spared
};

// A link that nobody has measured is taken for this.
inline constexpr Duration kUnmeasuredLink = 60ms;
// Each relay costs others something, and may fail: a second one must save so much.
inline constexpr Duration kRelayCost = 4ms;

// The quickest way through each relay that we have a link to, the quickest first. `spared`: what to
// add for a relay that is busy, or everybody's.
std::vector<RelayWay> relay_ways(const Address& self, const Address& peer,
                                 const std::vector<RelayLink>& links,
                                 const std::map<Address, Duration>& spared);

}  // namespace wow
