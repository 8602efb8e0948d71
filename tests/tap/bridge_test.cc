// Guests on bridges of two hosts, and a third host without one.
#include "tap/bridge.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tap/mac_address.h"
#include "tap/names.h"
#include "tests/tap/bridge_world.h"

namespace wow {
namespace {

// As hypervisors announce kGuest.
const Bytes kReverseArp = write_ethernet(kBroadcast, kGuest, EtherType{0x8035}, Bytes(28));

class BridgeTest : public testing::Test {
 protected:
  BridgeTest() {
    for (BridgeHost* host : {&a_, &b_}) host->bridge.start();
    world_.clock.run_for(LoopGuard::kListenFor + 1ms);
    for (BridgeHost* host : {&a_, &b_}) host->to_lan.clear();
  }
  void pass(Duration span = 1s) { world_.clock.run_for(span); }
  std::uint64_t count(BridgeHost& host, Metric metric) { return host.metrics.get(metric); }
  const DhtRecord* record() { return world_.dht.find("ip/10.128.5.5"); }
  // What was put on the bridge, without beacons.
  static std::vector<EthernetView> arps(const BridgeHost& host) {
    std::vector<EthernetView> out;
    for (const Bytes& frame : host.to_lan) {
      const auto ethernet = EthernetView::parse(frame);
      if (ethernet->type == EtherType::kArp) out.push_back(*ethernet);
    }
    return out;
  }
  bool told(BridgeHost& host, const Address& node) {
    return std::any_of(host.got.begin(), host.got.end(), [&](auto& message) {
      return message.has_guest_moved() && message.guest_moved().ip() == "10.128.5.5" &&
             Address::parse(view_of(message.guest_moved().node())) == node;
    });
  }

