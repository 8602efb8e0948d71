// Two hosts behind NATs that no check opens, not neighbours on the ring: who passes their packets
// on, how soon, and what becomes of it when the relay is slow, dies or lies.
#include <set>

#include "overlay/limits.h"
#include "proto/headers.h"
#include "tests/overlay/pool_fixture.h"

namespace wow {
namespace {

class RelayChoice : public PoolTest {
 protected:
  explicit RelayChoice(std::uint64_t seed = 1) : PoolTest(seed) { datagram_wanted_ = 1427; }

  static constexpr NatRules kHard{.mapping = NatScope::kAddressPortDependent,
                                  .preserve_port = false};

  void SetUp() override {
    add_many(24);
    ASSERT_TRUE(becomes_whole(4s));
    world_.run_for(10s);
    Site& hard = world_.add_nat("203.0.113.1", kHard);
    Site& other_hard = world_.add_nat("203.0.113.2", kHard);
    a_ = &behind(hard, "192.168.1.10");
    world_.run_for(10s);
    // One that is no neighbour of the other.
    for (int i = 0; b_ == nullptr; ++i) {
      ASSERT_LT(i, 9);
      SimNode& other = behind(other_hard, "192.168.1.1" + std::to_string(i));
      world_.run_for(10s);
      if ((*a_)->session(other.address()) == nullptr) b_ = &other;
    }
    ASSERT_TRUE(becomes_whole(10s));
    world_.run_for(30s);
  }
  const Session* session() { return (*a_)->session(b_->address()); }
  bool relayed() { return session() != nullptr && session()->is_relayed(); }
  bool relayed_at_both() {
    const Session* back = (*b_)->session(a_->address());
    return relayed() && back != nullptr && back->is_relayed();
  }
  SimNode* relay() { return relayed() ? pool_.find(session()->path().path.via) : nullptr; }
  void link() {
    (*a_)->want_shortcut(b_->address());
    ASSERT_TRUE(becomes([&] { return relayed_at_both(); }, 5s));
    world_.run_for(1s);
  }
  // One each 10 ms for `span`; the b-th host counts.
  std::size_t talk(Duration span) {
    std::size_t sent = 0;
    for (TimePoint end = world_.now() + span; world_.now() < end; world_.run_for(10ms), ++sent)
      (*a_)->send(b_->address(), Service::kUserFirst, view_of(std::to_string(said_++)));
    return sent;
  }
  // What is done to the packets that this node is to pass on, before it sees them.
  void tamper(SimNode& at, std::function<void(SimNode&, Bytes, Endpoint)> with) {
    at.host.set_receiver([&at, with](MutableBytes packet, const Endpoint& from) {
      if (packet_type(packet) == PacketType::kRelay) return with(at, to_bytes(packet), from);
      at->on_datagram(packet, from);
    });
  }

