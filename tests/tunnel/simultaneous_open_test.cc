// Both ends dial at once. Whatever the order in which their packets arrive, and whichever are lost,
// both must end with the same keys and without having lost a message.
#include <gtest/gtest.h>

#include <deque>

#include "tests/tunnel/session_harness.h"

namespace wow {
namespace {

// Packets of both parties are held, and delivered by hand.
class Table {
 public:
  explicit Table(std::uint64_t seed) : net(seed) {
    for (int i = 0; i < 2; ++i) {
      sides_[i]->filter = [this, i](ByteView packet, const Endpoint &) {
        if (!held_) return true;
        waiting_[i].push_back(to_bytes(packet));
        return false;
      };
    }
  }

  // The `n`th waiting packet of a side arrives, or is lost.
  bool deliver(int from, std::size_t n = 0, bool lose = false) {
    if (n >= waiting_[from].size()) return false;
    Bytes packet = waiting_[from][n];
    waiting_[from].erase(waiting_[from].begin() + static_cast<std::ptrdiff_t>(n));
    if (!lose) sides_[1 - from]->sessions().on_datagram(packet, sides_[from]->endpoint());
    return true;
  }
  std::size_t waiting(int from) const { return waiting_[from].size(); }
  void let_go() {
    while (deliver(0) || deliver(1)) {
    }
    held_ = false;
  }

  // One session at each end, and what one seals the other expects under its current keys.
  void expect_agreement(const std::string &run) {
    ASSERT_TRUE(a.is_open(b) && b.is_open(a)) << run;
    for (auto [from, to] : {std::pair(&a, &b), std::pair(&b, &a)}) {
      std::uint32_t index = 0;
      from->filter = [&](ByteView packet, const Endpoint &) {
        index = receiver_index(packet);
        return true;
      };
      from->say(*to, "agreed");
      from->filter = {};
      EXPECT_EQ(index, to->session(*from)->keys()->receive_index) << run;
    }
    EXPECT_EQ(a.sessions().size() + b.sessions().size(), 2u) << run;
  }

  Net net;
  Party &a = net.add(), &b = net.add();

 private:
  Party *sides_[2] = {&a, &b};
  std::deque<Bytes> waiting_[2];
  bool held_ = true;
};

constexpr int kChoices = 12;

TEST(SimultaneousOpen, EveryInterleavingEndsInAgreement) {
  for (int choices = 0; choices < 1 << kChoices; ++choices) {
    Table table(1);
    table.a.dial(table.b);
    table.b.dial(table.a);
    table.a.say(table.b, "from a");
    table.b.say(table.a, "from b");
    for (int i = 0; i < kChoices; ++i) {
      const int side = choices >> i & 1;
      if (!table.deliver(side)) table.deliver(1 - side);
    }
    table.let_go();
    table.net.run_for(500ms);
    const std::string run = "choices " + std::to_string(choices);
    EXPECT_EQ(table.a.heard, std::vector<std::string>{"from b"}) << run;
    EXPECT_EQ(table.b.heard, std::vector<std::string>{"from a"}) << run;
    table.expect_agreement(run);
    if (HasFailure()) return;
  }
}

TEST(SimultaneousOpen, AnyOrderAndAnyLossEndsInAgreement) {
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    Table table(seed);
    SeededRandom random(seed);
    table.a.dial(table.b);
    bool b_dialled = false;
    for (int step = 0; step < 40; ++step) {
      if (!b_dialled && random.below(4) == 0) {
        table.b.dial(table.a);
        b_dialled = true;
      }
      if (random.below(5) == 0) table.net.run_for(Duration(random.below(400'000'000)));
      const int side = static_cast<int>(random.below(2));
      if (table.waiting(side) > 0) {
        table.deliver(side, random.below(table.waiting(side)), random.below(4) == 0);
      }
    }
    table.let_go();
    table.net.run_for(4s);
    table.expect_agreement("seed " + std::to_string(seed));
    table.net.run_for(20s);
    table.a.say(table.b, "late");
    table.b.say(table.a, "late");
    table.net.run_for(1s);
    EXPECT_TRUE(table.a.heard_set.contains("late") && table.b.heard_set.contains("late")) << seed;
    if (HasFailure()) return;
  }
}

TEST(SimultaneousOpen, NothingIsLeftBehind) {
  Net net;
  Party &a = net.add(), &b = net.add();
  int flights = 0;
  a.filter = b.filter = [&](ByteView packet, const Endpoint &) {
    flights += packet_type(packet) == PacketType::kHandshake;
    return true;
  };
  a.dial(b);
  b.dial(a);
  net.run_for(30s);
  EXPECT_LE(flights, 6) << "nothing was repeated";
  EXPECT_EQ(a.sessions().handshakes_under_way() + b.sessions().handshakes_under_way(), 0u);
  EXPECT_EQ(FakeCredentials::exchanges_alive(), 0);
  EXPECT_TRUE(a.closed.empty() && b.closed.empty());
}

TEST(SimultaneousOpen, AnAttemptEndsWhenTheHigherPeersSucceeds) {
  Net net;
  Party &a = net.add(), &b = net.add();
  Party &low = a.address() < b.address() ? a : b;
  Party &high = &low == &a ? b : a;
  int lost = 0;
  low.filter = [&](ByteView packet, const Endpoint &) {
    const bool first = packet.size() == kNamedFlightBytes;
    lost += first;
    return !first;
  };
  low.dial(high);
  high.dial(low);
  net.run_for(30s);
  EXPECT_EQ(lost, 1);
  EXPECT_TRUE(low.is_open(high) && high.is_open(low));
}

TEST(SimultaneousOpen, WhoeverIsReachedTwiceAtOnceHasOneSession) {
  Net net;
  Party &a = net.add(), &b = net.add();
  net.world.add_address(b.host, "203.0.113.2");
  a.sessions().dial(Address(), b.path());
  a.sessions().dial(Address(), Path::direct({*IpAddress::parse("203.0.113.2"), 4433}));
  a.dial(b);
  net.run_for(30s);
  EXPECT_EQ(a.sessions().size(), 1u);
  EXPECT_EQ(b.sessions().size(), 1u);
  EXPECT_TRUE(a.is_direct(b) && b.is_direct(a));
  a.say(b, "x");
  b.say(a, "y");
  net.run_for(1s);
  EXPECT_EQ(a.heard.size() + b.heard.size(), 2u);
}

}  // namespace
}  // namespace wow
