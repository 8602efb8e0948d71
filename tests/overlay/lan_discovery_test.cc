// Beacons between machines of one LAN, in virtual time: who speaks when, and who is believed.
#include "overlay/lan_discovery.h"

#include "tests/overlay/pool_fixture.h"
#include "tools/sim/fake_credentials.h"

namespace wow {
namespace {

struct Machine {
  Machine(World& world, int number)
      : host(world.add_host("192.168.1." + std::to_string(number))),
        credentials(static_cast<std::uint64_t>(number), {}) {}

  SimHost& host;
  FakeCredentials credentials;
  Metrics metrics;
  MetricSlot& slot = metrics.add_slot();
  bool seeks = true;
  int sent = 0;
  std::vector<Member> found;
  std::unique_ptr<LanDiscovery> discovery;
};

class LanDiscoveryTest : public testing::Test {
 protected:
  Machine& add(bool seeks = true) {
    Machine& m = *machines_.emplace_back(
        std::make_unique<Machine>(world_, static_cast<int>(machines_.size()) + 1));
    m.seeks = seeks;
    m.discovery = std::make_unique<LanDiscovery>(
        m.credentials, m.host.clock(), m.host.random(), m.host.transport(), m.slot,
        LanDiscovery::Handlers{.send = [this, &m](ByteView packet) { cast(m, packet); },
                               .seeks = [&m] { return m.seeks; },
                               .found = [&m](const Member& who) { m.found.push_back(who); }});
    m.discovery->start();
    return m;
  }
  void cast(Machine& from, ByteView packet) {
    ++from.sent;
    last_ = to_bytes(packet);
    for (auto& m : machines_) {
      if (!m->discovery) continue;
      Bytes copy = last_;
      m->discovery->on_packet(copy, from.host.endpoint().ip);
    }
  }
  static bool knows(const Machine& m, const Machine& other) {
    return std::ranges::find(m.found, other.credentials.address(), &Member::address) !=
           m.found.end();
  }

