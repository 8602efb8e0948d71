// Why a peer is not reached by direct UDP: what is said for what is known.
#include "overlay/why_not.h"

#include <gtest/gtest.h>

namespace wow {
namespace {

std::vector<Endpoint> at(const char* text) { return {*Endpoint::parse(text)}; }

PathStory routed() {
  PathStory out;
  out.path = PathKind::kRouted;
  out.ours = at("192.168.1.2:4433");
  out.theirs = at("203.0.113.7:4433");
  out.our_nat = out.their_nat = NatMapping::kEndpointIndependent;
  return out;
}

TEST(WhyNot, DirectUdpNeedsNoReason) {
  PathStory s = routed();
  s.path = PathKind::kDirect;
  s.udp_silent_here = true;
  EXPECT_EQ(why_not_better(s), WhyNot::kNothing);
  EXPECT_EQ(to_text(WhyNot::kNothing, 3), "");
}

TEST(WhyNot, BlockedUdpComesBeforeAllElse) {
  PathStory s = routed();
  s.path = PathKind::kStream;
  s.udp_silent_here = true;
  s.checking = true;
  EXPECT_EQ(why_not_better(s), WhyNot::kUdpSilentHere);
  EXPECT_EQ(to_text(WhyNot::kUdpSilentHere, 0), "UDP is blocked here");
}

TEST(WhyNot, NoAddressOrNoneOfOurFamily) {
  PathStory s = routed();
  s.theirs = {};
  EXPECT_EQ(why_not_better(s), WhyNot::kUntold);
  s.theirs = {{IpAddress::parse("203.0.113.7").value(), 443, Carrier::kTls}};
  EXPECT_EQ(why_not_better(s), WhyNot::kUntold) << "a stream is none for UDP";
  s.theirs = at("[2001:db8::7]:4433");
  EXPECT_EQ(why_not_better(s), WhyNot::kNoCommonFamily);
  s.ours.push_back(*Endpoint::parse("[2001:db8::1]:4433"));
  EXPECT_EQ(why_not_better(s), WhyNot::kUnanswered);
}

TEST(WhyNot, NatsThatChooseAnotherPortForEachPeer) {
  PathStory s = routed();
  s.our_nat = s.their_nat = NatMapping::kDependent;
  s.checking = true;
  EXPECT_EQ(why_not_better(s), WhyNot::kBothNats) << "said before the checks have failed";
  s.their_nat = NatMapping::kNone;
  EXPECT_EQ(why_not_better(s), WhyNot::kTrying) << "one alone may be opened";
  s.rounds = 1;
  EXPECT_EQ(why_not_better(s), WhyNot::kOurNat);
  s.checking = false;
  EXPECT_EQ(why_not_better(s), WhyNot::kOurNat);
  s.our_nat = NatMapping::kUnknown;
  s.their_nat = NatMapping::kDependent;
  EXPECT_EQ(why_not_better(s), WhyNot::kTheirNat);
}

TEST(WhyNot, TriesAreCounted) {
  PathStory s = routed();
  s.checking = true;
  EXPECT_EQ(to_text(why_not_better(s), 1), "still trying (1st try)");
  s.rounds = 1;
  EXPECT_EQ(to_text(why_not_better(s), 2), "still trying (2nd try)");
  EXPECT_EQ(to_text(WhyNot::kTrying, 3), "still trying (3rd try)");
  EXPECT_EQ(to_text(WhyNot::kTrying, 11), "still trying (11th try)");
  EXPECT_EQ(to_text(WhyNot::kTrying, 21), "still trying (21st try)");
  s.checking = false;
  EXPECT_EQ(why_not_better(s), WhyNot::kUnanswered);
}

}  // namespace
}  // namespace wow
