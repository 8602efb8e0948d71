// Messages of services arrive, the first to a stranger too; what cannot is bounded and counted.
#include "overlay/limits.h"
#include "tests/overlay/pool_fixture.h"

namespace wow {
namespace {

class MessageTest : public PoolTest {
 protected:
  static constexpr Duration kLatency = 10ms;

  // Two members without a session.
  std::pair<SimNode*, SimNode*> strangers(int n = 40) {
    add_many(n);
    EXPECT_TRUE(becomes_whole(5s));
    world_.run_for(20s);
    for (SimNode& a : pool_.members()) {
      for (SimNode& b : pool_.members()) {
        if (&a != &b && a->session(b.address()) == nullptr) return {&a, &b};
      }
    }
    ADD_FAILURE() << "everybody knows everybody";
    return {};
  }
};

TEST_F(MessageTest, TheFirstToAStrangerArrivesWithinTwoRoundTripsOfTheRing) {
  auto [a, b] = strangers();
  count_messages(*b);
  // At most three hops each way at 40 nodes; the key exchange takes one round trip, the message
  // half of another.
  a->node->send(b->address(), Service::kUserFirst, view_of("hello"));
  EXPECT_TRUE(becomes([&, b = b] { return received(*b) == 1; }, 2 * 2 * 3 * kLatency));
  EXPECT_TRUE(becomes([&, a = a, b = b] { return pool_.direct(*a, *b); }, 1500ms));
}

TEST_F(MessageTest, NoneOfABurstToAStrangerIsLost) {
  auto [a, b] = strangers();
  count_messages(*b);
  for (int i = 0; i < 50; ++i) {
    a->node->send(b->address(), Service::kUserFirst, view_of(std::to_string(i)));
  }
  for (int i = 50; i < 200; ++i) {
    world_.run_for(10ms);
    a->node->send(b->address(), Service::kUserFirst, view_of(std::to_string(i)));
  }
  world_.run_for(1s);
  ASSERT_EQ(received(*b), 200u);
  EXPECT_EQ(received_[b].front().second, "0");
  EXPECT_EQ(received_[b].front().first, a->address());
}

TEST_F(MessageTest, BothMayBeginAtOnce) {
  auto [a, b] = strangers();
  count_messages(*a);
  count_messages(*b);
  for (int i = 0; i < 20; ++i) {
    a->node->send(b->address(), Service::kUserFirst, view_of("there"));
    b->node->send(a->address(), Service::kUserFirst, view_of("back"));
    world_.run_for(5ms);
  }
  world_.run_for(1s);
  EXPECT_EQ(received(*a), 20u);
  EXPECT_EQ(received(*b), 20u);
}

TEST_F(MessageTest, AMessageOfSixtyFourKibibytesArrivesWhole) {
  auto [a, b] = strangers();
  count_messages(*b);
  std::string large(Node::kMessageBytesMax, 'x');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 7);
  EXPECT_TRUE(a->node->send(b->address(), Service::kUserFirst, view_of(large)));
  world_.run_for(1s);
  ASSERT_EQ(received(*b), 1u);
  EXPECT_EQ(received_[b].front().second, large);
  large += 'x';
  EXPECT_FALSE(a->node->send(b->address(), Service::kUserFirst, view_of(large)));
}

TEST_F(MessageTest, AMissingPieceLosesItsMessageOnly) {
  SimNode& a = add_public();
  SimNode& b = add_public();
  ASSERT_TRUE(becomes_whole(1s));
  count_messages(b);
  const Bytes large(10'000);
  world_.set_link(::wow::Link{.latency = kLatency, .loss = 0.05});
  for (int i = 0; i < 100; ++i) a->send(b.address(), Service::kUserFirst, large);
  world_.run_for(1s);
  EXPECT_GT(received(b), 30u);
  EXPECT_LT(received(b), 95u);
  for (const auto& [from, message] : received_[&b]) EXPECT_EQ(message.size(), large.size());
  // What stayed incomplete is forgotten.
  world_.run_for(2min);
  EXPECT_EQ(b->tables().partial_bytes, 0u);
}

// On a path that swallows in silence what is larger, over IPv4 and IPv6.
TEST_F(MessageTest, AFrameThatThePathDoesNotCarryArrivesInPieces) {
  for (const bool six : {false, true}) {
    NodeOptions options;
    options.limits.datagram_wanted = 1394 + kDataOverheadBytes;
    const auto host = [&](int n) -> SimHost& {
      return world_.add_host((six ? "2001:db8::" : "198.51.100.") + std::to_string(n));
    };
    SimPool pool(world_);
    SimNode& a = pool.add(host(1), options);
    SimNode& b = pool.add(host(2), options);
    ::wow::Link link{.latency = kLatency};
    link.payload_max = six ? 1232 : 1252;
    link.drops_fragments = true;
    world_.set_link(link);
    ASSERT_TRUE(becomes([&] { return pool.ring_is_whole(); }, 2s));
    std::vector<std::pair<Bytes, std::uint8_t>> got;
    b->set_frame_handler([&](Session& from, ByteView frame, std::uint8_t facts) {
      EXPECT_EQ(from.peer(), a.address());
      got.emplace_back(to_bytes(frame), facts);
    });
    for (int i = 0; i < 50; ++i) {
      a->send_frame(b.address(), Bytes(60), 0);
      world_.run_for(20ms);
    }
    got.clear();
    Bytes large(1394);
    for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<std::uint8_t>(i * 7);
    a->send_frame(b.address(), large, kFactChecksumPartial);
    world_.run_for(1s);
    ASSERT_EQ(got.size(), 1u) << (six ? "over IPv6" : "over IPv4");
    EXPECT_EQ(got.front(), std::pair(large, kFactChecksumPartial));
    // What the next few are lost of does not stay.
    link.loss = 0.5;
    world_.set_link(link);
    for (int i = 0; i < 20; ++i) a->send_frame(b.address(), large, 0);
    link.loss = 0;
    world_.set_link(link);
    world_.run_for(2min);
    EXPECT_EQ(b->tables().partial_bytes, 0u);
  }
}

TEST_F(MessageTest, ToOurselvesArrivesLater) {
  SimNode& a = add_public();
  count_messages(a);
  a->send(a.address(), Service::kUserFirst, view_of("me"));
  EXPECT_EQ(received(a), 0u);
  world_.run_for(1ms);
  EXPECT_EQ(received(a), 1u);
}

TEST_F(MessageTest, ToNobodyIsGivenUpAndCounted) {
  add_many(5);
  ASSERT_TRUE(becomes_whole(2s));
  const Address nobody = FakeCredentials::address_of(12345);
  for (int i = 0; i < 100; ++i) pool_[1]->send(nobody, Service::kUserFirst, Bytes(1000));
  EXPECT_LE(pool_[1]->tables().outbox_bytes, ring::kOutboxMessagesPerPeer * 1000);
  world_.run_for(13s);
  EXPECT_EQ(pool_[1]->tables().outbox_bytes, 0u);
  EXPECT_EQ(pool_[1]->tables().links, 0u);
  EXPECT_GE(pool_[1].metrics.total(Metric::kDropQueueFull), 36u);
  EXPECT_GE(pool_[1].metrics.total(Metric::kDropNoRoute), 64u);
}

TEST_F(MessageTest, TheNearestMemberIsFound) {
  add_many(20);
  ASSERT_TRUE(becomes_whole(3s));
  const Address target = FakeCredentials::address_of(4711);
  auto ring = pool_.ring();
  std::sort(ring.begin(), ring.end(),
            [&](SimNode* a, SimNode* b) { return nearer(a->address(), b->address(), target); });
  int answers = 0;
  for (SimNode* asking : ring) {
    asking->node->locate(target, [&](std::optional<Address> found) {
      ++answers;
      EXPECT_EQ(found, ring.front()->address());
    });
  }
  EXPECT_EQ(answers, 0);
  world_.run_for(1s);
  EXPECT_EQ(answers, 20);
  EXPECT_EQ(ring.front()->node->nearest_known(target, 3).front(), ring.front()->address());
}

TEST_F(MessageTest, AShortcutLastsAsLongAsItsTraffic) {
  auto [a, b] = strangers();
  a->node->want_shortcut(b->address());
  world_.run_for(1s);
  const auto has_shortcut = [&, a = a, b = b] {
    for (const auto& e : a->node->edges()) {
      if (e.peer == b->address()) {
        return std::find(e.roles.begin(), e.roles.end(), EdgeRole::kShortcut) != e.roles.end();
      }
    }
    return false;
  };
  EXPECT_TRUE(has_shortcut());
  for (int i = 0; i < 10; ++i) {
    world_.run_for(1min);
    a->node->send_frame(b->address(), Bytes(60), 0);
  }
  EXPECT_TRUE(has_shortcut());
  // Quiet for five minutes, and up to 72 s between two looks. What the ring itself sends over it
  // does not count.
  EXPECT_TRUE(becomes([&] { return !has_shortcut(); }, ring::kShortcutIdle + 73s));
}

}  // namespace
}  // namespace wow
