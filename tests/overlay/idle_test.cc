// What a pool costs that does nothing.
#include "tests/overlay/pool_fixture.h"

namespace wow {
namespace {

class IdleTest : public PoolTest {
 protected:
  using PoolTest::PoolTest;
  // Sent by one node, with the headers of IP and UDP, on average over some minutes from now.
  double bytes_per_second(std::chrono::minutes span) {
    constexpr double kHeaders = 28;
    const auto sum = [&] {
      double bytes = 0;
      for (SimNode& m : pool_.members()) {
        const SimCounters& c = m.host.counters();
        bytes += static_cast<double>(c.bytes_out) + kHeaders * static_cast<double>(c.datagrams_out);
      }
      return bytes;
    };
    const double before = sum();
    world_.run_for(span);
    return (sum() - before) / to_seconds(span) / static_cast<double>(pool_.members().size());
  }
};

TEST_F(IdleTest, APoolThatHasSettledIsQuiet) {
  for (const int nodes : {8, 8, 14}) {
    add_many(nodes);
    ASSERT_TRUE(becomes_whole(10s));
    world_.run_for(10min);
    const double rate = bytes_per_second(10min);
    std::printf("%zu nodes: %.0f B/s each\n", pool_.members().size(), rate);
    EXPECT_LT(rate, 250);
  }
}

class SlowTest : public IdleTest {
 protected:
  SlowTest() : IdleTest(1, 300ms) {}
};

// The other challenged as well, when the answer came later than it would wait.
TEST_F(SlowTest, OfTwoNeighboursOneChallengesAndTheOtherAnswers) {
  add_many(8);
  ASSERT_TRUE(becomes_whole(20s));
  world_.run_for(10min);
  EXPECT_LT(bytes_per_second(10min), 100);
}

// With more than a second from end to end and back, each once took the answer for a question.
TEST_F(SlowTest, CandidatesAreAnsweredOnce) {
  add_many(6);
  ASSERT_TRUE(becomes_whole(20s));
  Site& left = world_.add_nat("203.0.113.2", {.preserve_port = false});
  Site& right = world_.add_nat(
      "203.0.113.3", {.mapping = NatScope::kAddressPortDependent, .preserve_port = false});
  NodeOptions options;
  options.bootstraps = {pool_[0].host.endpoint(), pool_[1].host.endpoint()};
  SimNode& a = pool_.add(world_.add_host("192.168.1.10", left), options);
  SimNode& b = pool_.add(world_.add_host("192.168.1.10", right), options);
  ASSERT_TRUE(becomes([&] { return pool_.all_joined(); }, 20s));
  a->send(b.address(), Service::kUserFirst, view_of("x"));
  world_.run_for(4min);
  ASSERT_FALSE(pool_.direct(a, b));
  const Session* session = a->session(b.address());
  ASSERT_NE(session, nullptr);
  const auto before = session->keys()->bytes_in.load();
  world_.run_for(60s);
  const auto bytes = session->keys()->bytes_in.load() - before;
  EXPECT_LT(bytes, 7000u);  // lists and keepalives; half as much again when each asked anew
}

}  // namespace
}  // namespace wow
