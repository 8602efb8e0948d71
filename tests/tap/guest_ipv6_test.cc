// IPv6 of guests on bridges of two hosts, and a third host without one.
#include "tap/guest_ipv6.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tap/mac_address.h"
#include "tap/names.h"
#include "tests/tap/bridge_world.h"

namespace wow {
namespace {

constexpr MacAddress kSolicitedMac = {0x33, 0x33, 0xff, 0, 0, 5};
constexpr std::uint8_t kTcp = 6, kIcmp = 58;
const std::string kMine = "fd00::5", kOthers = "fd00::6", kNone = "::", kLink = "fe80::1";

Bytes ipv6(const MacAddress& to_mac, const MacAddress& mac, const std::string& from,
           const std::string& to, std::uint8_t next, ByteView payload) {
  Writer out;
  out.u32(0x60000000).u16(static_cast<std::uint16_t>(payload.size())).u8(next).u8(64);
  out.bytes(ip(from).mapped()).bytes(ip(to).mapped()).bytes(payload);
  return write_ethernet(to_mac, mac, EtherType::kIpv6, out.view());
}
Bytes packet6(const MacAddress& mac, const std::string& from, const std::string& to,
              std::size_t bytes = 20) {
  return ipv6(kOther, mac, from, to, kTcp, Bytes(bytes, 7));
}
Bytes solicitation(const MacAddress& mac, const std::string& from, const std::string& target) {
  Writer message;
  message.u8(135).u8(0).u16(0).u32(0).bytes(ip(target).mapped());
  return write_ethernet(kSolicitedMac, mac, EtherType::kIpv6,
                        write_icmpv6(ip(from), ip("ff02::1:ff00:5"), message.take()));
}
Bytes probe(const MacAddress& mac, const std::string& target) {
  return solicitation(mac, kNone, target);
}
Bytes unasked(const MacAddress& mac, const std::string& own) {
  return write_neighbour_advertisement(kAllNodesMac, all_nodes(), ip(own), mac, false);
}
Bytes router_solicitation(const MacAddress& mac) {
  return write_ethernet({0x33, 0x33, 0, 0, 0, 2}, mac, EtherType::kIpv6,
                        write_icmpv6(ip(kLink), ip("ff02::2"), {133, 0, 0, 0, 0, 0, 0, 0}));
}

class GuestIpv6Test : public testing::Test {
 protected:
  GuestIpv6Test() {
    for (BridgeHost* host : {&a_, &b_}) host->bridge.start();
    pass(LoopGuard::kListenFor + 40s);  // hellos have become rare
    // These have been told the prefix.
    for (const auto& mac : {kGuest, kOther}) a_.bridge.take(router_solicitation(mac));
    b_.bridge.take(router_solicitation(kOther));
    for (BridgeHost* host : {&a_, &b_}) host->to_lan.clear();
  }
  void pass(Duration span = 300ms) { world_.clock.run_for(span); }
  std::uint64_t count(BridgeHost& host, Metric metric) { return host.metrics.get(metric); }
  const DhtRecord* record(const std::string& address = kMine) {
    return world_.dht.find("ip/" + address);
  }
  void expect_dropped(BridgeHost& host, const Bytes& frame, Metric metric) {
    const auto before = count(host, metric);
    host.bridge.take(frame);
    pass();
    EXPECT_EQ(count(host, metric), before + 1) << to_hex(frame);
    EXPECT_TRUE(host.forwarded.empty());
    EXPECT_TRUE(host.to_node.empty());
  }
  // ICMPv6 messages that were put on the bridge since, of this type.
  static std::vector<Ipv6View> said(const BridgeHost& host, std::uint8_t type) {
    std::vector<Ipv6View> out;
    for (const Bytes& frame : host.to_lan) {
      const auto ethernet = EthernetView::parse(frame);
      const auto ip = Ipv6View::parse(ethernet->payload);
      if (ethernet->type == EtherType::kIpv6 && ip && ip->payload[0] == type) out.push_back(*ip);
    }
    return out;
  }
  // The MAC that `host` answers with.
  std::optional<MacAddress> mac_at(BridgeHost& host, const std::string& target) {
    host.to_lan.clear();
    host.bridge.take(solicitation(kGuest, kMine, target));
    pass();
    const auto answers = said(host, 136);
    if (answers.size() != 1) return std::nullopt;
    EXPECT_EQ(answers[0].destination, ip(kMine));
    MacAddress mac{};
    std::copy_n(answers[0].payload.begin() + 26, mac.size(), mac.begin());
    return mac;
  }
  bool told(BridgeHost& host, const Address& node) {
    return std::any_of(host.got.begin(), host.got.end(), [&](auto& message) {
      return message.has_guest_moved() && message.guest_moved().ip() == kMine &&
             Address::parse(view_of(message.guest_moved().node())) == node;
    });
  }