  BridgeWorld world_;
  BridgeHost a_{world_, 1}, b_{world_, 2}, plain_{world_, 3, false};
};

TEST_F(BridgeTest, HostsWithBridgesFindEachOtherAndNobodyElse) {
  EXPECT_EQ(a_.bridge.others(), 1u);
  EXPECT_EQ(b_.bridge.others(), 1u);
  EXPECT_EQ(plain_.bridge.others(), 0u);               // it answers as if it had one,
  EXPECT_GE(count(a_, Metric::kDropSourceCheck), 1u);  // and is not believed
}

TEST_F(BridgeTest, AStaticAddressIsTakenInTheStoreAndItsPacketsWaitForThat) {
  a_.bridge.take(packet(kGuest, "10.128.5.5", "10.128.0.9"));
  EXPECT_TRUE(a_.forwarded.empty());
  pass();
  EXPECT_EQ(a_.forwarded.size(), 1u);
  ASSERT_TRUE(record());
  EXPECT_EQ(record()->owner, a_.address);
  EXPECT_EQ(parse_lease(*record())->mac, kGuest);
  a_.bridge.take(packet(kGuest, "10.128.5.5", "10.128.0.9"));
  EXPECT_EQ(a_.forwarded.size(), 2u);
  EXPECT_EQ(a_.bridge.guest_at(ip("10.128.5.5")), kGuest);
}

TEST_F(BridgeTest, ForeignSourcesAreDroppedAndCounted) {
  pass(35s);  // hellos, of which those of plain_ count as well, have become rare
  world_.dht.set_lease("10.128.5.5", plain_.address);
  const auto before = count(a_, Metric::kDropSourceCheck);
  a_.bridge.take(packet(kGuest, "10.128.5.5", "10.128.0.9"));   // another host's
  a_.bridge.take(packet(kGuest, "192.168.0.1", "10.128.0.9"));  // of another net
  pass(3s);
  EXPECT_TRUE(a_.forwarded.empty());
  EXPECT_EQ(count(a_, Metric::kDropSourceCheck), before + 2);
  EXPECT_EQ(record()->owner, plain_.address);
  // Our own frames come back only through a loop.
  a_.bridge.take(packet(mac_of(a_.address), "10.128.5.6", "10.128.0.9"));
  EXPECT_EQ(count(a_, Metric::kDropSourceCheck), before + 3);
}

TEST_F(BridgeTest, ArpIsAnsweredForHostsGuestsAndTheService) {
  world_.dht.set_lease("10.128.0.9", plain_.address);
  a_.bridge.take(announcement(kGuest, "10.128.5.5"));
  b_.bridge.take(announcement(kOther, "10.128.6.6"));
  pass();
  const auto mac_for = [&](const std::string& target) -> std::optional<MacAddress> {
    a_.to_lan.clear();
    a_.bridge.take(question(kGuest, "10.128.5.5", target));
    pass();
    const auto answers = arps(a_);
    if (answers.size() != 1) return std::nullopt;
    return ArpPacket::parse(answers[0].payload)->sender_mac;
  };
  EXPECT_EQ(mac_for("10.128.0.9"), mac_of(plain_.address));
  EXPECT_EQ(mac_for("10.128.6.6"), kOther);
  EXPECT_EQ(mac_for("10.128.0.1"), mac_of(a_.address));
  EXPECT_EQ(mac_for("10.128.255.254"), kServiceMac);
  EXPECT_EQ(mac_for("10.128.7.7"), std::nullopt);
}

TEST_F(BridgeTest, AMovedGuestIsOursInARoundTripAndItsCallersAreTold) {
  a_.bridge.take(announcement(kGuest, "10.128.5.5"));
  pass();
  a_.to_lan.clear();
  b_.bridge.take(announcement(kGuest, "10.128.5.5"));
  pass(2 * kOneWay + GuestLeases::kProbeFor + 1ms);
  EXPECT_EQ(b_.bridge.guest_at(ip("10.128.5.5")), kGuest);
  EXPECT_FALSE(a_.bridge.guest_at(ip("10.128.5.5")));
  EXPECT_TRUE(told(plain_, b_.address));
  // It asked the guest first; then its bridge is taught by a frame "from the guest".
  ASSERT_EQ(arps(a_).size(), 2u);
  EXPECT_EQ(arps(a_)[0].destination, kGuest);
  EXPECT_EQ(arps(a_)[1].source, kGuest);
  pass();
  EXPECT_EQ(record()->owner, b_.address);
  b_.bridge.take(packet(kGuest, "10.128.5.5", "10.128.0.9"));
  EXPECT_EQ(b_.forwarded.size(), 1u);
  // And back.
  a_.bridge.take(announcement(kGuest, "10.128.5.5"));
  pass();
  EXPECT_EQ(record()->owner, a_.address);
}

TEST_F(BridgeTest, AReverseArpOfAHypervisorMovesAllItsAddresses) {
  a_.bridge.take(announcement(kGuest, "10.128.5.5"));
  a_.bridge.take(announcement(kGuest, "10.128.5.6"));
  pass();
  b_.bridge.take(kReverseArp);
  pass(2 * kOneWay + GuestLeases::kProbeFor + 1ms);
  EXPECT_EQ(b_.bridge.guest_at(ip("10.128.5.5")), kGuest);
  EXPECT_EQ(b_.bridge.guest_at(ip("10.128.5.6")), kGuest);
  pass();
  EXPECT_EQ(record()->owner, b_.address);
}

// A guest may be silent after its move, and a hypervisor announce it once.
TEST_F(BridgeTest, AClaimThatGetsLostIsMadeAgain) {
  a_.bridge.take(announcement(kGuest, "10.128.5.5"));
  pass();
  world_.lose = 2;
  b_.bridge.take(kReverseArp);
  pass();
  EXPECT_EQ(b_.bridge.guest_at(ip("10.128.5.5")), kGuest);
}

TEST_F(BridgeTest, FramesReadLateDoNotKeepAGuestThatHasMoved) {
  a_.bridge.take(announcement(kGuest, "10.128.5.5"));
  pass();
  b_.bridge.take(kReverseArp);
  pass(kOneWay + 1ms);
  a_.bridge.take(packet(kGuest, "10.128.5.5", "10.128.0.9"));  // sent before the move
  pass(GuestLeases::kProbeFor + kOneWay);
  EXPECT_EQ(a_.bridge.guest_at(ip("10.128.5.5")), kGuest);
  pass();
  EXPECT_EQ(b_.bridge.guest_at(ip("10.128.5.5")), kGuest);
}

TEST_F(BridgeTest, AGuestThatIsNowhereIsNotAskedForWithoutEnd) {
  const std::size_t before = a_.got.size();
  b_.bridge.take(kReverseArp);
  pass(15s);
  EXPECT_EQ(std::count_if(a_.got.begin() + static_cast<long>(before), a_.got.end(),
                          [](auto& message) { return message.has_guest_claim(); }),
            1 + Bridge::kClaimsAgain);
}

TEST_F(BridgeTest, AllOfManyHostsAreAskedForAGuest) {
  std::vector<std::unique_ptr<BridgeHost>> more;
  for (std::uint8_t n = 10; n < 70; ++n) more.push_back(std::make_unique<BridgeHost>(world_, n));
  for (const auto& host : more) host->bridge.start();
  pass(LoopGuard::kListenFor + 1s);
  for (const auto& host : more) {
    more.front()->bridge.take(kReverseArp);
    pass(100ms);
    EXPECT_TRUE(host == more.front() ||
                std::any_of(host->got.begin(), host->got.end(),
                            [](auto& message) { return message.has_guest_claim(); }));
  }
}

TEST_F(BridgeTest, TwoGuestsWithOneMacTheOneThatIsHeardKeepsItsAddress) {
  a_.bridge.take(announcement(kGuest, "10.128.5.5"));
  pass();
  b_.bridge.take(announcement(kGuest, "10.128.5.5"));
  for (int i = 0; i < 150; ++i) {
    pass(30ms);
    a_.bridge.take(packet(kGuest, "10.128.5.5", "10.128.0.9"));  // the probes' answers
  }
  EXPECT_EQ(a_.bridge.guest_at(ip("10.128.5.5")), kGuest);
  EXPECT_FALSE(b_.bridge.guest_at(ip("10.128.5.5")));
  EXPECT_EQ(record()->owner, a_.address);
  b_.bridge.take(packet(kGuest, "10.128.5.5", "10.128.0.9"));
  pass(5s);
  EXPECT_TRUE(b_.forwarded.empty());
}

TEST_F(BridgeTest, WhoMayNotBridgeMovesNobody) {
  a_.bridge.take(announcement(kGuest, "10.128.5.5"));
  pass();
  pb::VnetMessage claim;
  claim.mutable_guest_claim()->set_mac(kGuest.data(), kGuest.size());
  plain_.send(a_.address, claim);
  pb::VnetMessage gift;  // that nobody asked for
  gift.mutable_guest_let_go()->set_mac(kOther.data(), kOther.size());
  gift.mutable_guest_let_go()->add_ips("10.128.9.9");
  b_.send(a_.address, gift);
  pass();
  EXPECT_EQ(a_.bridge.guest_at(ip("10.128.5.5")), kGuest);
  EXPECT_FALSE(a_.bridge.guest_at(ip("10.128.9.9")));
}

TEST_F(BridgeTest, OneGuestCannotStarveTheOthers) {
  for (int i = 0; i < 5000; ++i) {
    const MacAddress mac = {
        0x52, 0x54, 1, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)};
    a_.bridge.take(announcement(
        mac, "10.128." + std::to_string(20 + i / 200) + "." + std::to_string(i % 200 + 1)));
    pass(2ms);
  }
  pass();
  // Ten seconds of it: so many claims, and no more MACs than there is room for.
  EXPECT_LE(a_.bridge.guests(), 11u * GuestLeases::kClaimsPerSecond);
  EXPECT_GT(count(a_, Metric::kDropRateLimited), 500u);
  EXPECT_GT(count(a_, Metric::kDropQueueFull), 2000u);
  b_.bridge.take(announcement(kGuest, "10.128.5.5"));
  pass();
  EXPECT_EQ(b_.bridge.guest_at(ip("10.128.5.5")), kGuest);
}

TEST_F(BridgeTest, AThousandGuestsAreServedAndMove) {
  constexpr int kMany = GuestLeases::kGuestsMax - 1;  // and one who asks for them
  const auto mac = [](int i) {
    return MacAddress{
        0x52, 0x54, 2, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)};
  };
  const auto address = [](int i) {
    return "10.128." + std::to_string(20 + i / 200) + "." + std::to_string(i % 200 + 1);
  };
  const auto arrive_at = [&](BridgeHost& host) {
    // As guests do they speak again: a claim may find too many others.
    for (int round = 0; round < 2; ++round) {
      for (int i = 0; i < kMany; ++i) {
        if (host.bridge.guest_at(ip(address(i)))) continue;
        host.bridge.take(announcement(mac(i), address(i)));
        pass(Duration(1s) / GuestLeases::kClaimsPerSecond);
      }
    }
    pass(2s);
    for (int i = 0; i < kMany; ++i) ASSERT_EQ(host.bridge.guest_at(ip(address(i))), mac(i)) << i;
  };
  arrive_at(a_);
  b_.bridge.take(announcement(kGuest, "10.128.5.5"));
  pass();
  b_.to_lan.clear();
  for (int i = 0; i < kMany; ++i) {
    b_.bridge.take(question(kGuest, "10.128.5.5", address(i)));
    pass(10ms);
  }
  pass();
  EXPECT_EQ(arps(b_).size(), 1u * kMany) << "each is found from elsewhere";
  arrive_at(b_);
  EXPECT_EQ(a_.bridge.guests(), 0u);
}

