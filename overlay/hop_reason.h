// Why a routed packet goes to the next hop that it goes to: what `wow trace` says of each hop.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/address.h"
#include "overlay/router.h"

namespace wow {

// Numbers are on the wire (pb::TraceHop).
enum class HopReason : std::uint8_t {
  kNone = 0,      // nowhere: nobody is nearer
  kPeer = 1,      // an edge to the target itself
  kKnows = 2,     // the next hop says that it has one
  kQuickest = 3,  // of all that are nearer, the target should be reached soonest through it
  kUphill = 4,    // nobody is nearer: once, away from the target
  kLeaf = 5,      // we are not on the ring: our way in
};
std::string_view to_string(HopReason reason);

// Where a packet goes from here, as a trace is told.
struct TraceNext {
  Address node;
  HopReason reason = HopReason::kNone;
  bool relayed = false;  // by circuit
};

// One hop of a trace, from the source on.
struct TraceStep {
  Address node;                         // zero: unknown, it does not answer
  Duration round_trip{};                // from the source to it and back; zero: no answer
  HopReason reason = HopReason::kNone;  // why the hop before, or the source, goes there
  bool relayed = false;                 // by circuit
};

// Of what next_hop() has chosen among `hops`, or what our leaf edge was taken for. Pure.
HopReason why_this_hop(std::span<const Hop> hops, const Address& target, const Route& route);

}  // namespace wow
