#include "nat/reflexive.h"

#include <gtest/gtest.h>

#include "tools/sim/nat_model.h"

namespace wow {
namespace {

constexpr TimePoint kNow{Duration(1h)};
Endpoint at(std::string_view text) { return *Endpoint::parse(text); }
Address peer(int n) { return Address() + Address::power_of_two(n); }
Endpoint peer_at(int n) { return {IpAddress::v4(0xc6336400 + n), 4433}; }  // 198.51.100.n
const std::vector<Endpoint> kOwn = {*Endpoint::parse("10.1.0.2:4433")};

// Three public peers tell what they see through this NAT.
ReflexiveVotes votes_through(const NatRules& rules) {
  NatModel nat(*IpAddress::parse("203.0.113.1"), rules, 5);
  ReflexiveVotes votes;
  for (int n = 1; n <= 3; ++n) {
    votes.vote(peer(n), peer_at(n), nat.outgoing(kOwn[0], peer_at(n), kNow), kNow);
  }
  return votes;
}

TEST(ReflexiveVotes, AFriendlyNatShowsOneEndpointToAll) {
  const ReflexiveVotes votes = votes_through({});
  EXPECT_EQ(votes.mapping(kOwn, kNow), NatMapping::kEndpointIndependent);
  EXPECT_EQ(votes.endpoints(kOwn, kNow), std::vector<Endpoint>{at("203.0.113.1:4433")});
}

TEST(ReflexiveVotes, ASymmetricNatIsToldByItsDifferentPorts) {
  NatRules symmetric;
  symmetric.mapping = NatScope::kAddressPortDependent;
  const ReflexiveVotes votes = votes_through(symmetric);
  EXPECT_EQ(votes.mapping(kOwn, kNow), NatMapping::kDependent);
  EXPECT_EQ(votes.endpoints(kOwn, kNow).size(), 3u);
}

TEST(ReflexiveVotes, AFirewallWithoutNatShowsOurOwnEndpoint) {
  NatRules firewall;
  firewall.translate = false;
  const ReflexiveVotes votes = votes_through(firewall);
  EXPECT_EQ(votes.mapping(kOwn, kNow), NatMapping::kNone);
  EXPECT_TRUE(votes.endpoints(kOwn, kNow).empty());
}

TEST(ReflexiveVotes, OnePeerGivesAnEndpointButNoVerdict) {
  ReflexiveVotes votes;
  EXPECT_EQ(votes.mapping(kOwn, kNow), NatMapping::kUnknown);
  EXPECT_TRUE(votes.vote(peer(1), peer_at(1), at("203.0.113.1:5000"), kNow));
  EXPECT_EQ(votes.mapping(kOwn, kNow), NatMapping::kUnknown);
  EXPECT_EQ(votes.endpoints(kOwn, kNow).size(), 1u);
  EXPECT_TRUE(votes.vote(peer(2), peer_at(2), at("203.0.113.1:5000"), kNow)) << "news: the verdict";
  EXPECT_EQ(votes.mapping(kOwn, kNow), NatMapping::kEndpointIndependent);
}

TEST(ReflexiveVotes, OneLiarAmongFourDecidesNothing) {
  ReflexiveVotes votes = votes_through({});
  votes.vote(peer(4), peer_at(4), at("192.0.2.66:666"), kNow + 1s);
  EXPECT_EQ(votes.mapping(kOwn, kNow + 1s), NatMapping::kEndpointIndependent);
  EXPECT_EQ(votes.endpoints(kOwn, kNow + 1s)[0], at("203.0.113.1:4433"));
}

TEST(ReflexiveVotes, PeersBehindOurOwnNatDoNotSpeakForTheInternet) {
  ReflexiveVotes votes;
  votes.vote(peer(1), at("10.1.0.3:4433"), kOwn[0], kNow);
  EXPECT_EQ(votes.mapping(kOwn, kNow),
            NatMapping::kNone);  // all that is known: no NAT inside this LAN
  votes.vote(peer(2), peer_at(2), at("203.0.113.1:4433"), kNow);
  votes.vote(peer(3), peer_at(3), at("203.0.113.1:4433"), kNow);
  EXPECT_EQ(votes.mapping(kOwn, kNow), NatMapping::kEndpointIndependent);
  // The same peer met inside and outside has a voice in each scope.
  EXPECT_TRUE(votes.vote(peer(1), peer_at(1), at("203.0.113.1:4499"), kNow));
  EXPECT_EQ(votes.endpoints({}, kNow).size(), 3u);
}

TEST(ReflexiveVotes, AChangedMindReplacesTheOldVoteAndChangeIsReported) {
  ReflexiveVotes votes;
  EXPECT_TRUE(votes.vote(peer(1), peer_at(1), at("203.0.113.1:5000"), kNow));
  EXPECT_FALSE(votes.vote(peer(1), peer_at(1), at("203.0.113.1:5000"), kNow + 1s));
  EXPECT_TRUE(votes.vote(peer(1), peer_at(1), at("203.0.113.1:6000"), kNow + 2s));
  EXPECT_EQ(votes.endpoints(kOwn, kNow + 2s), std::vector<Endpoint>{at("203.0.113.1:6000")});
}

TEST(ReflexiveVotes, VotesAgeAndANewNetworkForgetsThem) {
  ReflexiveVotes votes = votes_through({});
  EXPECT_EQ(votes.endpoints(kOwn, kNow + ReflexiveVotes::kVoteLife).size(), 1u);
  EXPECT_TRUE(votes.endpoints(kOwn, kNow + ReflexiveVotes::kVoteLife + 1s).empty());
  EXPECT_EQ(votes.mapping(kOwn, kNow + 1h), NatMapping::kUnknown);
  votes.forget_all();
  EXPECT_TRUE(votes.endpoints(kOwn, kNow).empty());
}

TEST(ReflexiveVotes, ManyVotersAreBoundedAndTheNewestStay) {
  ReflexiveVotes votes;
  for (int n = 0; n < 100; ++n) {
    votes.vote(peer(n), peer_at(n),
               Endpoint{kOwn[0].ip, static_cast<std::uint16_t>(n < 90 ? 1 : 2)}, kNow + n * 1s);
  }
  // 16 are kept: 6 of the first kind, 10 of the second.
  EXPECT_EQ(votes.endpoints({}, kNow + 100s),
            (std::vector<Endpoint>{{kOwn[0].ip, 2}, {kOwn[0].ip, 1}}));
  for (int n = 0; n < 20; ++n) {
    votes.vote(peer(n), peer_at(n), Endpoint{kOwn[0].ip, static_cast<std::uint16_t>(100 + n)},
               kNow + 200s);
  }
  EXPECT_EQ(votes.endpoints({}, kNow + 200s).size(), ReflexiveVotes::kEndpointsMax);
}

TEST(ReflexiveVotes, WhatNoPeerCanSeeIsIgnored) {
  ReflexiveVotes votes;
  for (const char* nonsense :
       {"127.0.0.1:4433", "224.0.0.1:4433", "0.0.0.0:4433", "[2001:db8::1]:4433"}) {
    EXPECT_FALSE(votes.vote(peer(1), peer_at(1), at(nonsense), kNow)) << nonsense;
  }
  EXPECT_FALSE(votes.vote(peer(1), peer_at(1), Endpoint{peer_at(2).ip, 0}, kNow));
  EXPECT_TRUE(votes.vote(peer(1), at("127.0.0.1:4433"), at("127.0.0.1:5000"), kNow));
}

}  // namespace
}  // namespace wow