TEST_F(BridgeTest, AnAddressThatIsAskedForAndNeverUsedIsGivenBack) {
  Writer out;
  out.u8(1).u8(1).u8(6).u8(0).u32(77).u16(0).u16(0).bytes(Bytes(16)).bytes(kGuest);
  out.bytes(Bytes(10 + 192)).u32(0x63825363).u8(53).u8(1).u8(3).u8(50).u8(4);
  out.bytes(ip("10.128.5.5").bytes()).u8(255);
  a_.bridge.take(
      write_ethernet(kBroadcast, kGuest, EtherType::kIpv4,
                     write_udp({ip("0.0.0.0"), 68}, {ip("255.255.255.255"), 67}, out.view())));
  pass();
  EXPECT_TRUE(record());
  pass(GuestLeases::kSpeakWithin + GuestLeases::kSweepInterval);
  EXPECT_FALSE(record());
}

TEST_F(BridgeTest, ALeaseInUseIsRenewedAndASilentOneEnds) {
  a_.bridge.take(announcement(kGuest, "10.128.5.5"));
  a_.bridge.take(announcement(kOther, "10.128.6.6"));
  for (int i = 0; i < 13; ++i) {
    pass(10min);
    a_.bridge.take(packet(kGuest, "10.128.5.5", "10.128.0.9"));
  }
  EXPECT_TRUE(record());
  EXPECT_TRUE(a_.bridge.guest_at(ip("10.128.5.5")));
  EXPECT_FALSE(world_.dht.find("ip/10.128.6.6"));
  EXPECT_FALSE(a_.bridge.guest_at(ip("10.128.6.6")));
}

