#include "nat/punch_plan.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace wow {
namespace {

const IpAddress kOurs = *IpAddress::parse("203.0.113.1"),
                kTheirs = *IpAddress::parse("203.0.113.2");
constexpr std::uint8_t kFresh = kFreshSocketsFirst;

PortReport report(PortChoice choice, const IpAddress& ip, std::uint16_t port, int step = 0) {
  return {choice, {ip, port}, step};
}
PortReport stepping(const IpAddress& ip, std::uint16_t port, int step = 1) {
  return report(PortChoice::kStepping, ip, port, step);
}

class PunchPlanTest : public testing::Test {
 protected:
  std::vector<PunchPlan::Step> steps(const PortReport& own, const PortReport& peer,
                                     bool first = true) {
    auto plan = PunchPlan::make(own, peer, first, kFresh, budget_, random_);
    std::vector<PunchPlan::Step> out;
    while (plan) {
      const auto step = plan->next();
      if (!step) break;
      out.push_back(*step);
    }
    return out;
  }
  PunchBudget budget_;
  SeededRandom random_{1};
};

TEST_F(PunchPlanTest, WhoHasOnePortChecksThePeersNextOnes) {
  const auto out = steps(report(PortChoice::kKept, kOurs, 4433), stepping(kTheirs, 40000, 2));
  ASSERT_EQ(out.size(), std::size_t{PunchPlan::kWindow * PunchPlan::kRounds});
  for (int i = 0; i < PunchPlan::kWindow; ++i) {
    const auto place = static_cast<std::size_t>(i);
    EXPECT_EQ(out[place].to, (Endpoint{kTheirs, static_cast<std::uint16_t>(40002 + 2 * i)}));
  }
  EXPECT_EQ(out[0].after, Duration::zero());
  EXPECT_EQ(out[1].after, Duration(5ms));
  EXPECT_EQ(out[PunchPlan::kWindow].after, PunchPlan::kRoundPause);
}

TEST_F(PunchPlanTest, WhosePortsStepSendsFromAFreshSocketToTheOnePort) {
  const auto out = steps(stepping(kOurs, 40000), report(PortChoice::kKept, kTheirs, 4433));
  ASSERT_EQ(out.size(), std::size_t{PunchPlan::kRounds});
  Endpoint wanted{kTheirs, 4433};
  wanted.socket = kFresh;
  for (const auto& step : out) EXPECT_EQ(step.to, wanted);
}

TEST_F(PunchPlanTest, PortsBeyondTheEndAreLeftOut) {
  const auto out = steps(report(PortChoice::kKept, kOurs, 4433), stepping(kTheirs, 65530));
  EXPECT_EQ(out.size(), std::size_t{5 * PunchPlan::kRounds});
}

// Both NATs have a port for each destination and step by one: does a check of one end leave from
// the port that a check of the other goes to, and the other way round, however many mappings were
// made since the ports were seen?
TEST_F(PunchPlanTest, TwoThatStepMeetWhateverWasMappedMeanwhile) {
  for (int ours_since = 0; ours_since < 4; ++ours_since) {
    for (int theirs_since = 0; theirs_since < 4; ++theirs_since) {
      const auto from_us = steps(stepping(kOurs, 30000), stepping(kTheirs, 40000), true);
      const auto from_them = steps(stepping(kTheirs, 40000), stepping(kOurs, 30000), false);
      // Destination -> source, as the NAT maps them.
      const auto mapped = [](const auto& out, int last) {
        std::map<int, int> source;
        for (const auto& step : out)
          if (source.try_emplace(step.to.port, last + 1).second) ++last;
        return source;
      };
      const auto ours = mapped(from_us, 30000 + ours_since);
      const auto theirs = mapped(from_them, 40000 + theirs_since);
      int meetings = 0;
      for (const auto& [to, from] : ours) {
        const auto back = theirs.find(from);
        meetings += back != theirs.end() && back->second == to;
      }
      EXPECT_GE(meetings, 1) << ours_since << " and " << theirs_since;
    }
  }
}

// One port for each address on either side: each is one port, within the other's window.
TEST_F(PunchPlanTest, WindowsHoldOnePortForEachAddressToo) {
  for (const bool first : {true, false}) {
    std::set<int> ports;
    for (const auto& step : steps(stepping(kOurs, 30000), stepping(kTheirs, 40000), first))
      ports.insert(step.to.port - 40000);
    for (int i = 1; i <= PunchPlan::kWindow; ++i) EXPECT_TRUE(ports.contains(i)) << i;
  }
}

TEST_F(PunchPlanTest, AgainstRandomPortsManyAreOpenedTowardsOne) {
  const auto out =
      steps(report(PortChoice::kRandom, kOurs, 1), report(PortChoice::kKept, kTheirs, 4433));
  ASSERT_EQ(out.size(), std::size_t{kPunchSockets});
  std::set<int> sockets;
  for (const auto& step : out) {
    EXPECT_EQ(step.to.port, 4433);
    sockets.insert(step.to.socket);
  }
  EXPECT_EQ(sockets.size(), out.size());
  EXPECT_FALSE(sockets.contains(0)) << "the node's own has its mapping already";
}

TEST_F(PunchPlanTest, AndAsManyAsTheBudgetAllowsAreTriedEachOnce) {
  for (int i = 0; i < 20; ++i) {
    const auto out =
        steps(report(PortChoice::kKept, kOurs, 4433), report(PortChoice::kRandom, kTheirs, 1));
    ASSERT_EQ(out.size(), static_cast<std::size_t>(budget_.probes));
    std::set<int> ports;
    for (const auto& step : out) {
      EXPECT_GE(step.to.port, 1024);
      EXPECT_EQ(step.to.socket, 0);
      ports.insert(step.to.port);
    }
    EXPECT_EQ(ports.size(), out.size());
  }
}

// The curve of the documentation: what the formula says is what happens.
TEST_F(PunchPlanTest, TheChanceIsThatOfTheFormula) {
  budget_.probes = 200;
  constexpr int kTrials = 4000;
  int met = 0;
  for (int i = 0; i < kTrials; ++i) {
    std::set<std::uint16_t> open;
    while (open.size() < kPunchSockets)
      open.insert(static_cast<std::uint16_t>(1024 + random_.below(64512)));
    for (const auto& step :
         steps(report(PortChoice::kKept, kOurs, 4433), report(PortChoice::kRandom, kTheirs, 1))) {
      if (!open.contains(step.to.port)) continue;
      ++met;
      break;
    }
  }
  EXPECT_NEAR(static_cast<double>(met) / kTrials, punch_chance(kPunchSockets, 200), 0.03);
  EXPECT_NEAR(punch_chance(240, 768), 0.943, 0.001);
  EXPECT_NEAR(punch_chance(1, 768), 0.012, 0.001);
}

TEST_F(PunchPlanTest, NothingIsTriedWhereNothingCanBeHopedForOrTheBudgetIsNone) {
  const auto random_ours = report(PortChoice::kRandom, kOurs, 1);
  EXPECT_TRUE(steps(random_ours, report(PortChoice::kRandom, kTheirs, 1)).empty());
  EXPECT_TRUE(steps(random_ours, stepping(kTheirs, 40000)).empty());
  EXPECT_TRUE(steps(stepping(kOurs, 40000), report(PortChoice::kRandom, kTheirs, 1)).empty());
  const auto kept = report(PortChoice::kKept, kOurs, 4433);
  EXPECT_TRUE(steps(kept, report(PortChoice::kKept, kTheirs, 4433)).empty());
  EXPECT_TRUE(steps(kept, {}).empty());
  budget_.probes = 0;
  EXPECT_TRUE(steps(kept, stepping(kTheirs, 40000)).empty());
}

}  // namespace
}  // namespace wow
