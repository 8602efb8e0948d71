// Hosts whose UDP is blocked take part over streams, which are left as soon as UDP works.
//
//   routers r0..r11 (public; accept streams)      public host p
//      |
//   --------- internet ---------
//    |                    |
//   NAT                  NAT
//   blocked: no UDP      other
#include "tests/overlay/pool_fixture.h"

namespace wow {
namespace {

class StreamTest : public PoolTest {
 protected:
  void SetUp() override {
    for (int i = 0; i < 12; ++i) {
      const std::string ip = "198.51.100." + std::to_string(i + 1);
      SimHost& host = world_.add_host(ip);
      host.accept_streams();
      add(host);
    }
    ASSERT_TRUE(becomes_whole(3s));
    world_.run_for(10s);
  }
  SimNode& add(SimHost& host) {
    NodeOptions options;
    options.streams = true;
    for (std::size_t i = 0; i < std::min<std::size_t>(pool_.members().size(), 2); ++i)
      options.bootstraps.push_back(pool_[i].host.endpoint());
    return pool_.add(host, options);
  }
  SimNode& add_blocked(Site& site) {
    SimHost& host = world_.add_host("192.168.1.10", site);
    host.block_udp(true);
    return add(host);
  }
  SimNode& add_listening(Site& site, bool blocked) {
    SimHost& host = world_.add_host("192.168.1.20", site);
    host.block_udp(blocked);
    host.accept_streams();
    return add(host);
  }
  static Path path(SimNode& from, SimNode& to) {
    const Session* session = from->session(to.address());
    return session == nullptr ? Path() : session->path().path;
  }
  // Of its sessions, how many are on a path of this kind.
  static int count(SimNode& node, PathKind kind) {
    int out = 0;
    node->sessions().for_each([&](Session& s) { out += s.path().path.kind == kind; });
    return out;
  }

