#include "nat/check_list.h"

#include <gtest/gtest.h>

#include <map>

namespace wow {
namespace {

constexpr TimePoint kNow{Duration(0)};  // a machine that has just booted

Endpoint at(std::string_view text) { return *Endpoint::parse(text); }
Endpoint peer(int n) { return {IpAddress::v4(0xc6336400 + n), 4433}; }  // 198.51.100.n

// Everything the list sends until it is exhausted, with the time since the start.
std::vector<std::pair<Duration, Endpoint>> run(CheckList& list) {
  std::vector<std::pair<Duration, Endpoint>> out;
  TimePoint now = kNow;
  while (const auto due = list.next_due()) {
    now = std::max(now, *due);
    const auto sent = list.next(now);
    if (!sent) break;
    out.emplace_back(now - kNow, *sent);
  }
  return out;
}

TEST(UsableCandidates, KeepsLanAndPublicOnesOfBothFamiliesInOrder) {
  const std::vector<Endpoint> offered = {at("10.1.0.2:4433"), at("192.168.1.5:4433"),
                                         at("[fd00::5]:4433"), at("203.0.113.1:61000"),
                                         at("[2001:db8::1]:4433")};
  EXPECT_EQ(usable_candidates(offered, {}), offered);
}

TEST(UsableCandidates, RefusesWhatIsNoPlaceToSendTo) {
  CandidateRules rules;
  rules.virtual_subnet = Prefix::parse("10.128.0.0/16");
  const std::vector<Endpoint> bad = {
      at("127.0.0.1:4433"),       at("[::1]:4433"),       at("224.0.0.1:4433"),
      at("255.255.255.255:4433"), at("[ff02::1]:4433"),   at("169.254.169.254:80"),
      at("[fe80::1]:4433"),       at("0.0.0.0:4433"),     at("[::]:4433"),
      at("10.128.3.4:4433"),      Endpoint{peer(1).ip, 0}};
  for (const Endpoint& e : bad) EXPECT_TRUE(usable_candidates({e}, rules).empty()) << e.text();
  rules.allow_loopback = true;
  EXPECT_EQ(usable_candidates({at("127.0.0.1:4433")}, rules).size(), 1u);
}

TEST(UsableCandidates, TakesEightDifferentOnesAtMost) {
  std::vector<Endpoint> offered = {peer(1), peer(1)};
  for (int n = 2; n < 30; ++n) offered.push_back(peer(n));
  const auto taken = usable_candidates(offered, {});
  ASSERT_EQ(taken.size(), kCandidatesMax);
  EXPECT_EQ(taken[1], peer(2));
}

TEST(CheckList, ChecksAllCandidatesAtOnceButPaced) {
  CheckList list({peer(1), peer(2), peer(3)});
  EXPECT_EQ(list.next(kNow), peer(1));
  EXPECT_EQ(list.next(kNow), std::nullopt);
  EXPECT_EQ(list.next_due(), kNow + kCheckPace);
  EXPECT_EQ(list.next(kNow + 20ms), peer(2));
  EXPECT_EQ(list.next(kNow + 40ms), peer(3));
  EXPECT_EQ(list.next_due(), kNow + kCheckRetransmit);
  EXPECT_EQ(list.next(kNow + 100ms), peer(1));
}

TEST(CheckList, RepeatsEachWithDoublingPausesAndThenStops) {
  CheckList list({peer(1), peer(2)});
  std::map<Endpoint, std::vector<Duration>> sent;
  Duration last = -1s;
  for (const auto& [when, endpoint] : run(list)) {
    EXPECT_GE(when - last, kCheckPace);
    last = when;
    sent[endpoint].push_back(when);
  }
  ASSERT_EQ(sent[peer(1)].size(), static_cast<std::size_t>(kCheckTries));
  for (int i = 1; i < kCheckTries; ++i) {
    EXPECT_GE(sent[peer(1)][i] - sent[peer(1)][i - 1], 100ms * (1 << (i - 1)));
  }
  EXPECT_GT(last, 6s);
  EXPECT_LT(last, 7s);
  EXPECT_TRUE(list.exhausted());
  EXPECT_EQ(list.checks_sent(), 2 * kCheckTries);
}

TEST(CheckList, OfAnAddressWithAnotherPortForEachOnePortIsChecked) {
  const Endpoint first{peer(1).ip, 1000}, second{peer(1).ip, 2000}, third{peer(1).ip, 3000};
  CheckList list({first, second, peer(2)});
  list.keep_one_per_address();
  ASSERT_EQ(list.next(kNow), first);
  // Named again when it may be checked anew: the known one is.
  list.add({third}, kNow);
  list.add({third}, kNow + kCheckRestart);
  for (const auto& [at, endpoint] : run(list)) {
    EXPECT_TRUE(endpoint == first || endpoint == peer(2)) << endpoint.text();
  }
  // Streams have ports of their own.
  list.add({{peer(1).ip, 443, Carrier::kTls}}, kNow);
  EXPECT_FALSE(list.exhausted());
}

TEST(CheckList, SaysWhenAllWereRepeated) {
  EXPECT_FALSE(CheckList({}).all_repeated()) << "they may still come";
  CheckList list({peer(1), peer(2)});
  TimePoint now{};
  int checks = 0;
  while (!list.all_repeated()) {
    now = *list.next_due();
    ASSERT_TRUE(list.next(now));
    ++checks;
  }
  EXPECT_EQ(checks, 4);
}

TEST(CheckList, CandidatesLearntLaterGoFirstAndKnownOnesStartAnew) {
  CheckList list({peer(1)});
  run(list);
  ASSERT_TRUE(list.exhausted());
  list.add({peer(2), peer(1)}, kNow + 10s);
  const auto again = run(list);
  ASSERT_EQ(again.size(), 2u * kCheckTries);
  EXPECT_EQ(again[0].second, peer(2));
  EXPECT_EQ(again[1].second, peer(1));
}

TEST(CheckList, AnAnswerEndsTheWorseCandidatesOnly) {
  CheckList list({peer(1), peer(2), peer(3)});
  list.answered(peer(9));
  list.answered(peer(2));
  const auto rest = run(list);
  ASSERT_EQ(rest.size(), static_cast<std::size_t>(kCheckTries));
  for (const auto& [when, endpoint] : rest) EXPECT_EQ(endpoint, peer(1));
}

TEST(CheckList, APeerThatKeepsOfferingNeverGrowsTheList) {
  CheckList list({});
  EXPECT_TRUE(list.exhausted());
  for (int n = 0; n < 200; ++n) list.add({peer(n)}, kNow);
  EXPECT_EQ(run(list).size(), kCheckListMax * kCheckTries);
}

TEST(UsableCandidates, RefusesStreamsThatNobodyCanDial) {
  Endpoint accepted = peer(1);
  accepted.carrier = Carrier::kAccepted;
  EXPECT_TRUE(usable_candidates({accepted}, {}).empty());
  EXPECT_EQ(usable_candidates({at("tcp://198.51.100.1:4433")}, {}).size(), 1u);
}

TEST(StreamsTo, AreThoseToldElseWhereTheyAreByDefault) {
  const Endpoint tcp = at("tcp://198.51.100.1:4433"), tls = at("tls://198.51.100.1:443");
  EXPECT_EQ(streams_to({peer(1)}), (std::vector<Endpoint>{tcp, tls}));
  EXPECT_EQ(streams_to({peer(2), tls}), std::vector<Endpoint>{tls}) << "it has told";
  EXPECT_LE(streams_to({peer(1), peer(2), peer(3), peer(4)}).size(), kStreamsTried);
}

TEST(CheckList, UdpHasAHeadStart) {
  const Endpoint tcp = at("tcp://198.51.100.1:4433"), tls = at("tls://198.51.100.1:443");
  CheckList list({tls, tcp, peer(1)}, kNow);
  std::map<Endpoint, std::vector<Duration>> sent;
  for (const auto& [when, endpoint] : run(list)) sent[endpoint].push_back(when);
  EXPECT_EQ(sent[peer(1)].front(), 0ms);
  EXPECT_EQ(sent[tcp].front(), kTcpHeadStart);
  EXPECT_EQ(sent[tls].front(), kTlsHeadStart);
  EXPECT_EQ(sent[tcp].size(), static_cast<std::size_t>(kStreamCheckTries));
}

TEST(CheckList, NamedAgainAStreamWaitsNoLonger) {
  const Endpoint tcp = at("tcp://198.51.100.1:4433");
  CheckList list({tcp}, kNow);
  list.add({tcp}, kNow + 300ms);
  EXPECT_EQ(list.next(kNow + kTcpHeadStart), tcp);
}

TEST(CheckList, WhereUdpIsKnownToBeSilentStreamsDoNotWait) {
  const Endpoint tcp = at("tcp://198.51.100.1:4433");
  CheckList list({peer(1), tcp}, kNow, true);
  EXPECT_EQ(list.next(kNow), peer(1));
  EXPECT_EQ(list.next(kNow + kCheckPace), tcp);
}

}  // namespace
}  // namespace wow