  BridgeWorld world_;
  BridgeHost a_{world_, 1}, b_{world_, 2}, plain_{world_, 3, false};
};

// --- Addresses ---

TEST_F(GuestIpv6Test, ASolicitationIsAnsweredWithThePrefixToThatGuestAlone) {
  a_.bridge.take(router_solicitation(kGuest));
  ASSERT_EQ(a_.to_lan.size(), 1u);
  const auto ethernet = EthernetView::parse(a_.to_lan[0]);
  EXPECT_EQ(ethernet->destination, kGuest);
  const auto ip6 = Ipv6View::parse(ethernet->payload);
  EXPECT_EQ(ip6->source, ip("fe80::ff:fe00:53"));
  EXPECT_EQ(ip6->hop_limit, 255);
  const ByteView message = ip6->payload;
  ASSERT_EQ(message.size(), 16u + 8 + 8 + 32 + 32);
  EXPECT_EQ(message[0], 134);
  EXPECT_EQ(get_big_endian(message.data() + 6, 2), 0u) << "no router";
  EXPECT_EQ(get_big_endian(message.data() + 24, 2), 0x0501u);
  EXPECT_EQ(get_big_endian(message.data() + 28, 4), 1380u);
  const ByteView own = message.subspan(32), all = message.subspan(64);
  EXPECT_EQ(get_big_endian(own.data(), 4), 0x030440c0u) << "64 bits, on the link, for addresses";
  EXPECT_EQ(IpAddress::v6(own.subspan(16)), ip("fd00::"));
  EXPECT_EQ(get_big_endian(all.data(), 4), 0x03043080u) << "48 bits, on the link";
  // The host has its own way into the pool.
  a_.to_lan.clear();
  a_.bridge.take(router_solicitation(kHostsOwn));
  EXPECT_TRUE(a_.to_lan.empty());
}

TEST_F(GuestIpv6Test, WhoSpeaksIsToldAgainNowAndThenAndAStormOfQuestionsIsBounded) {
  for (int i = 0; i < 25; ++i) {
    a_.bridge.take(packet6(kGuest, kMine, "fd00:0:0:9::1"));
    pass(1min);
  }
  EXPECT_EQ(said(a_, 134).size(), 2u);
  // Who says anything else may be another host that a cable has brought here.
  Bytes report(28);
  report[0] = 143;
  b_.bridge.take(ipv6({0x33, 0x33, 0, 0, 0, 0x16}, kGuest, kLink, "ff02::16", kIcmp, report));
  EXPECT_TRUE(said(b_, 134).empty());
  b_.bridge.take(packet6(kGuest, kMine, "fd00:0:0:9::1"));
  for (int i = 0; i < 1000; ++i) b_.bridge.take(router_solicitation(kGuest));
  EXPECT_LE(said(b_, 134).size(), 1u * GuestIpv6::kTellsPerSecond);
}

TEST_F(GuestIpv6Test, TheProbeForADuplicateClaimsTheAddress) {
  a_.bridge.take(probe(kGuest, kMine));
  pass();
  ASSERT_TRUE(record());
  EXPECT_EQ(record()->owner, a_.address);
  EXPECT_EQ(parse_lease(*record())->mac, kGuest);
  EXPECT_EQ(a_.bridge.guest_at(ip(kMine)), kGuest);
  EXPECT_TRUE(said(a_, 136).empty()) << "it was free";
  // Neither the routers' address nor one of another net can be had.
  a_.bridge.take(probe(kGuest, "fd00::"));
  a_.bridge.take(probe(kGuest, "fd01::5"));
  a_.bridge.take(probe(kGuest, kLink));
  pass();
  EXPECT_EQ(world_.dht.size(), 1u);
}

TEST_F(GuestIpv6Test, AnAddressThatAnotherHasIsRefusedBeforeTheGuestTakesIt) {
  a_.bridge.take(probe(kGuest, kMine));
  pass();
  b_.bridge.take(probe(kOther, kMine));
  pass(900ms);  // RFC 4862, 5.1: it waits for a second
  const auto refusals = said(b_, 136);
  ASSERT_EQ(refusals.size(), 1u);
  EXPECT_EQ(refusals[0].destination, all_nodes());
  EXPECT_EQ(IpAddress::v6(refusals[0].payload.subspan(8, 16)), ip(kMine));
  EXPECT_TRUE(std::any_of(b_.to_lan.begin(), b_.to_lan.end(), [](const Bytes& frame) {
    const auto ethernet = EthernetView::parse(frame);
    return ethernet->type == EtherType::kIpv6 && ethernet->destination == kOther;
  })) << "to that guest alone";
  EXPECT_EQ(record()->owner, a_.address);
  EXPECT_FALSE(b_.bridge.guest_at(ip(kMine)));
  // So is a host's own.
  b_.to_lan.clear();
  b_.bridge.take(probe(kOther, inner_ipv6(plain_.subnet6, plain_.address).text()));
  pass();
  EXPECT_EQ(said(b_, 136).size(), 1u);
  // On one bridge the other guest answers for itself, and is not robbed though it is silent.
  pass(GuestLeases::kSilentAfter);
  a_.to_lan.clear();
  a_.bridge.take(probe(kOther, kMine));
  pass();
  EXPECT_TRUE(said(a_, 136).empty());
  EXPECT_EQ(a_.bridge.guest_at(ip(kMine)), kGuest);
}

TEST_F(GuestIpv6Test, APacketsAddressIsClaimedAndThePacketWaitsForThat) {
  a_.bridge.take(packet6(kGuest, kMine, kOthers));
  EXPECT_TRUE(a_.forwarded.empty());
  pass();
  EXPECT_EQ(a_.forwarded.size(), 1u);
  a_.bridge.take(packet6(kGuest, kMine, kOthers));
  EXPECT_EQ(a_.forwarded.size(), 2u);
  a_.bridge.take(packet6(kGuest, kMine, inner_ipv6(a_.subnet6, a_.address).text()));
  ASSERT_EQ(a_.to_host.size(), 1u);
  EXPECT_EQ(EthernetView::parse(a_.to_host[0])->destination, mac_of(a_.address));
}

TEST_F(GuestIpv6Test, ForeignSourcesAreDroppedAndCounted) {
  b_.bridge.take(unasked(kOther, kOthers));
  pass();
  expect_dropped(a_, packet6(kGuest, kOthers, kMine), Metric::kDropSourceCheck);
  expect_dropped(a_, packet6(kGuest, "2001:db8::1", kMine), Metric::kDropSourceCheck);
  for (BridgeHost* host : {&a_, &plain_}) {
    expect_dropped(a_, packet6(kGuest, inner_ipv6(a_.subnet6, host->address).text(), kMine),
                   Metric::kDropSourceCheck);
  }
  expect_dropped(a_, packet6(kGuest, kLink, kMine), Metric::kDropFrameKind);
  expect_dropped(a_, solicitation(kGuest, "2001:db8::1", kMine), Metric::kDropSourceCheck);
  EXPECT_EQ(record(kOthers)->owner, b_.address);
}

TEST_F(GuestIpv6Test, AGuestHasNoMoreAddressesThanAllowed) {
  a_.bridge.take(announcement(kGuest, "10.128.5.5"));
  for (int i = 0; i < 20; ++i) {
    a_.bridge.take(probe(kGuest, "fd00::1:" + std::to_string(i + 1)));
    pass();
  }
  EXPECT_EQ(world_.dht.size(), GuestLeases::kAddressesPerMacMax);
  EXPECT_EQ(a_.bridge.guests(), 1u);
  EXPECT_TRUE(said(a_, 136).empty()) << "nobody has them; that is not for us to say";
}

TEST_F(GuestIpv6Test, ASilentGuestIsAskedAndOneThatAnswersKeepsItsAddress) {
  a_.bridge.take(probe(kGuest, kMine));
  a_.bridge.take(probe(kOther, kOthers));
  for (int i = 0; i < 3 * 60 * 2; ++i) {
    pass(30s);
    for (const Ipv6View& asked : said(a_, 135)) {
      if (asked.destination == ip(kMine)) a_.bridge.take(unasked(kGuest, kMine));
    }
    a_.to_lan.clear();
  }
  EXPECT_EQ(a_.bridge.guest_at(ip(kMine)), kGuest);
  EXPECT_TRUE(record());
  EXPECT_FALSE(record(kOthers));
}

// --- Neighbours ---

TEST_F(GuestIpv6Test, SolicitationsAreAnsweredForHostsAndForGuestsElsewhere) {
  b_.bridge.take(unasked(kOther, kOthers));
  a_.bridge.take(probe(kGuest, kMine));
  a_.bridge.take(probe({0x52, 0x54, 0, 0, 0, 9}, "fd00::9"));
  pass();
  EXPECT_EQ(mac_at(a_, kOthers), kOther);
  for (BridgeHost* host : {&a_, &b_, &plain_}) {
    EXPECT_EQ(mac_at(a_, inner_ipv6(a_.subnet6, host->address).text()), mac_of(host->address));
  }
  EXPECT_EQ(mac_at(a_, "fe80::ff:fe00:53"), kServiceMac);
  EXPECT_EQ(mac_at(a_, "fd00::77"), std::nullopt) << "nobody";
  EXPECT_EQ(mac_at(a_, "fd00:0:0:77::1"), std::nullopt) << "no host";
  EXPECT_EQ(mac_at(a_, "fd00::9"), std::nullopt) << "a guest here answers for itself";
  EXPECT_EQ(mac_at(a_, "2001:db8::1"), std::nullopt);
  EXPECT_TRUE(a_.to_node.empty());
}

TEST_F(GuestIpv6Test, WhatAGuestSaysAsARouterNeverPasses) {
  a_.bridge.take(probe(kGuest, kMine));
  pass();
  for (const std::uint8_t type : {134, 137, 138, 141, 148}) {
    for (const std::string& from : {kLink, kMine}) {
      Bytes message(40);
      message[0] = type;
      expect_dropped(a_,
                     write_ethernet(kAllNodesMac, kGuest, EtherType::kIpv6,
                                    write_icmpv6(ip(from), all_nodes(), message)),
                     Metric::kDropFrameKind);
    }
  }
}

TEST_F(GuestIpv6Test, WhateverIsCutOrMadeUpIsDropped) {
  const std::vector<Bytes> good = {probe(kGuest, kMine), solicitation(kGuest, kMine, kOthers),
                                   unasked(kGuest, kMine), router_solicitation(kGuest),
                                   packet6(kGuest, kMine, kOthers)};
  for (const Bytes& frame : good) {
    for (std::size_t n = 0; n < frame.size(); ++n) {
      a_.bridge.take(ByteView(frame).first(n));
    }
    for (std::size_t at = 12; at < frame.size(); ++at) {
      Bytes other = frame;
      other[at] ^= 0xff;
      a_.bridge.take(other);
    }
    a_.forwarded.clear();
    a_.to_node.clear();
    // It was passed on by a router.
    Bytes far = frame;
    far[EthernetView::kHeaderBytes + 7] = 254;
    if (frame != good.back()) expect_dropped(a_, far, Metric::kDropFrameKind);
  }
}

TEST_F(GuestIpv6Test, WhatIsTooLargeForThePoolIsAnsweredOnTheBridge) {
  a_.bridge.take(probe(kGuest, kMine));
  pass();
  a_.to_lan.clear();
  a_.bridge.take(packet6(kGuest, kMine, kOthers, 1341));
  ASSERT_EQ(said(a_, 2).size(), 1u);
  EXPECT_EQ(get_big_endian(said(a_, 2)[0].payload.data() + 4, 4), 1380u);
  EXPECT_TRUE(a_.forwarded.empty());
  a_.bridge.take(packet6(kGuest, kMine, kOthers, 1340));
  EXPECT_EQ(a_.forwarded.size(), 1u);
}

// --- Moving ---

TEST_F(GuestIpv6Test, AReverseArpMovesItsAddressesOfBothKinds) {
  a_.bridge.take(announcement(kGuest, "10.128.5.5"));
  a_.bridge.take(probe(kGuest, kMine));
  pass();
  a_.to_lan.clear();
  b_.bridge.take(write_ethernet(kBroadcast, kGuest, EtherType{0x8035}, Bytes(28)));
  pass(2 * kOneWay + GuestLeases::kProbeFor + 1ms);
  EXPECT_EQ(b_.bridge.guest_at(ip(kMine)), kGuest);
  EXPECT_EQ(b_.bridge.guest_at(ip("10.128.5.5")), kGuest);
  EXPECT_TRUE(told(plain_, b_.address));
  // Its old LAN is told by a frame "from the guest".
  ASSERT_EQ(said(a_, 136).size(), 1u);
  EXPECT_EQ(said(a_, 136)[0].source, ip(kMine));
  pass();
  EXPECT_EQ(record()->owner, b_.address);
}

TEST_F(GuestIpv6Test, AnUnaskedAdvertisementOrAPacketMovesItToo) {
  a_.bridge.take(probe(kGuest, kMine));
  pass();
  a_.to_lan.clear();
  b_.bridge.take(unasked(kGuest, kMine));
  pass(2 * kOneWay + GuestLeases::kProbeFor + 1ms);
  ASSERT_EQ(said(a_, 135).size(), 1u) << "it was asked whether it is still there";
  EXPECT_EQ(EthernetView::parse(a_.to_lan[0])->destination, kGuest);
  EXPECT_EQ(b_.bridge.guest_at(ip(kMine)), kGuest);
  pass();
  a_.bridge.take(packet6(kGuest, kMine, kOthers));
  pass();
  EXPECT_EQ(a_.forwarded.size(), 1u);
  EXPECT_EQ(record()->owner, a_.address);
  EXPECT_FALSE(b_.bridge.guest_at(ip(kMine)));
}

TEST_F(GuestIpv6Test, TwoGuestsWithOneMacTheOneThatIsHeardKeepsItsAddress) {
  a_.bridge.take(probe(kGuest, kMine));
  pass();
  b_.bridge.take(unasked(kGuest, kMine));
  for (int i = 0; i < 150; ++i) {
    pass(30ms);
    a_.bridge.take(unasked(kGuest, kMine));  // the answers to the question whether it is there
  }
  EXPECT_EQ(a_.bridge.guest_at(ip(kMine)), kGuest);
  EXPECT_FALSE(b_.bridge.guest_at(ip(kMine)));
  EXPECT_EQ(record()->owner, a_.address);
}

// --- To many ---

TEST_F(GuestIpv6Test, MulticastPassesIfItsSourceIsTheSendersAndItSteersNobody) {
  const MacAddress group = {0x33, 0x33, 0, 0, 0, 0xfb};
  const auto to_many = [&](const std::string& from, std::uint8_t next, const Bytes& payload) {
    return ipv6(group, kGuest, from, "ff02::fb", next, payload);
  };
  Bytes mdns(20);
  put_big_endian(mdns.data(), 5353, 2);
  put_big_endian(mdns.data() + 2, 5353, 2);
  a_.bridge.take(probe(kGuest, kMine));
  pass();
  a_.bridge.take(to_many(kMine, 17, mdns));
  ASSERT_EQ(a_.to_node.size(), 1u);
  EXPECT_EQ(a_.to_node[0].first, b_.address);
  const Bytes passed = a_.to_node[0].second;
  a_.to_node.clear();
  b_.bridge.take_from(a_.address, passed);  // asks whose it is
  pass();
  b_.bridge.take_from(a_.address, passed);
  EXPECT_EQ(std::count(b_.to_lan.begin(), b_.to_lan.end(), passed), 1);
  const auto forged = count(b_, Metric::kDropSourceCheck);
  b_.bridge.take_from(a_.address, to_many(kLink, 17, mdns));
  b_.bridge.take_from(a_.address, to_many(kOthers, 17, mdns));
  EXPECT_EQ(count(b_, Metric::kDropSourceCheck), forged + 2);
  expect_dropped(a_, to_many(kLink, 17, mdns), Metric::kDropFrameKind);
  Bytes report(28), dhcp(20), advertisement(40);
  report[0] = 143;
  dhcp[3] = 547 & 0xff;
  dhcp[2] = 547 >> 8;
  advertisement[0] = 134;
  const auto kinds = count(b_, Metric::kDropFrameKind);
  expect_dropped(a_, to_many(kMine, kIcmp, report), Metric::kDropFrameKind);
  expect_dropped(a_, to_many(kMine, 17, dhcp), Metric::kDropFrameKind);
  b_.to_lan.clear();
  b_.bridge.take_from(a_.address, to_many(kMine, kIcmp, report));
  b_.bridge.take_from(a_.address, to_many(kMine, 17, dhcp));
  b_.bridge.take_from(a_.address, to_many(kMine, kIcmp, advertisement));
  b_.bridge.take_from(a_.address, packet6(kGuest, kMine, kOthers));
  EXPECT_EQ(count(b_, Metric::kDropFrameKind), kinds + 4);
  EXPECT_TRUE(b_.to_lan.empty());
}

}  // namespace
}  // namespace wow