  Site& nat_ = world_.add_nat("203.0.113.1");
  Site& other_nat_ = world_.add_nat("203.0.113.2");
};

// Three are tried at a time, and who is tried next must not be those again.
TEST_F(StreamTest, OneBootstrapOfNineLives) {
  for (std::size_t live = 0; live < 9; ++live) {
    const std::string number = std::to_string(live + 1);
    Site& site = world_.add_nat("203.0.114." + number);
    SimHost& host = world_.add_host("192.168." + number + ".10", site);
    host.block_udp(true);
    NodeOptions options;
    options.streams = true;
    for (std::size_t i = 0; i < 9; ++i) {
      const auto dead = *IpAddress::parse("203.0.113.1" + std::to_string(i));
      options.bootstraps.push_back(i == live ? pool_[0].host.endpoint()
                                             : Endpoint{dead, SimHost::kPort});
    }
    SimNode& node = pool_.add(host, options);
    EXPECT_TRUE(becomes([&] { return path(node, pool_[0]).is_stream(); }, 6s)) << live;
  }
}

TEST_F(StreamTest, AHostWithoutUdpJoinsWithinTwoSeconds) {
  SimNode& blocked = add_blocked(nat_);
  EXPECT_TRUE(becomes([&] { return blocked->joined() && !blocked->alone(); }, 2s));
  EXPECT_TRUE(becomes([&] { return pool_.ring_is_whole(3); }, 10s));
  EXPECT_GT(count(blocked, PathKind::kStream), 0);
  EXPECT_EQ(count(blocked, PathKind::kDirect), 0);
}

// Both dial what the other's NAT makes of the port that its streams leave from (RFC 5382, 4.2).
// Whom a beacon names is on our own link, and nobody pays for it.
TEST_F(StreamTest, AHostWithoutUdpJoinsThroughAMemberThatItHeardOf) {
  NodeOptions options;
  options.streams = true;
  options.bootstraps = {*Endpoint::parse("192.0.2.1:4433")};  // nobody
  SimHost& host = world_.add_host("192.168.1.10", nat_);
  host.block_udp(true);
  SimNode& blocked = pool_.add(host, options);
  blocked->on_lan_member({pool_[3].address(), {pool_[3].host.endpoint()}});
  EXPECT_TRUE(becomes([&] { return blocked->joined() && !blocked->alone(); }, 5s));
}

TEST_F(StreamTest, TwoWithoutUdpBehindNatsMeetInAStream) {
  SimNode &a = add_listening(nat_, true), &b = add_listening(other_nat_, true);
  ASSERT_TRUE(becomes([&] { return pool_.all_joined() && !a->alone() && !b->alone(); }, 3s));
  world_.run_for(5s);
  const auto told = a->own_candidates();
  EXPECT_NE(std::ranges::find(told, *Endpoint::parse("tcp://203.0.113.1:4433")), told.end());
  EXPECT_TRUE(std::ranges::none_of(
      told, [](const Endpoint& e) { return e.is_stream() && e.ip.is_private(); }));
  a->want_shortcut(b.address());
  EXPECT_TRUE(becomes([&] { return path(a, b).is_stream() && path(b, a).is_stream(); }, 5s));
  EXPECT_TRUE(path(a, b).endpoint.can_be_dialled() && path(b, a).endpoint.can_be_dialled());
}

// One that has UDP opens no stream before they meet, and so has told none: its port is guessed.
TEST_F(StreamTest, OneWithoutUdpMeetsOneWithUdpBehindANat) {
  SimNode &a = add_listening(nat_, true), &b = add_listening(other_nat_, false);
  ASSERT_TRUE(becomes([&] { return pool_.all_joined() && !a->alone() && !b->alone(); }, 3s));
  world_.run_for(5s);
  b->want_shortcut(a.address());
  EXPECT_TRUE(becomes([&] { return path(a, b).is_stream() && path(b, a).is_stream(); }, 5s));
}

TEST_F(StreamTest, EverybodyReachesItAndItEverybody) {
  SimNode& blocked = add_blocked(nat_);
  SimNode& other = add(world_.add_host("192.168.1.10", other_nat_));
  ASSERT_TRUE(becomes([&] { return pool_.all_joined() && !blocked->alone(); }, 3s));
  world_.run_for(5s);
  EXPECT_TRUE(pool_.all_routable());
  count_messages(blocked);
  count_messages(other);
  for (int i = 0; i < 50; ++i) {
    blocked->send(other.address(), Service::kUserFirst, view_of("x"));
    other->send(blocked.address(), Service::kUserFirst, view_of("y"));
    world_.run_for(50ms);
  }
  world_.run_for(1s);
  EXPECT_EQ(received(blocked), 50u);
  EXPECT_EQ(received(other), 50u);
}

TEST_F(StreamTest, NoStreamIsOpenedWhereUdpWorks) {
  SimNode& other = add(world_.add_host("192.168.1.10", other_nat_));
  ASSERT_TRUE(becomes([&] { return other->joined(); }, 2s));
  world_.run_for(30s);
  EXPECT_EQ(count(other, PathKind::kStream), 0);
}

TEST_F(StreamTest, UdpThatComesBackIsUsedByAllSoon) {
  SimNode& blocked = add_blocked(nat_);
  ASSERT_TRUE(becomes([&] { return blocked->joined() && !blocked->alone(); }, 2s));
  world_.run_for(10s);
  blocked.host.block_udp(false);
  EXPECT_TRUE(becomes([&] { return count(blocked, PathKind::kStream) == 0; }, 15s));
  EXPECT_TRUE(pool_.ring_is_whole(3));
}

// UDP ends while traffic flows: it goes on over a stream within three seconds, in the same session.
TEST_F(StreamTest, TrafficFallsBackToAStreamAndReturns) {
  SimNode& host = add(world_.add_host("192.168.1.10", other_nat_));
  ASSERT_TRUE(becomes([&] { return host->joined(); }, 2s));
  world_.run_for(10s);
  SimNode& far = pool_[5];
  count_messages(far);
  const auto talk = [&](Duration span) {
    for (Duration at{}; at < span; at += 50ms) {
      host->send(far.address(), Service::kUserFirst, view_of("x"));
      world_.run_for(50ms);
    }
  };
  talk(5s);
  ASSERT_EQ(path(host, far).kind, PathKind::kDirect);
  host.host.block_udp(true);
  talk(1500ms);
  EXPECT_TRUE(path(host, far).is_stream());
  const std::size_t before = received(far);
  talk(1s);
  world_.run_for(100ms);
  EXPECT_GE(received(far), before + 19);
  EXPECT_TRUE(becomes([&] { return pool_.ring_is_whole(3); }, 30s));
  host.host.block_udp(false);
  EXPECT_TRUE(becomes([&] { return path(host, far).kind == PathKind::kDirect; }, 15s));
}

TEST_F(StreamTest, ALostStreamIsDialledAnew) {
  SimNode& blocked = add_blocked(nat_);
  ASSERT_TRUE(becomes([&] { return blocked->joined() && !blocked->alone(); }, 2s));
  world_.run_for(5s);
  for (SimNode& member : pool_.members()) member.host.reset_streams();
  // Nobody is told; what is sent does not arrive.
  world_.run_for(15s);
  EXPECT_GT(count(blocked, PathKind::kStream), 0);
  EXPECT_TRUE(becomes([&] { return pool_.ring_is_whole(3); }, 20s));
}

TEST_F(StreamTest, OnlyEndpointsThatCanBeDialledAreTold) {
  SimNode& blocked = add_blocked(nat_);
  ASSERT_TRUE(becomes([&] { return blocked->joined() && !blocked->alone(); }, 2s));
  world_.run_for(10s);
  for (SimNode& member : pool_.members()) {
    for (const Member& known : member->remember()) {
      for (const Endpoint& e : known.endpoints) EXPECT_TRUE(e.can_be_dialled()) << e.text();
    }
  }
  const auto told = pool_[0]->own_candidates();
  EXPECT_NE(std::find(told.begin(), told.end(), *Endpoint::parse("tcp://198.51.100.1:4433")),
            told.end());
}

}  // namespace
}  // namespace wow