  World world_{1};
  std::vector<std::unique_ptr<Machine>> machines_;
  Bytes last_;
};

TEST_F(LanDiscoveryTest, BeaconsComeBackAsTheyWere) {
  LanBeacon beacon{true, {FakeCredentials(7, {}).address(), {}}};
  for (const char* text : {"192.168.1.7:4433", "[2001:db8::7]:4433"})
    beacon.member.endpoints.push_back(*Endpoint::parse(text));
  const Bytes bytes = beacon.write();
  const auto again = LanBeacon::parse(bytes);
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->seeks);
  EXPECT_EQ(again->member.address, beacon.member.address);
  EXPECT_EQ(again->member.endpoints, beacon.member.endpoints);
  for (std::size_t n = 0; n < bytes.size(); ++n)
    EXPECT_FALSE(LanBeacon::parse(ByteView(bytes).first(n)));
  Bytes longer = bytes;
  longer.push_back(0);
  EXPECT_FALSE(LanBeacon::parse(longer));
}

// A beacon is no way to have a whole LAN send to somebody on the Internet (RFC 8445, 19.5.1).
TEST_F(LanDiscoveryTest, OnlyAddressesOfTheLanAreBelieved) {
  Machine& machine = add();
  FakeCredentials other(7, {});
  PoolSeal seal(other.pool_key(), machine.host.random());
  const auto heard = [&](const char* from, std::initializer_list<const char*> endpoints) {
    LanBeacon beacon{false, {other.address(), {}}};
    for (const char* text : endpoints) beacon.member.endpoints.push_back(*Endpoint::parse(text));
    Bytes packet = seal.seal(PacketType::kBeacon, beacon.write());
    machine.found.clear();
    world_.run_for(10s);
    machine.discovery->on_packet(packet, *IpAddress::parse(from));
    std::vector<std::string> out;
    for (const Member& member : machine.found)
      for (const Endpoint& e : member.endpoints) out.push_back(e.text());
    return out;
  };
  using Texts = std::vector<std::string>;
  EXPECT_EQ(heard("192.168.1.7", {"198.51.100.9:53", "192.168.1.7:4433", "[2001:db8::9]:53"}),
            Texts{"192.168.1.7:4433"});
  EXPECT_EQ(heard("203.0.113.7", {"203.0.113.7:4433", "198.51.100.9:53"}),
            Texts{"203.0.113.7:4433"});
  EXPECT_EQ(heard("fe80::7", {"198.51.100.9:53", "192.168.1.7:4433"}), Texts{"192.168.1.7:4433"});
  EXPECT_EQ(heard("fe80::7", {"198.51.100.9:53"}), Texts{});
  EXPECT_EQ(machine.slot.get(Metric::kDropMalformed), 1u);
}

TEST_F(LanDiscoveryTest, WhoComesLaterIsToldAtOnce) {
  Machine& first = add(false);
  world_.run_for(10min);
  Machine& second = add();
  EXPECT_TRUE(knows(first, second));
  world_.run_for(LanDiscovery::kAnswerWithin);
  EXPECT_TRUE(knows(second, first));
  ASSERT_EQ(second.found.front().endpoints.front(), first.host.endpoint());
}

TEST_F(LanDiscoveryTest, ASeekerSpeaksEverMoreRarely) {
  Machine& only = add();
  world_.run_for(1min);
  EXPECT_LE(only.sent, 12);
  EXPECT_GE(only.sent, 6);
}

TEST_F(LanDiscoveryTest, OfManyOnTheRingAboutOneSpeaksAMinute) {
  for (int i = 0; i < 40; ++i) add(false);
  world_.run_for(5min);
  int before = 0, after = 0;
  for (auto& m : machines_) before += m->sent;
  world_.run_for(60min);
  for (auto& m : machines_) after += m->sent;
  EXPECT_LE(after - before, 180);
  EXPECT_GE(after - before, 40);
}

TEST_F(LanDiscoveryTest, AFewOfManyAnswerASeeker) {
  for (int i = 0; i < 40; ++i) add(false);
  world_.run_for(10min);
  int before = 0, after = 0;
  for (auto& m : machines_) before += m->sent;
  Machine& seeker = add();
  world_.run_for(LanDiscovery::kAnswerWithin);
  for (auto& m : machines_) after += m->sent;
  EXPECT_GE(seeker.found.size(), 1u);
  EXPECT_LE(after - before - seeker.sent, 8);
}

TEST_F(LanDiscoveryTest, ARecordedBeaconSentFromElsewherePointsAtNobody) {
  Machine& first = add();
  Machine& second = add();
  world_.run_for(10min);
  const Bytes recorded = last_;
  (void)first;
  for (auto& m : machines_) m->found.clear();
  Bytes copy = recorded;
  second.discovery->on_packet(copy, *IpAddress::parse("192.168.1.99"));
  copy = recorded;
  first.discovery->on_packet(copy, *IpAddress::parse("192.168.1.99"));
  EXPECT_TRUE(first.found.empty());
  EXPECT_TRUE(second.found.empty());
  EXPECT_EQ(first.slot.get(Metric::kDropMalformed) + second.slot.get(Metric::kDropMalformed), 1u);
}

TEST_F(LanDiscoveryTest, StrangersAreDroppedAndFloodsAreBounded) {
  Machine& only = add();
  SeededRandom random(3);
  PoolSeal other(Bytes(32, 9), random);
  for (int i = 0; i < 1000; ++i) {
    Bytes packet = other.seal(PacketType::kBeacon, Bytes(40));
    only.discovery->on_packet(packet, *IpAddress::parse("192.168.1.99"));
  }
  EXPECT_TRUE(only.found.empty());
  EXPECT_LE(only.slot.get(Metric::kDropStranger), LanDiscovery::kHeardBurst);
  EXPECT_GE(only.slot.get(Metric::kDropRateLimited), 700u);
}

class HeardOnTheLanTest : public PoolTest {
 protected:
  // With a bootstrap that is silent: the pool's fixture would name the first member.
  SimNode& add_without_a_way(SimHost& host) {
    NodeOptions options;
    options.expects_more = true;
    options.bootstraps = {*Endpoint::parse("203.0.113.9:4433")};
    return pool_.add(host, options);
  }
};

TEST_F(HeardOnTheLanTest, AMemberIsEnoughToJoinBy) {
  SimHost& first_host = world_.add_host("198.51.100.1");
  SimNode& first = add_without_a_way(first_host);
  SimNode& second = add_without_a_way(world_.add_host("198.51.100.2"));
  world_.run_for(100ms);
  EXPECT_FALSE(first->joined()) << "it waits for beacons";
  second->on_lan_member({first->address(), {first_host.endpoint()}});
  EXPECT_TRUE(becomes_whole(1s));
  EXPECT_FALSE(first->alone());
}

TEST_F(HeardOnTheLanTest, WithoutAnybodyItIsAloneAfterThreeSeconds) {
  NodeOptions options;
  options.expects_more = true;
  SimNode& only = pool_.add(world_.add_host("198.51.100.1"), options);
  world_.run_for(2900ms);
  EXPECT_FALSE(only->alone());
  world_.run_for(200ms);
  EXPECT_TRUE(only->alone());
}

TEST_F(HeardOnTheLanTest, TwoRingsThatHearEachOtherBecomeOne) {
  std::vector<SimHost*> hosts;
  for (int i = 1; i <= 8; ++i) {
    hosts.push_back(&world_.add_host("198.51.100." + std::to_string(i)));
    add_without_a_way(*hosts.back());
  }
  const auto hear = [&](int from, int at) {
    pool_[at]->on_lan_member({pool_[from]->address(), {hosts[from]->endpoint()}});
  };
  for (int i = 1; i < 4; ++i) hear(0, i);
  for (int i = 5; i < 8; ++i) hear(4, i);
  world_.run_for(5s);
  for (int from = 0; from < 8; ++from) {
    for (int at = 0; at < 8; ++at) hear(from, at);
  }
  EXPECT_TRUE(becomes_whole(20s));
}

TEST_F(HeardOnTheLanTest, NamedBootstrapsMayChange) {
  SimHost& first_host = world_.add_host("198.51.100.1");
  add_without_a_way(first_host);
  SimNode& second = add_without_a_way(world_.add_host("198.51.100.2"));
  second->set_named_bootstraps({*Endpoint::parse("203.0.113.9:4433")});
  world_.run_for(2s);
  EXPECT_FALSE(second->joined());
  second->set_named_bootstraps({first_host.endpoint()});
  EXPECT_TRUE(becomes_whole(1s));
}

}  // namespace
}  // namespace wow
