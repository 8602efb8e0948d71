#include "tap/lease_agent.h"

#include <gtest/gtest.h>

#include <set>

#include "tap/names.h"
#include "tests/tap/fake_pool.h"

namespace wow {
namespace {

constexpr Duration kTtl = 1h;

class LeaseAgentTest : public testing::Test {
 protected:
  struct Host {
    VirtualNetworkOptions options;
    std::unique_ptr<LeaseAgent> agent;
    int held = 0, lost = 0;
    std::optional<Error> refused;
  };

  VirtualNetworkOptions options(const std::string& subnet = "10.128.0.0/16") {
    VirtualNetworkOptions out;
    out.pool = "lab";
    out.subnet = *Prefix::parse(subnet);
    out.lease_ttl = kTtl;
    return out;
  }

  Host& start(std::uint8_t n, VirtualNetworkOptions options) {
    auto& host = hosts_.emplace_back(std::make_unique<Host>());
    host->options = std::move(options);
    host->agent = std::make_unique<LeaseAgent>(
        node_address(n), dht_.calls_for(node_address(n)), clock_, random_, host->options,
        LeaseAgent::Hooks{[&h = *host](auto&) { ++h.held; }, [&h = *host] { ++h.lost; },
                          [&h = *host](auto& error) { h.refused = error; }, [] {}});
    host->agent->start();
    return *host;
  }

  ManualClock clock_;
  FakeDht dht_{clock_};
  SeededRandom random_{1};
  std::vector<std::unique_ptr<Host>> hosts_;
};

TEST_F(LeaseAgentTest, TakesItsFirstCandidateInTwoRoundTrips) {
  auto wanted = options();
  wanted.name = "node7";
  Host& host = start(1, wanted);
  clock_.run_for(2 * FakeDht::kRoundTrip);
  ASSERT_EQ(host.held, 1);
  const LeaseInfo& lease = *host.agent->lease();
  EXPECT_EQ(lease.ip, wanted.subnet.at(lease_candidate(node_address(1), 0, wanted.subnet)));
  EXPECT_EQ(lease.name, "node7");
  EXPECT_EQ(lease.mac, (MacAddress{2, 1, 1, 1, 1, 1}));
  EXPECT_EQ(dht_.find(ip_key(lease.ip))->owner, node_address(1));
  EXPECT_EQ(parse_lease(*dht_.find(ip_key(lease.ip)))->name, "node7");
  EXPECT_EQ(parse_name_record(*dht_.find("name/node7")), lease.ip);
}

TEST_F(LeaseAgentTest, TheLeaseIsCountedFromSending) {
  const TimePoint began = clock_.now();
  Host& host = start(1, options());
  clock_.run_for(1s);
  EXPECT_EQ(host.agent->lease()->expires, began + kTtl);
}

TEST_F(LeaseAgentTest, ManyInASmallSubnetGetDifferentAddressesAndNoneOfTheThreeSpecialOnes) {
  for (std::uint8_t n = 1; n <= 13; ++n) start(n, options("10.9.0.0/28"));
  clock_.run_for(2min);
  std::set<IpAddress> ips;
  for (const auto& host : hosts_) {
    ASSERT_TRUE(host->agent->lease()) << ips.size();
    ips.insert(host->agent->lease()->ip);
  }
  EXPECT_EQ(ips.size(), 13u);
  for (const char* special : {"10.9.0.0", "10.9.0.14", "10.9.0.15"}) {
    EXPECT_FALSE(ips.contains(ip(special)));
  }
}

TEST_F(LeaseAgentTest, AnExhaustedSubnetIsSaidWithNumbers) {
  for (std::uint8_t n = 1; n <= 6; ++n) start(n, options("10.9.0.0/29"));
  clock_.run_for(5min);
  int held = 0;
  std::vector<Error> refused;
  for (const auto& host : hosts_) {
    held += host->held;
    if (host->refused) refused.push_back(*host->refused);
  }
  EXPECT_EQ(held, 5);
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].code, ErrorCode::kExhausted);
  EXPECT_EQ(refused[0].message, "subnet 10.9.0.0/29 is exhausted (5 of 5 addresses leased)");
}

