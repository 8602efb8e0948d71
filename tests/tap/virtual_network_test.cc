#include "tap/virtual_network.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "tap/dns.h"
#include "tap/names.h"
#include "tap/packet_view.h"
#include "tests/tap/virtual_pool.h"

namespace wow {
namespace {

// An IPv4 packet as the host would write it to its TAP.
Bytes frame(const VirtualHost& from, const VirtualHost& to, const std::string& text) {
  return write_ethernet(to.vnet->lease()->mac, from.vnet->lease()->mac, EtherType::kIpv4,
                        write_udp({from.ip(), 1}, {to.ip(), 2}, view_of(text)));
}

// A public host and two behind port-restricted NATs.
class VirtualNetworkTest : public testing::Test {
 protected:
  void come_up() {
    ASSERT_TRUE(pool_.world.run_until([this] { return pool_.all_up(); }, 20s));
  }

  VirtualPool pool_{7};
  Site& first_ = pool_.world.add_nat("203.0.113.1");
  Site& second_ = pool_.world.add_nat("203.0.113.2");
  VirtualHost& alpha_ = pool_.add("198.51.100.1", "alpha");
  VirtualHost& beta_ = pool_.add("192.168.1.2", "beta", &first_);
  VirtualHost& gamma_ = pool_.add("10.7.0.2", "gamma", &second_);
};

TEST_F(VirtualNetworkTest, EveryHostGetsAnAddressAndItsName) {
  come_up();
  EXPECT_EQ((std::set{alpha_.ip(), beta_.ip(), gamma_.ip()}.size()), 3u);
  std::optional<Result<std::vector<LeaseRow>>> rows;
  beta_.vnet->leases([&](auto r) { rows = r; });
  ASSERT_TRUE(pool_.world.run_until([&] { return rows.has_value(); }, 10s));
  ASSERT_TRUE(*rows);
  std::set<std::string> names;
  for (const LeaseRow& row : **rows) names.insert(row.name);
  EXPECT_EQ(names, (std::set<std::string>{"alpha", "beta", "gamma"}));
}

TEST_F(VirtualNetworkTest, FirstPacketsToANeverContactedHostArriveAllAndInOrder) {
  come_up();
  for (int i = 0; i < 10; ++i) {
    beta_.vnet->on_frame_out(frame(beta_, gamma_, std::to_string(i)), 0);
    pool_.world.run_for(1ms);
  }
  pool_.world.run_until([&] { return gamma_.port.list.size() >= 10; }, 5s);
  ASSERT_EQ(gamma_.port.list.size(), 10u);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(gamma_.port.list[i], frame(beta_, gamma_, std::to_string(i)));
  }
}

// Sixteen public hosts, most of which have not met.
class VirtualNetworkOfMany : public testing::Test {
 protected:
  void come_up() {
    for (int i = 1; i <= 16; ++i)
      pool_.add("198.51.100." + std::to_string(i), "host" + std::to_string(i));
    ASSERT_TRUE(pool_.world.run_until([&] { return pool_.all_up(); }, 20s));
    pool_.world.set_link(Link{.latency = 20ms});
    pool_.world.run_for(30s);
    // The first to read a record makes sure that a majority has it, which takes longer.
    for (VirtualHost& host : pool_.hosts) {
      for (const auto& key : {ip_key(host.ip()), name_key(host.options.name)})
        pool_.hosts[0].dht->get(key, [](auto&&) {});
    }
    pool_.world.run_for(2s);
  }
  // Calls `contact` with each two that have no session, and how long a round trip of the ring is
  // between them.
  void each_pair(const std::function<void(VirtualHost&, VirtualHost&, Duration)>& contact) {
    int pairs = 0;
    for (VirtualHost& a : pool_.hosts) {
      for (VirtualHost& b : pool_.hosts) {
        if (&a == &b || a.member->session(b.member.address()) != nullptr) continue;
        Duration ring{};
        b.member->trace(a.member.address(), [&](const auto& steps) {
          if (!steps.empty() && steps.back().node == a.member.address())
            ring = steps.back().round_trip;
        });
        ASSERT_TRUE(pool_.world.run_until([&] { return ring > Duration(); }, 3s));
        contact(a, b, ring);
        ++pairs;
      }
    }
    EXPECT_GT(pairs, 0);
  }
  // How long from now until a packet of `a` is there.
  Duration time_to_arrive(VirtualHost& a, VirtualHost& b) {
    b.port.list.clear();
    const TimePoint start = pool_.world.now();
    a.vnet->on_frame_out(frame(a, b, "x"), 0);
    EXPECT_TRUE(pool_.world.run_until([&] { return !b.port.list.empty(); }, 2s));
    return pool_.world.now() - start;
  }

