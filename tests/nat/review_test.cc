// What one lying or pushing peer can have us, or others, send to a victim.
#include <gtest/gtest.h>

#include "nat/check_list.h"
#include "nat/reflexive.h"

namespace wow {
namespace {

constexpr TimePoint kNow{Duration(1h)};
Endpoint at(std::string_view text) { return *Endpoint::parse(text); }
Address peer(int n) { return Address() + Address::power_of_two(n); }
Endpoint peer_at(int n) { return {IpAddress::v4(0xc6336400 + n), 4433}; }  // 198.51.100.n

TEST(CheckListReview, AnEndpointNamedAgainAndAgainIsStartedAnewEveryTwoSeconds) {
  CheckList list({});
  int sent = 0;
  for (Duration t{}; t < 10s; t += 10ms) {
    list.add({peer_at(1)}, kNow + t);
    if (list.next(kNow + t)) ++sent;
  }
  EXPECT_GE(sent, 20);
  EXPECT_LE(sent, 5 * 5);  // at 0, 100, 300, 700 and 1,500 ms of every two seconds
}

TEST(ReflexiveReview, ASingleVoterIsBelievedOnlyWhileItIsAlone) {
  ReflexiveVotes votes;
  votes.vote(peer(1), peer_at(1), at("192.0.2.66:666"), kNow);
  EXPECT_EQ(votes.endpoints({}, kNow), std::vector<Endpoint>{at("192.0.2.66:666")});
  votes.vote(peer(2), peer_at(2), at("203.0.113.1:4433"), kNow);
  EXPECT_TRUE(votes.endpoints({}, kNow).empty());
  votes.vote(peer(3), peer_at(3), at("203.0.113.1:4434"), kNow);
  EXPECT_EQ(votes.endpoints({}, kNow).size(), 2u);  // one NAT, a port for each of us
  // When the others' votes have aged, whoever is left is alone again.
  votes.vote(peer(1), peer_at(1), at("192.0.2.66:666"), kNow + 10min);
  EXPECT_EQ(votes.endpoints({}, kNow + 11min), std::vector<Endpoint>{at("192.0.2.66:666")});
}

}  // namespace
}  // namespace wow