TEST_F(BridgeTest, WhatIsTooLargeForThePoolIsAnsweredOnTheBridge) {
  a_.bridge.take(announcement(kGuest, "10.128.5.5"));
  pass();
  a_.to_lan.clear();
  Bytes large = packet(kGuest, "10.128.5.5", "10.128.0.9", 1400);
  large[14 + 6] = 0x40;
  a_.bridge.take(large);
  EXPECT_TRUE(a_.forwarded.empty());
  ASSERT_EQ(a_.to_lan.size(), 1u);
  EXPECT_EQ(EthernetView::parse(a_.to_lan[0])->destination, kGuest);
  EXPECT_EQ(count(a_, Metric::kDropTooBig), 1u);
}

// --- Layer 2 ---

constexpr EtherType kVlan{0x8100};

TEST_F(BridgeTest, FramesThatAreNoIpPassBetweenBridgesAndFindTheirWayBack) {
  const Bytes out = write_ethernet(kBroadcast, kGuest, kVlan, Bytes(60, 1));
  a_.bridge.take(out);
  ASSERT_EQ(a_.to_node.size(), 1u);
  EXPECT_EQ(a_.to_node[0], std::pair(b_.address, out));
  b_.bridge.take_from(a_.address, out);
  ASSERT_FALSE(b_.to_lan.empty());
  EXPECT_EQ(b_.to_lan.back(), out);
  EXPECT_TRUE(b_.to_node.empty()) << "never back into the overlay";
  const Bytes back = write_ethernet(kGuest, kOther, kVlan, Bytes(60, 2));
  b_.bridge.take(back);
  EXPECT_EQ(b_.to_node, (std::vector<std::pair<Address, Bytes>>{{a_.address, back}}));
}

