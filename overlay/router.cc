#include "overlay/router.h"

#include <algorithm>
#include <cmath>

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

// What the way from an address to the destination may take, by the distance between them. Round
// trips throughout.
class Guess {
 public:
  Guess(std::span<const Hop> hops, const RouteQuery& query)
      : destination_(query.destination),
        exact_(query.mode == RouteMode::kExact),
        hurry_(query.hurry) {
    Duration sum{};
    int measured = 0;
    Address first = farthest(), second = farthest();
    for (const Hop& hop : hops) {
      if (!hop.member) continue;
      const Address d = ring_distance(query.self, hop.peer);
      if (d < second) second = std::max(d, first);
      first = std::min(d, first);
      sum += hop.round_trip;
      measured += hop.round_trip > Duration::zero() ? 1 : 0;
    }
    // About as far apart are two neighbours.
    gap_ = log2_of(second);
    // Where nothing is known any will do: hops are what counts then.
    if (measured > 0) typical_ = sum / measured;
  }

  Duration rest(const Address& from) const {
    if (from == destination_) return {};
    const double bits = log2_of(ring_distance(from, destination_)) - gap_;
    // Look-ahead over all edges of each peer, of which harmonic ones are as dense at every scale,
    // takes somewhat more than two bits off the distance at each hop (by simulation). Whoever is as
    // near as a neighbour has one hop left, or is the nearest itself.
    const double hops = bits > 0 ? 1 + kHopsPerBit * bits : exact_ ? 1 : std::exp2(bits);
    return Duration(static_cast<Duration::rep>(hops * static_cast<double>(typical_.count())));
  }
  Duration of(const Hop& hop) const {
    return hop.round_trip > Duration::zero() && !hurry_ ? hop.round_trip : typical_;
  }
  // By way of this hop, and of whom it knows.
  Duration through(const Hop& hop, const Address& its_reach) const {
    const Duration stay = rest(hop.peer);
    const Duration ahead = its_reach == hop.peer ? stay : typical_ + rest(its_reach);
    return of(hop) + std::min(stay, ahead);
  }

 private:
  static constexpr double kHopsPerBit = 0.4;

  static Address farthest() { return Address::power_of_two(159); }

  const Address destination_;
  const bool exact_, hurry_;
  double gap_ = 0;
  Duration typical_ = 1ms;
};

// The best hop so far: the quickest; of these, and of those that cannot be told apart, the one that
// leads nearest.
struct Best {
  const Hop* hop = nullptr;
  Address reach;
  Duration time{};

  void offer(const Hop& other, const Address& its_reach, Duration its_time,
             const Address& destination) {
    const bool better =
        hop == nullptr || its_time < time ||
        (its_time == time && (nearer(its_reach, reach, destination) ||
                              (its_reach == reach && nearer(other.peer, hop->peer, destination))));
    if (better) *this = {&other, its_reach, its_time};
  }
};

Route forward(const Hop& hop, bool uphill) { return {Route::Kind::kForward, hop.peer, uphill}; }

}  // namespace

Route next_hop(std::span<const Hop> hops, const RouteQuery& query) {
  const bool exact = query.mode == RouteMode::kExact;
  if (exact && query.destination == query.self) return {Route::Kind::kDeliver, {}, false};

  const Guess guess(hops, query);
  Best closer;           // strictly
  Best closer_adjacent;  // and has an edge to the destination itself: it cannot get stuck there
  Best adjacent, any;    // not closer
  for (const Hop& hop : hops) {
    if (hop.peer == query.came_from || !may_be_meant(query, hop.peer)) continue;
    if (hop.peer == query.destination) {
      if (query.around || contains(query.tried, hop.peer)) continue;
      return forward(hop, false);
    }
    if (!hop.member || contains(query.tried, hop.peer) || contains(query.silent, hop.peer)) {
      continue;
    }
    const bool is_closer = nearer(hop.peer, query.self, query.destination);
    const bool next_to_it = exact && (contains(hop.knows, query.destination) ||
                                      contains(query.destination_knows, hop.peer));
    const Address its_reach = next_to_it ? query.destination : reach(hop, query);
    if (is_closer) {
      const Duration time = guess.through(hop, its_reach);
      (next_to_it ? closer_adjacent : closer).offer(hop, its_reach, time, query.destination);
    } else {
      const Duration time = next_to_it ? guess.of(hop) : Duration();
      (next_to_it ? adjacent : any).offer(hop, its_reach, time, query.destination);
    }
  }
  if (!exact) {
    if (closer.hop != nullptr) return forward(*closer.hop, false);
    return {Route::Kind::kDeliver, {}, false};
  }
  if (closer_adjacent.hop != nullptr) return forward(*closer_adjacent.hop, false);
  if (adjacent.hop != nullptr && !query.uphill_used) return forward(*adjacent.hop, true);
  if (closer.hop != nullptr) return forward(*closer.hop, false);
  if (any.hop != nullptr && !query.uphill_used) return forward(*any.hop, true);
  return {};
}

}  // namespace wow