TEST_F(LeaseAgentTest, TheAddressHeldBeforeARestartComesFirst) {
  auto before = options();
  before.last_ip = ip("10.128.7.7");
  Host& host = start(1, before);
  clock_.run_for(1s);
  EXPECT_EQ(host.agent->lease()->ip, ip("10.128.7.7"));
}

TEST_F(LeaseAgentTest, AnAddressTakenMeanwhileIsLeftToItsHolder) {
  dht_.set_lease("10.128.7.7", node_address(9));
  auto before = options();
  before.last_ip = ip("10.128.7.7");
  Host& host = start(1, before);
  clock_.run_for(1s);
  EXPECT_EQ(host.agent->lease()->ip,
            before.subnet.at(lease_candidate(node_address(1), 0, before.subnet)));
}

TEST_F(LeaseAgentTest, AWantedAddressIsHadOrRefusedWithTheHolder) {
  dht_.set_lease("10.128.0.9", node_address(0xab));
  auto wanted = options();
  wanted.wanted_ip = ip("10.128.0.9");
  Host& refused = start(1, wanted);
  wanted.wanted_ip = ip("10.128.0.10");
  Host& held = start(2, wanted);
  clock_.run_for(1s);
  ASSERT_TRUE(refused.refused);
  EXPECT_EQ(refused.refused->code, ErrorCode::kAlreadyExists);
  EXPECT_NE(refused.refused->message.find("held by abababab"), std::string::npos);
  EXPECT_EQ(held.agent->lease()->ip, ip("10.128.0.10"));
}

TEST_F(LeaseAgentTest, AnAddressOutsideTheSubnetIsRefusedAtOnce) {
  for (const char* bad : {"10.129.0.1", "10.128.0.0", "10.128.255.254", "10.128.255.255"}) {
    auto wanted = options();
    wanted.wanted_ip = ip(bad);
    EXPECT_EQ(start(1, wanted).refused->code, ErrorCode::kInvalidArgument) << bad;
  }
  EXPECT_TRUE(dht_.asked.empty());
}

TEST_F(LeaseAgentTest, AnotherWantedAddressReplacesTheOneStillHeld) {
  dht_.set_lease("10.128.7.7", node_address(1));
  auto wanted = options();
  wanted.wanted_ip = ip("10.128.0.9");
  Host& host = start(1, wanted);
  clock_.run_for(1s);
  ASSERT_TRUE(host.agent->lease());
  EXPECT_EQ(host.agent->lease()->ip, ip("10.128.0.9"));
  EXPECT_FALSE(dht_.find("ip/10.128.7.7"));
}

TEST_F(LeaseAgentTest, ALeaseThatWasForgottenIsFoundAgain) {
  dht_.set_lease("10.128.7.7", node_address(1));
  Host& host = start(1, options());
  clock_.run_for(1s);
  ASSERT_TRUE(host.agent->lease());
  EXPECT_EQ(host.agent->lease()->ip, ip("10.128.7.7"));
}

TEST_F(LeaseAgentTest, ReservedAddressesAndNamesAreLeftToTheirNodes) {
  auto reserving = options("10.9.0.0/29");
  for (const char* mine : {"10.9.0.1", "10.9.0.2", "10.9.0.3", "10.9.0.4"}) {
    reserving.reservations.push_back({"", ip(mine), node_address(1)});
  }
  reserving.reservations.push_back({"head", std::nullopt, node_address(1)});
  reserving.name = "head";
  Host& owner = start(1, reserving);
  Host& other = start(2, reserving);
  clock_.run_for(1s);
  EXPECT_EQ(owner.agent->lease()->ip, ip("10.9.0.1"));
  EXPECT_EQ(owner.agent->lease()->name, "head");
  EXPECT_EQ(other.agent->lease()->ip, ip("10.9.0.5"));
  EXPECT_EQ(other.agent->lease()->name, "head-0-5");
}