TEST_F(BridgeTest, WhatStaysAtHomeAndWhatMayNotCome) {
  const MacAddress stp = {0x01, 0x80, 0xc2, 0, 0, 0};
  a_.bridge.take(write_ethernet(stp, kGuest, EtherType{0x26}, Bytes(60)));
  a_.bridge.take(write_ethernet(kBroadcast, kGuest, EtherType::kIpv6, Bytes(60)));
  EXPECT_TRUE(a_.to_node.empty());
  for (const EtherType type : {EtherType::kArp, EtherType{0x8035}, EtherType::kIpv6}) {
    b_.bridge.take_from(a_.address, write_ethernet(kBroadcast, kGuest, type, Bytes(60)));
  }
  b_.bridge.take_from(plain_.address, write_ethernet(kBroadcast, kGuest, kVlan, Bytes(60)));
  EXPECT_EQ(count(b_, Metric::kDropFrameKind), 4u);
  // A MAC that is here, and one that another bridge has.
  b_.bridge.take(announcement(kOther, "10.128.6.6"));
  b_.to_lan.clear();
  b_.bridge.take_from(a_.address, write_ethernet(kBroadcast, kOther, kVlan, Bytes(60)));
  BridgeHost third(world_, 7);
  b_.bridge.take_from(a_.address, write_ethernet(kBroadcast, kGuest, kVlan, Bytes(60)));
  b_.bridge.take_from(third.address, write_ethernet(kBroadcast, kGuest, kVlan, Bytes(60)));
  EXPECT_EQ(b_.to_lan.size(), 1u);
  world_.hosts.erase(third.address);
}

// Frames without an address of the pool inside, too: VLAN tags, protocols of other networks.
TEST_F(BridgeTest, TheMacOfAnotherHostOrItsGuestIsNobodysToUse) {
  world_.dht.set_lease("10.128.0.9", plain_.address);
  a_.bridge.take(announcement(kGuest, "10.128.5.5"));
  BridgeHost third(world_, 7);
  b_.bridge.take(announcement(kOther, "10.128.6.6"));
  b_.bridge.take(question(kOther, "10.128.6.6", "10.128.0.9"));
  b_.bridge.take(question(kOther, "10.128.6.6", "10.128.5.5"));
  pass();
  b_.to_lan.clear();
  const auto from = [&](const Address& peer, const MacAddress& mac) {
    b_.bridge.take_from(peer, write_ethernet(kBroadcast, mac, kVlan, Bytes(60)));
    return std::exchange(b_.to_lan, {}).size();
  };
  const auto before = count(b_, Metric::kDropSourceCheck);
  EXPECT_EQ(from(third.address, kGuest), 0u);
  EXPECT_EQ(from(third.address, mac_of(plain_.address)), 0u);
  EXPECT_EQ(count(b_, Metric::kDropSourceCheck), before + 2);
  EXPECT_EQ(from(a_.address, kGuest), 1u);
  world_.hosts.erase(third.address);
}