  SimNode* a_ = nullptr;
  SimNode* b_ = nullptr;
  int said_ = 0;
};

class RelayedSoon : public RelayChoice, public testing::WithParamInterface<int> {
 protected:
  RelayedSoon() : RelayChoice(GetParam()) {}
};

TEST_P(RelayedSoon, PairsThatAreNoNeighboursAreRelayedWithinTwoRoundTripsOfTheRing) {
  count_messages(*b_);
  std::optional<Duration> ring;
  const TimePoint asked = world_.now();
  (*a_)->locate(b_->address(), [&](auto) { ring = world_.now() - asked; });
  ASSERT_TRUE(becomes([&] { return ring.has_value(); }, 3s));
  const TimePoint begun = world_.now();
  (*a_)->want_shortcut(b_->address());
  std::size_t sent = 0;
  while (!relayed() && world_.now() - begun < 5s) {
    (*a_)->send(b_->address(), Service::kUserFirst, view_of("x"));
    ++sent;
    world_.run_for(5ms);
  }
  ASSERT_TRUE(relayed());
  const double rounds = to_seconds(world_.now() - begun) / to_seconds(*ring);
  RecordProperty("round_trips_of_the_ring", std::to_string(rounds));
  EXPECT_LE(world_.now() - begun, 2 * *ring + 5ms) << rounds;
  sent += talk(5s);
  world_.run_for(1s);
  EXPECT_EQ(received(*b_), sent);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RelayedSoon, testing::Range(1, 9));

TEST_F(RelayChoice, TheQuickestRelayIsFoundInTheEnd) {
  // One member is near both, all others are far away.
  SimNode& near = pool_[7];
  world_.set_link([&](const SimHost& from, const SimHost& to) {
    const bool quick = &from == &near.host || &to == &near.host;
    return ::wow::Link{.latency = quick ? 4ms : 40ms};
  });
  world_.run_for(3min);  // until round trips are known
  (*a_)->want_shortcut(b_->address());
  ASSERT_TRUE(becomes([&] { return relayed_at_both(); }, 5s));
  // Both have to have a path to it, and one to know of the other's.
  for (SimNode* end : {a_, b_}) (*end)->want_shortcut(near.address());
  EXPECT_TRUE(becomes([&] { return relay() == &near; }, 5min))
      << "still " << to_seconds(session()->path().round_trip) << " s";
  const Path kept = session()->path().path;
  world_.run_for(4min);
  EXPECT_EQ(session()->path().path, kept) << "and stays";
  EXPECT_EQ((*a_)->tables().relay_searches, 0u);
}

TEST_F(RelayChoice, NothingIsLostWhenTheRelayLeaves) {
  link();
  count_messages(*b_);
  std::size_t sent = talk(1s);
  SimNode& first = *relay();
  EXPECT_TRUE(first->drain());
  sent += talk(Node::kDrain);
  pool_.leave(first);
  sent += talk(5s);
  world_.run_for(1s);
  EXPECT_EQ(received(*b_), sent);
  ASSERT_TRUE(relayed());
  EXPECT_NE(relay(), &first);
}

TEST_F(RelayChoice, NothingIsLostWhenTheRelayLeavesInHaste) {
  link();
  count_messages(*b_);
  std::size_t sent = talk(1s);
  SimNode& first = *relay();
  pool_.leave(first);
  sent += talk(5s);
  world_.run_for(1s);
  EXPECT_EQ(received(*b_), sent) << "what was on its way is sent again";
  ASSERT_TRUE(relayed());
  EXPECT_NE(relay(), &first);
}

TEST_F(RelayChoice, ADeadRelayIsReplacedWithinASecond) {
  link();
  count_messages(*b_);
  talk(1s);
  SimNode& first = *relay();
  pool_.crash(first);
  const TimePoint died = world_.now();
  std::size_t before = received(*b_);
  talk(3s);
  EXPECT_TRUE(relayed());
  EXPECT_GE(received(*b_) - before, 300u) << "none is lost, the last before it died included";
  std::set<std::string> all;
  for (const auto& [from, message] : received_[b_])
    EXPECT_TRUE(all.insert(message).second) << message << " came twice";
  EXPECT_GT(world_.now(), died);
}

TEST_F(RelayChoice, ARelayThatDropsIsLeft) {
  link();
  SimNode& liar = *relay();
  tamper(liar, [](SimNode&, const Bytes&, const Endpoint&) {});
  talk(3s);
  ASSERT_TRUE(relayed());
  EXPECT_NE(relay(), &liar);
  world_.run_for(500ms);
  count_messages(*b_);
  const std::size_t sent = talk(2s);
  world_.run_for(1s);
  EXPECT_EQ(received(*b_), sent);
}

// Some come through, so nothing falls silent.
TEST_F(RelayChoice, ARelayThatDropsSomeIsLeft) {
  link();
  SimNode& liar = *relay();
  int passed = 0;
  tamper(liar, [&passed](SimNode& at, Bytes packet, const Endpoint& from) {
    if (++passed % 3 != 0) at->on_datagram(packet, from);
  });
  const auto converse = [this](Duration span) {
    std::size_t heard = 0, said = 0;
    (*b_)->set_frame_handler([&](Session&, ByteView, std::uint8_t) { ++heard; });
    for (const TimePoint end = world_.now() + span; world_.now() < end; ++said) {
      (*a_)->send_frame(b_->address(), Bytes(100), 0);
      (*b_)->send_frame(a_->address(), Bytes(100), 0);
      world_.run_for(20ms);
    }
    world_.run_for(1s);
    (*b_)->set_frame_handler({});
    return said - heard;
  };
  EXPECT_GT(converse(1s), 10u);
  const TimePoint begun = world_.now();
  while (relay() == &liar && world_.now() - begun < 1min) converse(1s);
  RecordProperty("left_after_s", std::to_string(to_seconds(world_.now() - begun)));
  ASSERT_TRUE(relayed_at_both());
  EXPECT_NE(relay(), &liar);
  EXPECT_LT(world_.now() - begun, 40s);
  EXPECT_EQ(converse(10s), 0u);
  converse(3min);
  EXPECT_NE(relay(), &liar) << "nor is it come back to";
}

TEST_F(RelayChoice, ARelayThatDelaysIsLeftForAQuickerOne) {
  link();
  SimNode& slow = *relay();
  std::vector<std::unique_ptr<Timer>> held;
  tamper(slow, [&held](SimNode& at, Bytes packet, Endpoint from) {
    held.push_back(std::make_unique<Timer>(at.host.clock()));
    held.back()->after(300ms, [&at, packet, from]() mutable { at->on_datagram(packet, from); });
  });
  EXPECT_TRUE(becomes([&] { return relay() != nullptr && relay() != &slow; }, 10min))
      << to_seconds(session()->path().round_trip);
  world_.run_for(500ms);
  count_messages(*b_);
  const std::size_t sent = talk(2s);
  world_.run_for(1s);
  EXPECT_EQ(received(*b_), sent);
  held.clear();
}

TEST_F(RelayChoice, WhatARelayRepeatsIsTakenOnce) {
  link();
  tamper(*relay(), [](SimNode& at, Bytes packet, const Endpoint& from) {
    Bytes again = packet;
    at->on_datagram(packet, from);
    at->on_datagram(again, from);
  });
  count_messages(*b_);
  const std::uint64_t before = b_->metrics.total(Metric::kDropReplayed);
  const std::size_t sent = talk(2s);
  world_.run_for(1s);
  EXPECT_EQ(received(*b_), sent);
  EXPECT_GE(b_->metrics.total(Metric::kDropReplayed), before + sent);
  EXPECT_TRUE(relayed());
}

TEST_F(RelayChoice, TheReasonIsTold) {
  link();
  const auto why = [](SimNode& of, SimNode& to) {
    for (const EdgeInfo& e : of->edges()) {
      if (e.peer == to.address()) return to_text(e.why_not, e.tries);
    }
    return std::string("no session");
  };
  EXPECT_EQ(why(*a_, pool_[0]), "") << "a direct path";
  world_.run_for(20s);
  EXPECT_EQ(why(*a_, *b_), to_text(WhyNot::kBothNats, 0));
  EXPECT_EQ(why(*b_, *a_), to_text(WhyNot::kBothNats, 0));
  for (const EdgeInfo& e : (*a_)->edges()) {
    if (e.peer != b_->address()) continue;
    EXPECT_NEAR(to_seconds(e.path_for), 21, 1.5) << "since when";
  }
}

}  // namespace
}  // namespace wow
