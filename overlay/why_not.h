// Why a peer is not reached by direct UDP, from what we know of both ends: what `wow peers` says.
// Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/endpoint.h"
#include "nat/reflexive.h"
#include "tunnel/path.h"

namespace wow {

enum class WhyNot : std::uint8_t {
  kNothing,         // it is
  kUntold,          // it has not told an address for UDP yet
  kNoCommonFamily,  // one end has IPv4 only, the other IPv6 only
  kUdpSilentHere,   // we hear nobody by UDP
  kBothNats,        // both NATs give each peer another port: nobody can know where to send
  kOurNat,          // ours does; and what is at the other end lets in only whom it knows
  kTheirNat,
  kTrying,      // checks are under way
  kUnanswered,  // no check was answered: a firewall, or no UDP at the other end
};

struct PathStory {
  PathKind path = PathKind::kNone;     // in use
  std::vector<Endpoint> ours, theirs;  // candidates
  NatMapping our_nat = NatMapping::kUnknown, their_nat = NatMapping::kUnknown;
  bool udp_silent_here = false;
  int rounds = 0;         // of checks that came to nothing
  bool checking = false;  // one more is under way
};

WhyNot why_not_better(const PathStory& story);
// As a sentence without its end; `tries`: rounds begun. Empty for kNothing.
std::string to_text(WhyNot why, int tries);

}  // namespace wow