TEST_F(BridgeTest, BroadcastPacketsNeedASourceThatIsTheSenders) {
  const auto to_all = [](const MacAddress& mac, const std::string& from) {
    return write_ethernet(kBroadcast, mac, EtherType::kIpv4,
                          write_udp({ip(from), 5000}, {ip("10.128.255.255"), 5000}, Bytes(9)));
  };
  a_.bridge.take(to_all(kGuest, "10.128.5.5"));
  pass();
  ASSERT_EQ(a_.to_node.size(), 1u);
  b_.to_lan.clear();
  b_.bridge.take_from(a_.address, a_.to_node[0].second);  // asks whose it is
  pass();
  b_.bridge.take_from(a_.address, a_.to_node[0].second);
  EXPECT_EQ(std::count(b_.to_lan.begin(), b_.to_lan.end(), a_.to_node[0].second), 1);
  const auto before = count(b_, Metric::kDropSourceCheck);
  b_.bridge.take_from(a_.address, to_all(kOther, "10.128.5.5"));
  b_.bridge.take_from(a_.address, to_all(kGuest, "10.128.0.2"));
  EXPECT_EQ(count(b_, Metric::kDropSourceCheck), before + 2);
  b_.bridge.take_from(a_.address, packet(kGuest, "10.128.5.5", "10.128.6.6"));  // unicast
  EXPECT_EQ(count(b_, Metric::kDropFrameKind), 1u);
}

TEST_F(BridgeTest, AStormIsBoundedBothWays) {
  const Bytes storm = write_ethernet(kBroadcast, kGuest, kVlan, Bytes(60));
  for (int i = 0; i < 10000; ++i) a_.bridge.take(storm);
  EXPECT_LE(a_.to_node.size(), 1u * Layer2::kFloodsPerSecond);
  b_.to_lan.clear();
  for (int i = 0; i < 10000; ++i) b_.bridge.take_from(a_.address, storm);
  EXPECT_LE(b_.to_lan.size(), 1u * Layer2::kInPerSecond);
  for (int i = 0; i < 3000; ++i) {
    pass(1ms);
    const MacAddress mac = {
        2, 9, 9, 9, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)};
    b_.bridge.take_from(a_.address, write_ethernet(kBroadcast, mac, kVlan, Bytes(60)));
  }
  EXPECT_GE(count(b_, Metric::kDropSourceCheck), 3000u - Layer2::kMacsPerPeerMax);
}

// --- Loops ---

// What either bridge puts on its LAN comes to the other: there is one LAN for both.
TEST_F(BridgeTest, OfTwoBridgesOnOneLanTheHigherBlocksUntilTheOtherIsGone) {
  BridgeHost& high = a_.address > b_.address ? a_ : b_;
  BridgeHost& low = &high == &a_ ? b_ : a_;
  const auto join = [&](Duration span, bool both) {
    for (const TimePoint end = world_.clock.now() + span; world_.clock.now() < end;) {
      pass(100ms);
      const auto from_high = std::exchange(high.to_lan, {}),
                 from_low = std::exchange(low.to_lan, {});
      for (const Bytes& frame : from_high) low.bridge.take(frame);
      for (const Bytes& frame : from_low) {
        if (both) high.bridge.take(frame);
      }
    }
  };
  join(3s, true);
  EXPECT_TRUE(high.bridge.blocked());
  EXPECT_FALSE(low.bridge.blocked());
  high.bridge.take(write_ethernet(kBroadcast, kGuest, kVlan, Bytes(60)));
  EXPECT_TRUE(high.to_node.empty());
  high.to_lan.clear();
  high.bridge.take_from(low.address, write_ethernet(kBroadcast, kOther, kVlan, Bytes(60)));
  EXPECT_TRUE(high.to_lan.empty());
  join(LoopGuard::kBlockedFor + 1s, false);
  EXPECT_FALSE(high.bridge.blocked());
}

TEST_F(BridgeTest, AnOldOrForgedBeaconBlocksNobody) {
  BridgeHost& high = a_.address > b_.address ? a_ : b_;
  BridgeHost& low = &high == &a_ ? b_ : a_;
  low.to_lan.clear();
  pass(LoopGuard::kInterval);
  ASSERT_FALSE(low.to_lan.empty());
  const Bytes beacon = low.to_lan.back();
  ASSERT_EQ(EthernetView::parse(beacon)->type, Beacon::kType);
  Bytes forged = beacon;
  forged.back() ^= 1;
  high.bridge.take(forged);
  EXPECT_EQ(count(high, Metric::kDropBadSignature), 1u);
  pass(LoopGuard::kFresh);
  high.bridge.take(beacon);  // a guest plays it back
  pass();
  EXPECT_FALSE(high.bridge.blocked());
}

}  // namespace
}  // namespace wow