TEST_F(LeaseAgentTest, ATakenHostNameGetsTheLastTwoNumbersOfTheAddress) {
  dht_.set_name("node7", node_address(9), "10.128.1.1");
  auto wanted = options();
  wanted.name = "node7";
  wanted.last_ip = ip("10.128.3.9");
  Host& host = start(1, wanted);
  clock_.run_for(1s);
  EXPECT_EQ(host.agent->lease()->name, "node7-3-9");
  EXPECT_EQ(parse_lease(*dht_.find("ip/10.128.3.9"))->name, "node7-3-9");
}

TEST_F(LeaseAgentTest, ATakenExplicitNameIsRefusedAndTheAddressGivenBack) {
  dht_.set_name("node7", node_address(0xab), "10.128.1.1");
  auto wanted = options();
  wanted.name = "node7";
  wanted.name_is_explicit = true;
  Host& host = start(1, wanted);
  clock_.run_for(1s);
  ASSERT_TRUE(host.refused);
  EXPECT_NE(host.refused->message.find("name node7"), std::string::npos);
  EXPECT_NE(host.refused->message.find("held by abababab"), std::string::npos);
  EXPECT_EQ(dht_.size(), 1u);
}

TEST_F(LeaseAgentTest, RenewsAtHalfItsLife) {
  auto wanted = options();
  wanted.name = "node7";
  Host& host = start(1, wanted);
  clock_.run_for(kTtl / 2 - 1s);
  const TimePoint first = host.agent->lease()->expires;
  clock_.run_for(2s);
  EXPECT_EQ(host.agent->lease()->expires, first + kTtl / 2);
  clock_.run_for(100 * kTtl);
  EXPECT_EQ(host.held, 1);
  EXPECT_EQ(host.lost, 0);
  EXPECT_TRUE(dht_.find("name/node7"));
}

TEST_F(LeaseAgentTest, WaitsForADhtThatIsUnavailable) {
  dht_.available = false;
  Host& host = start(1, options());
  clock_.run_for(10min);
  EXPECT_FALSE(host.refused);
  EXPECT_LE(dht_.asked.size(), 10 * 60 / 4 + 10u);  // at most every 5 s, less a fifth
  dht_.available = true;
  clock_.run_for(LeaseAgent::kRetryMax * 6 / 5 + 1s);
  EXPECT_TRUE(host.agent->lease());
}

TEST_F(LeaseAgentTest, StopsFirstWhenItCannotRenewAndLeasesTheSameAnew) {
  Host& host = start(1, options());
  clock_.run_for(1s);
  const IpAddress before = host.agent->lease()->ip;
  dht_.available = false;
  clock_.run_for(kTtl - 1s - 1ms);
  EXPECT_EQ(host.agent->usable_ip(), before);
  EXPECT_EQ(host.lost, 0);
  clock_.run_for(1ms);
  EXPECT_FALSE(host.agent->usable_ip());
  EXPECT_EQ(host.lost, 1);
  dht_.available = true;
  clock_.run_for(10s);
  EXPECT_EQ(host.agent->usable_ip(), before);
}

TEST_F(LeaseAgentTest, ARecordThatVanishedIsMadeAgain) {
  Host& host = start(1, options());
  clock_.run_for(1s);
  const std::string key = ip_key(host.agent->lease()->ip);
  dht_.erase(key);
  clock_.run_for(kTtl / 2);
  EXPECT_TRUE(dht_.find(key));
  EXPECT_EQ(host.lost, 0);
}

