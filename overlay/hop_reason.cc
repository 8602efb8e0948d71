#include "overlay/hop_reason.h"

#include <algorithm>

namespace wow {

std::string_view to_string(HopReason reason) {
  switch (reason) {
    case HopReason::kNone:
      break;
    case HopReason::kPeer:
      return "edge to the target";
    case HopReason::kKnows:
      return "knows the target";
    case HopReason::kQuickest:
      return "quickest way nearer to the target";
    case HopReason::kUphill:
      return "nobody is nearer: once away from the target";
    case HopReason::kLeaf:
      return "way into the ring";
  }
  return "nobody is nearer";
}

HopReason why_this_hop(std::span<const Hop> hops, const Address& target, const Route& route) {
  if (route.kind != Route::Kind::kForward) return HopReason::kNone;
  if (route.next == target) return HopReason::kPeer;
  if (route.uphill) return HopReason::kUphill;
  const auto hop = std::ranges::find(hops, route.next, &Hop::peer);
  if (hop == hops.end()) return HopReason::kLeaf;
  const bool knows = std::ranges::find(hop->knows, target) != hop->knows.end();
  return knows ? HopReason::kKnows : HopReason::kQuickest;
}

}  // namespace wow
