#include "overlay/why_not.h"

#include <algorithm>

namespace wow {
namespace {

bool has_udp(const std::vector<Endpoint>& endpoints, bool v4) {
  return std::ranges::any_of(
      endpoints, [&](const Endpoint& e) { return !e.is_stream() && e.ip.is_v4() == v4; });
}

std::string ordinal(int n) {
  const bool teen = n / 10 % 10 == 1;
  const char* const ending = teen || n % 10 == 0 || n % 10 > 3 ? "th"
                             : n % 10 == 1                     ? "st"
                             : n % 10 == 2                     ? "nd"
                                                               : "rd";
  return std::to_string(n) + ending;
}

}  // namespace

WhyNot why_not_better(const PathStory& s) {
  if (s.path == PathKind::kDirect) return WhyNot::kNothing;
  if (s.udp_silent_here) return WhyNot::kUdpSilentHere;
  const bool v4 = has_udp(s.theirs, true), v6 = has_udp(s.theirs, false);
  if (!v4 && !v6) return WhyNot::kUntold;
  if (!(v4 && has_udp(s.ours, true)) && !(v6 && has_udp(s.ours, false)))
    return WhyNot::kNoCommonFamily;
  const bool ours = s.our_nat == NatMapping::kDependent;
  const bool theirs = s.their_nat == NatMapping::kDependent;
  // What the NATs do is known before the checks have failed, and tells more.
  if (ours && theirs) return WhyNot::kBothNats;
  if (s.checking && s.rounds == 0) return WhyNot::kTrying;
  if (ours) return WhyNot::kOurNat;
  if (theirs) return WhyNot::kTheirNat;
  return s.checking ? WhyNot::kTrying : WhyNot::kUnanswered;
}

std::string to_text(WhyNot why, int tries) {
  switch (why) {
    case WhyNot::kNothing:
      break;
    case WhyNot::kUntold:
      return "it has not told an address for UDP";
    case WhyNot::kNoCommonFamily:
      return "no common family: one end has IPv4 only, the other IPv6 only";
    case WhyNot::kUdpSilentHere:
      return "UDP is blocked here";
    case WhyNot::kBothNats:
      return "both NATs choose another port for each peer";
    case WhyNot::kOurNat:
      return "our NAT chooses another port for each peer, and theirs takes packets from known "
             "ports "
             "only";
    case WhyNot::kTheirNat:
      return "their NAT chooses another port for each peer, and ours takes packets from known "
             "ports "
             "only";
    case WhyNot::kTrying:
      return "still trying (" + ordinal(std::max(tries, 1)) + " try)";
    case WhyNot::kUnanswered:
      return "no check was answered: a firewall, or no UDP at the other end";
  }
  return {};
}

}  // namespace wow