TEST_F(LeaseAgentTest, AnAddressThatWentToAnotherIsLeftAtOnce) {
  Host& host = start(1, options());
  clock_.run_for(1s);
  const IpAddress before = host.agent->lease()->ip;
  dht_.set_lease(before.text(), node_address(9));
  clock_.run_for(kTtl / 2 + 1s);
  EXPECT_EQ(host.lost, 1);
  ASSERT_TRUE(host.agent->lease());
  EXPECT_NE(host.agent->lease()->ip, before);
}

TEST_F(LeaseAgentTest, ALostNameIsReplacedAndTheAddressKept) {
  auto wanted = options();
  wanted.name = "node7";
  wanted.last_ip = ip("10.128.3.9");
  Host& host = start(1, wanted);
  clock_.run_for(1s);
  dht_.set_name("node7", node_address(9), "10.128.1.1");
  clock_.run_for(kTtl / 2 + 1s);
  EXPECT_EQ(host.lost, 0);
  EXPECT_EQ(host.held, 2);
  EXPECT_EQ(host.agent->lease()->ip, ip("10.128.3.9"));
  EXPECT_EQ(host.agent->lease()->name, "node7-3-9");
}

TEST_F(LeaseAgentTest, AfterASleepTheLeaseIsCheckedBeforeItIsUsed) {
  Host& host = start(1, options());
  clock_.run_for(1s);
  ASSERT_TRUE(host.agent->usable_ip());
  dht_.available = false;
  clock_.sleep_for(5min);
  EXPECT_FALSE(host.agent->usable_ip());  // even before a timer has fired
  clock_.run_for(3s);
  EXPECT_FALSE(host.agent->usable_ip());
  dht_.available = true;
  clock_.run_for(10s);
  EXPECT_TRUE(host.agent->usable_ip());
  EXPECT_EQ(host.lost, 0);
}

TEST_F(LeaseAgentTest, AfterASleepBeyondItsEndTheLeaseIsLost) {
  Host& host = start(1, options());
  clock_.run_for(1s);
  const IpAddress before = host.agent->lease()->ip;
  clock_.sleep_for(2 * kTtl);
  dht_.set_lease(before.text(), node_address(9));  // free since, and taken
  EXPECT_FALSE(host.agent->usable_ip());
  clock_.run_for(1s);
  EXPECT_EQ(host.lost, 1);
  EXPECT_NE(host.agent->lease()->ip, before);
}

TEST_F(LeaseAgentTest, WhenTheStoreWasBegunAnewItRegistersAgainOrTakesAnother) {
  auto wanted = options();
  wanted.name = "node7";
  Host& host = start(1, wanted);
  clock_.run_for(1s);
  const IpAddress before = host.agent->lease()->ip;
  dht_.erase(ip_key(before));
  dht_.erase("name/node7");
  host.agent->recheck();
  clock_.run_for(1s);
  EXPECT_EQ(host.lost, 0);
  ASSERT_TRUE(dht_.find(ip_key(before)));
  ASSERT_TRUE(dht_.find("name/node7"));
  dht_.set_lease(before.text(), node_address(9));  // the winner's
  host.agent->recheck();
  clock_.run_for(1s);
  EXPECT_EQ(host.lost, 1);
  ASSERT_TRUE(host.agent->lease());
  EXPECT_NE(host.agent->lease()->ip, before);
}

TEST_F(LeaseAgentTest, ReleaseGivesNameAndAddressBack) {
  auto wanted = options();
  wanted.name = "node7";
  Host& host = start(1, wanted);
  clock_.run_for(1s);
  bool done = false;
  host.agent->release([&] { done = true; });
  EXPECT_FALSE(host.agent->usable_ip());
  clock_.run_for(1s);
  EXPECT_TRUE(done);
  EXPECT_EQ(dht_.size(), 0u);
  clock_.run_for(2 * kTtl);
  EXPECT_EQ(dht_.size(), 0u);
}

}  // namespace
}  // namespace wow