  VirtualPool pool_{7};
};

// Half a round trip of the ring says who is likely to hold the address, one and a half make the
// session and bring the packet; its receiver looks up meanwhile whose address it will come from.
TEST_F(VirtualNetworkOfMany, TheFirstPacketToAStrangerTakesTwoRoundTripsOfTheRing) {
  come_up();
  each_pair([&](VirtualHost& a, VirtualHost& b, Duration ring) {
    EXPECT_LE(time_to_arrive(a, b), 2 * ring + 5ms);
  });
}

// By DNS. The session is made while it is still being looked up which address the name has.
TEST_F(VirtualNetworkOfMany, WhoIsAskedForByNameIsMetMeanwhile) {
  come_up();
  each_pair([&](VirtualHost& a, VirtualHost& b, Duration ring) {
    Writer query;
    query.u16(7).u16(0x0100).u16(1).u16(0).u32(0);
    query.bytes(*write_dns_name(b.options.name + ".lab.internal"));
    query.u16(DnsQuestion::kA).u16(1);
    a.port.list.clear();
    const IpAddress service = service_address(a.options.subnet);
    a.vnet->on_frame_out(write_ethernet(kServiceMac, a.vnet->lease()->mac, EtherType::kIpv4,
                                        write_udp({a.ip(), 5555}, {service, 53}, query.view())),
                         0);
    ASSERT_TRUE(pool_.world.run_until([&] { return !a.port.list.empty(); }, 2s));
    EXPECT_LE(time_to_arrive(a, b), ring);
  });
}

TEST_F(VirtualNetworkTest, WorkersLearnThePeerOnceThePathIsDirect) {
  come_up();
  const auto known = [&] {
    beta_.vnet->on_frame_out(frame(beta_, gamma_, "x"), 0);
    return beta_.tables->by_mac.find(mac_key(gamma_.vnet->lease()->mac.data())) != nullptr;
  };
  ASSERT_TRUE(pool_.world.run_until(known, 10s, 100ms));
  EXPECT_EQ(beta_.tables->own_ip, beta_.ip().v4_value());
  const auto accepts = [&] {
    bool found = false;
    gamma_.tables->by_index.for_each([&](std::uint64_t, const ReceiveEntry& entry) {
      found |= entry.source_ip == beta_.ip() &&
               entry.source_mac == mac_key(beta_.vnet->lease()->mac.data());
    });
    return found;
  };
  EXPECT_TRUE(pool_.world.run_until(accepts, 5s));
  const std::uint64_t mac = mac_key(beta_.vnet->lease()->mac.data());
  ASSERT_NE(gamma_.tables->by_mac.find(mac), nullptr);
  const std::size_t others = gamma_.tables->by_index.size() - 1;
  pool_.down(beta_);
  const auto forgotten = [&] { return gamma_.tables->by_mac.find(mac) == nullptr; };
  EXPECT_TRUE(pool_.world.run_until(forgotten, 30s, 100ms)) << "of one who died";
  EXPECT_EQ(gamma_.tables->by_index.size(), others);
}

TEST_F(VirtualNetworkTest, AMemberThatForgesAnothersAddressReachesNobody) {
  come_up();
  Bytes forged = frame(alpha_, gamma_, "forged");
  for (int i = 0; i < 3; ++i) {
    (*beta_.member).send_frame(gamma_.member.address(), forged, 0);
    pool_.world.run_for(1s);
  }
  EXPECT_TRUE(gamma_.port.list.empty());
  EXPECT_EQ(gamma_.member.metrics.slot.get(Metric::kDropSourceCheck), 3u);
}

TEST_F(VirtualNetworkTest, ResolvesNamesAddressesAndSaysWhatIsNeither) {
  come_up();
  const auto resolve = [&](const std::string& host) {
    std::optional<Result<LeaseRow>> row;
    beta_.vnet->resolve(host, [&](auto r) { row = r; });
    pool_.world.run_until([&] { return row.has_value(); }, 10s);
    return *row;
  };
  for (const std::string& text :
       {std::string("gamma"), std::string("Gamma.lab.internal"), gamma_.ip().text()}) {
    const auto row = resolve(text);
    ASSERT_TRUE(row) << text << ": " << row.error().message;
    EXPECT_EQ(row->node, gamma_.member.address());
  }
  EXPECT_EQ(resolve("delta").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(resolve("two words").error().code, ErrorCode::kInvalidArgument);
}

TEST_F(VirtualNetworkTest, EchoMeasuresARoundTripAndGivesUpOnTheDead) {
  come_up();
  std::optional<Result<Duration>> trip;
  beta_.vnet->echo(gamma_.member.address(), 5s, [&](auto r) { trip = r; });
  pool_.world.run_until([&] { return trip.has_value(); }, 6s);
  ASSERT_TRUE(trip && *trip);
  EXPECT_GE(**trip, 40ms);
  pool_.down(gamma_);
  trip.reset();
  beta_.vnet->echo(gamma_.member.address(), 2s, [&](auto r) { trip = r; });
  pool_.world.run_for(2100ms);
  ASSERT_TRUE(trip);
  EXPECT_EQ(trip->error().code, ErrorCode::kUnavailable);
}

TEST_F(VirtualNetworkTest, AKilledHostComesBackWithAddressAndName) {
  come_up();
  const IpAddress before = gamma_.ip();
  pool_.restart(gamma_);
  ASSERT_TRUE(pool_.world.run_until([this] { return pool_.all_up(); }, 20s));
  EXPECT_EQ(gamma_.ip(), before);
  EXPECT_EQ(gamma_.vnet->lease()->name, "gamma");
}

TEST_F(VirtualNetworkTest, AnAddressThatMovedIsLearntFromNotMine) {
  come_up();
  const IpAddress moving = gamma_.ip();
  beta_.vnet->on_frame_out(frame(beta_, gamma_, "before"), 0);
  pool_.world.run_for(2s);
  ASSERT_EQ(gamma_.port.list.size(), 1u);
  // Gamma gives its address back and alpha takes it; beta has both in its tables and its ARP.
  bool released = false;
  gamma_.vnet->release([&] { released = true; });
  ASSERT_TRUE(pool_.world.run_until([&] { return released; }, 10s));
  released = false;
  alpha_.vnet->release([&] { released = true; });
  ASSERT_TRUE(pool_.world.run_until([&] { return released; }, 10s));
  for (VirtualHost* host : {&alpha_, &gamma_}) {
    host->options.last_ip.reset();
    host->options.wanted_ip = host == &alpha_ ? moving : *IpAddress::parse("10.128.77.77");
    pool_.restart(*host);
  }
  ASSERT_TRUE(pool_.world.run_until([this] { return pool_.all_up(); }, 30s));
  ASSERT_EQ(alpha_.ip(), moving);
  const auto arrives = [&] {
    // As beta's host would, whose ARP entry still names gamma's MAC.
    const Bytes packet = write_udp({beta_.ip(), 1}, {moving, 2}, view_of("after"));
    beta_.vnet->on_frame_out(write_ethernet(gamma_.vnet->lease()->mac, beta_.vnet->lease()->mac,
                                            EtherType::kIpv4, packet),
                             0);
    return !alpha_.port.list.empty();
  };
  EXPECT_TRUE(pool_.world.run_until(arrives, 10s, 500ms));
  EXPECT_TRUE(gamma_.member.metrics.slot.get(Metric::kDropNotMine) > 0);
}

TEST_F(VirtualNetworkTest, FollowedNamesShowANewcomer) {
  come_up();
  beta_.vnet->follow_names(3s);
  pool_.world.run_for(10s);
  EXPECT_EQ(beta_.names.size(), 3u);
  pool_.add("198.51.100.9", "delta");
  const auto seen = [&] { return beta_.names.size() == 4; };
  EXPECT_TRUE(pool_.world.run_until(seen, 20s));
}

}  // namespace
}  // namespace wow
