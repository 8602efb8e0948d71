// What the doctor makes of what it found. (What it finds: tests/lab/doctor_test.sh.)
#include <gtest/gtest.h>

#include <cstdlib>

#include "tools/doctor/doctor.h"
#include "tools/doctor/host_checks.h"

namespace wow {
namespace {

using State = Finding::State;

NatFindings found(Mapping mapping, Filtering filtering) {
  NatFindings out;
  out.has_address = true;
  out.asked = {*Endpoint::parse("198.51.100.7:4433")};
  out.answered = out.asked;
  out.outside = *Endpoint::parse("198.51.100.21:4433");
  out.mapping = mapping;
  out.filtering = filtering;
  out.mtu = 1500;
  out.clock_ahead = std::chrono::seconds(0);
  return out;
}

TEST(Judgement, SilenceOverUdpIsBadAndSaysWhatToDo) {
  NatFindings silent;
  silent.has_address = true;
  silent.asked = {*Endpoint::parse("198.51.100.7:4433")};
  const Finding udp = judge_udp(silent, {});
  EXPECT_EQ(udp.state, State::kBad);
  EXPECT_NE(udp.advice.find("let UDP out"), std::string::npos);
  EXPECT_EQ(judge_udp({}, {}).state, State::kUnknown) << "nobody was asked";
  EXPECT_EQ(judge_udp(found(Mapping::kNone, Filtering::kUnknown), {}).state, State::kGood);
}

TEST(Judgement, SymmetricNatsAreLimitedOthersGood) {
  using M = Mapping;
  for (const M mapping : {M::kAddressDependent, M::kAddressPortDependent, M::kDependent})
    EXPECT_EQ(judge_nat(found(mapping, Filtering::kAddressPortDependent)).state, State::kLimited);
  EXPECT_EQ(judge_nat(found(M::kEndpointIndependent, Filtering::kUnknown)).state, State::kGood);
  EXPECT_EQ(judge_nat(found(M::kNone, Filtering::kUnknown)).state, State::kGood);
  EXPECT_EQ(judge_nat({}).state, State::kUnknown);
}

TEST(Judgement, TheVerdictFollowsWhatPunchingCanDo) {
  const auto verdict = [](Mapping m, Filtering f, bool mapped = false) {
    return verdict_of(found(m, f), {}, mapped);
  };
  EXPECT_EQ(verdict(Mapping::kAddressPortDependent, Filtering::kEndpointIndependent),
            "Every peer reaches this machine directly.");
  EXPECT_EQ(verdict(Mapping::kAddressPortDependent, Filtering::kAddressPortDependent, true),
            "Every peer reaches this machine directly.");
  EXPECT_NE(verdict(Mapping::kEndpointIndependent, Filtering::kAddressPortDependent)
                .find("all peers but those behind symmetric"),
            std::string::npos);
  EXPECT_NE(verdict(Mapping::kAddressPortDependent, Filtering::kAddressPortDependent).find("third"),
            std::string::npos);
}

TEST(Judgement, AWrongClockAndASmallMtuAreSaid) {
  NatFindings nat = found(Mapping::kNone, Filtering::kUnknown);
  const WallTime now(std::chrono::seconds(1'800'000'000)), built = now - std::chrono::hours(24);
  EXPECT_EQ(judge_clock(nat, now, built).state, State::kGood);
  EXPECT_EQ(judge_clock(nat, built - std::chrono::hours(1), built).state, State::kBad);
  nat.clock_ahead = std::chrono::seconds(-3600);
  const Finding clock = judge_clock(nat, now, built);
  EXPECT_EQ(clock.state, State::kLimited);
  EXPECT_NE(clock.words.find("3600 s ahead"), std::string::npos) << clock.words;
  EXPECT_EQ(judge_mtu(nat).state, State::kGood);
  nat.mtu = 1280;
  EXPECT_EQ(judge_mtu(nat).state, State::kLimited);
  nat.mtu = 0;
  EXPECT_EQ(judge_mtu(nat).state, State::kBad);
}

TEST(Judgement, WhatAProxyAnswersIsSaidWithWhatToDo) {
  const Proxy open = *Proxy::parse("http://10.0.0.1:3128");
  const Proxy locked = *Proxy::parse("http://me:secret@10.0.0.1:3128");
  const HostPort tls{"198.51.100.7", 443};
  const auto judged = [&](ProxyAnswer answer, const Proxy& proxy, bool connected = true) {
    return judge_proxy(proxy, {{tls, connected, answer, "it says so"}});
  };
  EXPECT_EQ(judge_proxy(open, {}).state, State::kUnknown);
  const Finding passes = judged(ProxyAnswer::kPasses, locked);
  EXPECT_EQ(passes.state, State::kGood);
  EXPECT_EQ(passes.words, "http://10.0.0.1:3128 leads to 198.51.100.7:443") << "without password";
  EXPECT_EQ(judged(ProxyAnswer::kNotReached, open).state, State::kLimited);
  const Finding refuses = judged(ProxyAnswer::kRefuses, open);
  EXPECT_EQ(refuses.state, State::kBad);
  EXPECT_EQ(refuses.words, "http://10.0.0.1:3128 does not lead to 198.51.100.7:443: it says so");
  EXPECT_NE(judged(ProxyAnswer::kWantsPassword, open).advice.find("name them"), std::string::npos);
  const Finding wrong = judged(ProxyAnswer::kWantsPassword, locked);
  EXPECT_NE(wrong.advice.find("correct them"), std::string::npos);
  EXPECT_EQ((wrong.words + wrong.advice).find("secret"), std::string::npos);
  for (const ProxyAnswer answer : {ProxyAnswer::kNonsense, ProxyAnswer::kSilent})
    EXPECT_NE(judged(answer, open).advice, "") << to_string(answer);
  EXPECT_NE(judged(ProxyAnswer::kSilent, open, false).advice.find("is it up"), std::string::npos);
}

TEST(Judgement, OfAProxysAnswersTheBestCounts) {
  const Proxy proxy = *Proxy::parse("http://10.0.0.1:3128");
  const Finding out =
      judge_proxy(proxy, {{{"198.51.100.7", 4433}, true, ProxyAnswer::kRefuses, "403"},
                          {{"198.51.100.7", 443}, true, ProxyAnswer::kPasses, ""}});
  EXPECT_EQ(out.state, State::kGood);
  EXPECT_NE(out.words.find("leads to 198.51.100.7:443"), std::string::npos);
}

TEST(HostChecks, AProxysPasswordIsNotShown) {
  for (const char* name : {"https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy", "ALL_PROXY"})
    unsetenv(name);
  EXPECT_TRUE(proxies_of_environment().empty());
  setenv("https_proxy", "http://me:secret@proxy.example:3128", 1);
  ASSERT_EQ(proxies_of_environment().size(), 1u);
  EXPECT_EQ(proxies_of_environment().front(), "https_proxy=http://...@proxy.example:3128");
  unsetenv("https_proxy");
}

TEST(HostChecks, TcpIsOpenRefusedOrUnreachable) {
  EXPECT_TRUE(try_tcp({}, std::chrono::milliseconds(10)).empty());
  // Loopback of the test's own network namespace may be down.
  const auto reached = try_tcp({*Endpoint::parse("127.0.0.1:1")}, std::chrono::milliseconds(200));
  EXPECT_NE(reached.front(), Reach::kOpen);
}

TEST(HostChecks, AddressesNeedNoResolving) {
  std::vector<std::string> failed;
  const auto found = resolve_all({"198.51.100.7:4433", "[2001:db8::7]:4433"}, failed);
  EXPECT_EQ(found.size(), 2u);
  EXPECT_TRUE(failed.empty());
}

}  // namespace
}  // namespace wow
