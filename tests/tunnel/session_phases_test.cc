// Sessions whose keys step to the next generation every few packets, on lines that lose, delay
// and bring out of order.
#include <gtest/gtest.h>

#include "tests/tunnel/session_harness.h"

namespace wow {
namespace {

using namespace std::chrono_literals;

SessionLimits quick_phases() {
  SessionLimits limits;
  limits.phase_packets = 32;
  return limits;
}

class SessionPhases : public testing::Test {
 protected:
  void open() {
    a.dial(b);
    ASSERT_TRUE(net.run_until([&] { return a.is_direct(b) && b.is_direct(a); }));
  }
  // So many messages each way, one in a millisecond.
  void talk(int messages) {
    for (int i = 0; i < messages; ++i) {
      ++said_;
      a.say(b, "to b " + std::to_string(said_));
      b.say(a, "to a " + std::to_string(said_));
      net.run_for(1ms);
    }
    net.run_for(1s);
  }
  static std::uint32_t generation(Party& of, Party& with) {
    return of.session(with)->keys()->phases.current();
  }

  Net net;
  Party& a = net.add({}, quick_phases());
  Party& b = net.add({}, quick_phases());
  std::uint32_t said_ = 0;
};

TEST_F(SessionPhases, AConversationGoesThroughManyWithoutLoss) {
  open();
  talk(2000);
  EXPECT_EQ(a.heard_set.size(), said_);
  EXPECT_EQ(b.heard_set.size(), said_);
  EXPECT_GE(generation(a, b), 30u);
  EXPECT_EQ(generation(a, b), generation(b, a));
  EXPECT_EQ(a.count(Metric::kDropForged) + a.count(Metric::kDropMalformed), 0u);
  EXPECT_EQ(a.opened.size(), 1u) << "no key exchange was needed";
}

TEST_F(SessionPhases, ReorderedAndLostPacketsDoNoHarm) {
  open();
  net.world.set_link(Link{10ms, 15ms, 0.1});
  talk(2000);
  // What is lost is lost; the rest was opened, whatever it overtook.
  EXPECT_GT(b.heard_set.size(), said_ * 8 / 10);
  EXPECT_EQ(b.count(Metric::kDropForged) + b.count(Metric::kDropMalformed), 0u);
  EXPECT_GE(generation(a, b), 20u);
  net.world.set_link(Link{10ms});
  const std::size_t before = b.heard_set.size();
  const std::uint32_t said = said_;
  talk(100);
  EXPECT_EQ(b.heard_set.size() - before, said_ - said);
}

// One end only listens: what answers its peer's probes is enough.
TEST_F(SessionPhases, AListenerLetsItsPeerStep) {
  open();
  for (int i = 0; i < 3000; ++i) {
    a.say(b, std::to_string(i));
    net.run_for(20ms);
  }
  net.run_for(1s);
  EXPECT_EQ(b.heard_set.size(), 3000u);
  EXPECT_GE(generation(a, b), 30u);
}

TEST_F(SessionPhases, NewKeysBeginAtTheFirst) {
  SessionLimits limits = quick_phases();
  limits.rekey_after = 2s;
  Party& c = net.add({}, limits);
  Party& d = net.add({}, limits);
  c.dial(d);
  ASSERT_TRUE(net.run_until([&] { return c.is_direct(d) && d.is_direct(c); }));
  const std::uint32_t first = c.session(d)->keys()->receive_index;
  for (int i = 0; i < 5000; ++i) {
    c.say(d, std::to_string(i));
    d.say(c, std::to_string(i));
    net.run_for(1ms);
  }
  net.run_for(1s);
  EXPECT_EQ(c.heard_set.size(), 5000u);
  EXPECT_EQ(d.heard_set.size(), 5000u);
  EXPECT_NE(c.session(d)->keys()->receive_index, first);
  EXPECT_EQ(c.count(Metric::kDropForged) + d.count(Metric::kDropForged), 0u);
}

}  // namespace
}  // namespace wow
