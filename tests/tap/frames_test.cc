// Both directions between the host and the overlay, with two hosts of one pool and a hostile third.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "dht/inner_ipv6.h"
#include "tap/inbound.h"
#include "tap/mac_address.h"
#include "tap/outbound.h"
#include "tap/service_host.h"
#include "tests/tap/fake_pool.h"

namespace wow {
namespace {

const Address kSelf = node_address(1), kPeer = node_address(2), kEvil = node_address(6);
constexpr MacAddress kBroadcast = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
constexpr auto kUdp = IpProtocol::kUdp;

Bytes udp_frame(const MacAddress& to, const MacAddress& from, const std::string& from_ip,
                const std::string& to_ip, std::uint16_t from_port = 1000,
                std::uint16_t to_port = 2000) {
  return write_ethernet(
      to, from, EtherType::kIpv4,
      write_udp({ip(from_ip), from_port}, {ip(to_ip), to_port}, view_of("hello")));
}

class FramesTest : public testing::Test {
 protected:
  FramesTest() {
    dht_.set_lease("10.128.0.1", kSelf);
    dht_.set_lease("10.128.0.2", kPeer, "beta");
    dht_.set_name("beta", kPeer, "10.128.0.2");
    dht_.set_lease("10.128.0.6", kEvil);
  }

  std::uint64_t count(Metric metric) const { return metrics_.get(metric); }
  std::optional<IpAddress> own_ip6() const {
    return own_ip_ ? std::optional(inner_ipv6(subnet6_, kSelf)) : std::nullopt;
  }
  void pass() { clock_.run_for(FakeDht::kRoundTrip); }
  // What the peer sends that must be delivered.
  Bytes honest() const {
    return udp_frame(mac_of(kSelf), mac_of(kPeer), "10.128.0.2", "10.128.0.1");
  }
  // Nothing of it reaches the host; it is counted under `metric`.
  void expect_dropped(const Address& peer, const Bytes& frame, Metric metric) {
    const auto before = count(metric);
    inbound_.take(peer, frame);
    clock_.run_for(1s);
    EXPECT_TRUE(to_host_.empty());
    EXPECT_EQ(count(metric), before + 1) << to_hex(frame);
  }

  ManualClock clock_;
  FakeDht dht_{clock_};
  MetricSlot metrics_;
  DhtCalls calls_ = dht_.calls_for(kSelf);
  Prefix subnet_ = *Prefix::parse("10.128.0.0/16");
  IpAddress service_ip_ = ip("10.128.255.254");
  Resolver resolver_{subnet_, calls_, clock_, [](const Address&) {}};
  Prefix subnet6_ = *Prefix::parse("fd12:3456:789a::/48");
  FakeRing ring_{clock_, {kSelf, kPeer, kEvil}};
  Neighbours neighbours_{subnet6_, ring_.locate(), clock_, [](const Address&) {}};
  Directory directory_{calls_, resolver_, clock_, "lab", subnet6_};
  DnsResponder dns_{"lab", subnet_, subnet6_, directory_};
  std::optional<IpAddress> own_ip_ = ip("10.128.0.1");
  std::vector<Bytes> to_host_;
  std::vector<std::pair<Address, Bytes>> to_node_;
  std::vector<Address> wanted_;
  std::size_t frame_max_ = 0;
  std::vector<std::pair<Address, IpAddress>> not_mine_;
  ServiceHost service_{service_ip_, dns_, metrics_,
                       [this](ByteView frame) { to_host_.push_back(to_bytes(frame)); }};
  Outbound outbound_{
      kSelf,
      service_ip_,
      resolver_,
      neighbours_,
      metrics_,
      {[this] { return own_ip_; }, [this](ByteView frame) { to_host_.push_back(to_bytes(frame)); },
       [this](auto& node, ByteView frame, auto) { to_node_.emplace_back(node, to_bytes(frame)); },
       [this](auto& node, auto&) { wanted_.push_back(node); }, [this](auto&) { return frame_max_; },
       [this](auto& ethernet, auto& ip) { service_.take(ethernet, ip); },
       [this] { return own_ip6(); }}};
  Inbound inbound_{
      kSelf,
      resolver_,
      clock_,
      metrics_,
      {[this] { return own_ip_; }, [this](ByteView frame) { to_host_.push_back(to_bytes(frame)); },
       [this](auto& peer, auto& ip) { not_mine_.emplace_back(peer, ip); },
       [this] { return own_ip6(); }, [this](auto& peer) { return inner_ipv6(subnet6_, peer); }}};
};

Bytes arp_request(const std::string& target, const std::string& sender = "10.128.0.1") {
  const ArpPacket arp{ArpPacket::kRequest, mac_of(kSelf), {}, ip(sender), ip(target)};
  return write_ethernet(kBroadcast, mac_of(kSelf), EtherType::kArp, arp.write());
}

TEST_F(FramesTest, ArpIsAnsweredFromTheDhtAndTheSessionIsBegun) {
  outbound_.take(arp_request("10.128.0.2"), 0);
  pass();
  ASSERT_EQ(to_host_.size(), 1u);
  EXPECT_EQ(to_host_[0],
            write_arp_reply(mac_of(kSelf), ip("10.128.0.1"), ip("10.128.0.2"), mac_of(kPeer)));
  EXPECT_EQ(wanted_, (std::vector{kPeer, kPeer})) << "as soon as it is likely, and once it is sure";
  EXPECT_TRUE(to_node_.empty());
}

TEST_F(FramesTest, AHolderThatIsOnlyLikelyGetsASessionAndNothingElse) {
  outbound_.take(udp_frame(mac_of(kPeer), mac_of(kSelf), "10.128.0.1", "10.128.0.2"), 0);
  clock_.run_for(FakeDht::kRoundTrip / 2);
  EXPECT_EQ(wanted_, std::vector{kPeer});
  EXPECT_TRUE(to_node_.empty());
  dht_.set_lease("10.128.0.2", kEvil);  // the majority knows better
  pass();
  ASSERT_EQ(to_node_.size(), 1u);
  EXPECT_EQ(to_node_[0].first, kEvil);
}

TEST_F(FramesTest, ArpForNobodyForOurselvesAndForOtherNetsIsNotAnswered) {
  for (const char* target : {"10.128.0.3", "10.128.0.1", "192.168.0.1"}) {
    outbound_.take(arp_request(target), 0);
    outbound_.take(arp_request(target, "0.0.0.0"), 0);
  }
  clock_.run_for(1s);
  EXPECT_TRUE(to_host_.empty());
}

TEST_F(FramesTest, TheServiceAddressHasAMacOfItsOwn) {
  outbound_.take(arp_request("10.128.255.254"), 0);
  ASSERT_EQ(to_host_.size(), 1u);
  EXPECT_EQ(ArpPacket::parse(EthernetView::parse(to_host_[0])->payload)->sender_mac, kServiceMac);
}

TEST_F(FramesTest, PacketsWaitForTheLookUpAndNoneIsLost) {
  const Bytes frame = udp_frame(mac_of(kPeer), mac_of(kSelf), "10.128.0.1", "10.128.0.2");
  for (int i = 0; i < 5; ++i) outbound_.take(frame, 0);
  EXPECT_TRUE(to_node_.empty());
  pass();
  ASSERT_EQ(to_node_.size(), 5u);
  EXPECT_EQ(to_node_[0], std::pair(kPeer, frame));
  outbound_.take(frame, 0);
  EXPECT_EQ(to_node_.size(), 6u);
}

// A frame of an IPv4 packet to kPeer; `flags`: byte 6 of its header.
Bytes big_frame(std::size_t packet_bytes, std::uint8_t flags) {
  Bytes packet = write_ipv4(ip("10.128.0.1"), ip("10.128.0.2"), kUdp,
                            Bytes(packet_bytes - Ipv4View::kHeaderBytesMin, 0x5a));
  packet[6] = flags;
  return write_ethernet(mac_of(kPeer), mac_of(kSelf), EtherType::kIpv4, packet);
}
constexpr std::uint8_t kMayCut = 0, kDontCut = 0x40;

TEST_F(FramesTest, WhatDoesNotFitIsAnsweredSoThatTheSenderBelievesIt) {
  frame_max_ = 1219;
  for (const Bytes& fits : {big_frame(1205, kDontCut), big_frame(1380, kMayCut)}) {
    outbound_.take(fits, 0);
    pass();
    ASSERT_EQ(to_node_.size(), 1u);
    EXPECT_EQ(to_node_[0].second, fits);
    to_node_.clear();
  }
  EXPECT_TRUE(to_host_.empty());
  const Bytes large = big_frame(1206, kDontCut);
  outbound_.take(large, 0);
  EXPECT_TRUE(to_node_.empty());
  EXPECT_EQ(count(Metric::kDropTooBig), 1u);
  ASSERT_EQ(to_host_.size(), 1u);
  const auto ethernet = EthernetView::parse(to_host_[0]);
  EXPECT_EQ(ethernet->destination, mac_of(kSelf));
  const auto answer = Ipv4View::parse(ethernet->payload);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->source, ip("10.128.0.2"));
  EXPECT_EQ(answer->destination, ip("10.128.0.1"));
  EXPECT_LE(answer->total_bytes, 576u);
  EXPECT_EQ(internet_checksum(answer->payload), 0);
  EXPECT_EQ(get_big_endian(answer->payload.data(), 2), 0x0304u);
  EXPECT_EQ(get_big_endian(answer->payload.data() + 4, 4), 1205u);
  const ByteView quoted = answer->payload.subspan(8), packet = ByteView(large).subspan(14);
  EXPECT_TRUE(std::equal(quoted.begin(), quoted.end(), packet.begin()));
}

TEST_F(FramesTest, NobodyIsToldOfErrorsAndFragmentsThatDoNotFit) {
  Bytes error = big_frame(1300, kDontCut);
  error[14 + 9] = static_cast<std::uint8_t>(IpProtocol::kIcmp);
  error[14 + 20] = 3;
  EXPECT_FALSE(write_too_big(error, 1200));
  error[14 + 20] = 8;
  EXPECT_TRUE(write_too_big(error, 1200));
  EXPECT_FALSE(write_too_big(big_frame(1300, kDontCut | 0x20), 1200));
  EXPECT_FALSE(write_too_big(ByteView(error).first(20), 1200));
  EXPECT_FALSE(write_too_big({}, 1200));
}

TEST_F(FramesTest, AFrameToAStaleMacGoesToWhoHoldsTheAddressNow) {
  outbound_.take(udp_frame(mac_of(kEvil), mac_of(kSelf), "10.128.0.1", "10.128.0.2"), 0);
  pass();
  ASSERT_EQ(to_node_.size(), 1u);
  EXPECT_EQ(to_node_[0].first, kPeer);
  EXPECT_EQ(EthernetView::parse(to_node_[0].second)->destination, mac_of(kPeer));
}

TEST_F(FramesTest, WaitingFramesAreBoundedAndTheOldestGoes) {
  constexpr std::uint16_t kSent = FrameStage::kFramesPerKeyMax + 8;
  for (std::uint16_t i = 0; i < kSent; ++i) {
    outbound_.take(udp_frame(mac_of(kPeer), mac_of(kSelf), "10.128.0.1", "10.128.0.2", i), 0);
  }
  pass();
  EXPECT_EQ(to_node_.size(), FrameStage::kFramesPerKeyMax);
  EXPECT_EQ(count(Metric::kDropQueueFull), 8u);
  const auto last = Ipv4View::parse(EthernetView::parse(to_node_.back().second)->payload);
  EXPECT_EQ(UdpView::parse(last->payload)->source_port, kSent - 1);
}

TEST_F(FramesTest, NothingLeavesWithAnotherSourceOrWithoutALease) {
  const Bytes frame = udp_frame(mac_of(kPeer), mac_of(kSelf), "10.128.0.1", "10.128.0.2");
  outbound_.take(udp_frame(mac_of(kPeer), mac_of(kSelf), "10.128.0.9", "10.128.0.2"), 0);
  outbound_.take(udp_frame(mac_of(kPeer), mac_of(kEvil), "10.128.0.1", "10.128.0.2"), 0);
  own_ip_.reset();
  outbound_.take(frame, 0);
  pass();
  EXPECT_TRUE(to_node_.empty());
  EXPECT_EQ(count(Metric::kDropSourceCheck), 3u);
}

TEST_F(FramesTest, OtherKindsStayOutOfTheOverlay) {
  outbound_.take(udp_frame(kBroadcast, mac_of(kSelf), "10.128.0.1", "10.128.255.255"), 0);
  outbound_.take(write_ethernet(mac_of(kPeer), mac_of(kSelf), EtherType{0x86dd}, Bytes(40)), 0);
  EXPECT_EQ(count(Metric::kDropFrameKind), 2u);
  outbound_.take(udp_frame(mac_of(kPeer), mac_of(kSelf), "10.128.0.1", "8.8.8.8"), 0);
  outbound_.take(udp_frame(mac_of(kPeer), mac_of(kSelf), "10.128.0.1", "10.128.0.3"), 0);
  pass();
  EXPECT_EQ(count(Metric::kDropNoDestination), 2u);
  EXPECT_TRUE(to_node_.empty());
}

TEST_F(FramesTest, TheServiceAnswersDnsAndPing) {
  Writer query;
  query.u16(7).u16(0x0100).u16(1).u16(0).u32(0).bytes(*write_dns_name("beta.lab.internal"));
  query.u16(DnsQuestion::kA).u16(1);
  outbound_.take(
      write_ethernet(kServiceMac, mac_of(kSelf), EtherType::kIpv4,
                     write_udp({ip("10.128.0.1"), 5555}, {service_ip_, 53}, query.view())),
      0);
  clock_.run_for(1s);
  ASSERT_EQ(to_host_.size(), 1u);
  const auto ethernet = EthernetView::parse(to_host_[0]);
  const auto packet = Ipv4View::parse(ethernet->payload);
  const auto udp = UdpView::parse(packet->payload);
  ASSERT_TRUE(udp);
  EXPECT_EQ(ethernet->source, kServiceMac);
  EXPECT_EQ(packet->source, service_ip_);
  EXPECT_EQ(udp->destination_port, 5555);
  EXPECT_TRUE(
      std::equal(udp->payload.end() - 4, udp->payload.end(), ip("10.128.0.2").bytes().begin()));

  const Bytes echo = *from_hex("0800f7fd00010001");
  outbound_.take(write_ethernet(kServiceMac, mac_of(kSelf), EtherType::kIpv4,
                                write_ipv4(ip("10.128.0.1"), service_ip_, IpProtocol::kIcmp, echo)),
                 0);
  ASSERT_EQ(to_host_.size(), 2u);
  const auto pong = Ipv4View::parse(EthernetView::parse(to_host_[1])->payload);
  EXPECT_EQ(to_hex(pong->payload), "0000fffd00010001");
}

TEST_F(FramesTest, ChecksumsOfWhatWeWriteHold) {
  const Bytes packet = write_udp({ip("10.128.0.1"), 1}, {ip("10.128.0.2"), 2}, view_of("odd"));
  EXPECT_EQ(internet_checksum(ByteView(packet).first(20)), 0);
  Writer pseudo;
  pseudo.bytes(ip("10.128.0.1").bytes()).bytes(ip("10.128.0.2").bytes()).u16(17).u16(11);
  pseudo.bytes(ByteView(packet).subspan(20));
  EXPECT_EQ(internet_checksum(pseudo.view()), 0);
}

// --- From the overlay ---

TEST_F(FramesTest, APeersFrameIsDeliveredOnceItsAddressIsKnown) {
  inbound_.take(kPeer, honest());
  EXPECT_TRUE(to_host_.empty());
  pass();
  EXPECT_EQ(to_host_, std::vector<Bytes>{honest()});
  inbound_.take(kPeer, honest());
  EXPECT_EQ(to_host_.size(), 2u);
}

TEST_F(FramesTest, PaddingIsCutOff) {
  Bytes padded = honest();
  padded.resize(100);
  inbound_.take(kPeer, padded);
  pass();
  EXPECT_EQ(to_host_, std::vector<Bytes>{honest()});
}

TEST_F(FramesTest, MadeUpSourcesDoNotSpendOurLookUps) {
  for (int i = 10; i < 110; ++i) {
    const std::string source = "10.128.0." + std::to_string(i);
    inbound_.take(kEvil, udp_frame(mac_of(kSelf), mac_of(kEvil), source, "10.128.0.1"));
    pass();
  }
  EXPECT_GE(count(Metric::kDropRateLimited), 50u);
  inbound_.take(kPeer, honest());
  pass();
  EXPECT_EQ(to_host_, std::vector<Bytes>{honest()});
}

TEST_F(FramesTest, AnothersAddressIsDropped) {
  expect_dropped(kEvil, honest(), Metric::kDropSourceCheck);  // MAC and IP
  expect_dropped(kEvil, udp_frame(mac_of(kSelf), mac_of(kEvil), "10.128.0.2", "10.128.0.1"),
                 Metric::kDropSourceCheck);  // IP
  expect_dropped(kEvil, udp_frame(mac_of(kSelf), mac_of(kEvil), "10.128.0.9", "10.128.0.1"),
                 Metric::kDropSourceCheck);  // nobody's
  expect_dropped(kEvil, udp_frame(mac_of(kSelf), mac_of(kEvil), "8.8.8.8", "10.128.0.1"),
                 Metric::kDropSourceCheck);
  expect_dropped(kEvil, udp_frame(mac_of(kSelf), mac_of(kEvil), "10.128.0.1", "10.128.0.1"),
                 Metric::kDropSourceCheck);  // ours
  dht_.set_lease("10.128.255.254", kEvil);
  expect_dropped(kEvil, udp_frame(mac_of(kSelf), mac_of(kEvil), "10.128.255.254", "10.128.0.1"),
                 Metric::kDropSourceCheck);  // the service's
}

TEST_F(FramesTest, AnAddressThatHasJustMovedIsAskedForAnew) {
  inbound_.take(kPeer, honest());
  clock_.run_for(1s);
  to_host_.clear();
  dht_.set_lease("10.128.0.2", kEvil);  // released and leased by another
  inbound_.take(kEvil, udp_frame(mac_of(kSelf), mac_of(kEvil), "10.128.0.2", "10.128.0.1"));
  pass();
  EXPECT_EQ(to_host_.size(), 1u);
  inbound_.take(kPeer, honest());
  clock_.run_for(1s);
  EXPECT_EQ(to_host_.size(), 1u);
}

TEST_F(FramesTest, AFloodOfForgedSourcesCostsFewLookUps) {
  inbound_.take(kPeer, honest());
  pass();
  to_host_.clear();
  const auto before = dht_.asked.size();
  for (int i = 0; i < 10000; ++i) {
    inbound_.take(kEvil, udp_frame(mac_of(kSelf), mac_of(kEvil),
                                   "10.128.1." + std::to_string(i % 250 + 1), "10.128.0.1"));
  }
  EXPECT_LE(dht_.asked.size(), before + FrameStage::kKeysPerPeerMax);
  inbound_.take(kPeer, honest());
  EXPECT_EQ(to_host_.size(), 1u);
}

TEST_F(FramesTest, KindsThatAreNeverTakenFromTheOverlay) {
  const MacAddress self = mac_of(kSelf), peer = mac_of(kPeer);
  const ArpPacket arp{ArpPacket::kReply, peer, self, ip("10.128.0.9"), ip("10.128.0.1")};
  expect_dropped(kPeer, write_ethernet(self, peer, EtherType::kArp, arp.write()),
                 Metric::kDropFrameKind);
  expect_dropped(kPeer, write_ethernet(self, peer, EtherType{0x86dd}, Bytes(60)),
                 Metric::kDropFrameKind);  // router advertisements among it
  expect_dropped(kPeer, write_ethernet(self, peer, EtherType{0x0026}, Bytes(38)),
                 Metric::kDropFrameKind);  // STP
  expect_dropped(kPeer, udp_frame(kBroadcast, peer, "10.128.0.2", "10.128.255.255"),
                 Metric::kDropFrameKind);
  expect_dropped(kPeer, udp_frame(self, peer, "10.128.0.2", "10.128.0.1", 67, 68),
                 Metric::kDropFrameKind);
  const Bytes redirect = *from_hex("0501000000000000");
  expect_dropped(
      kPeer,
      write_ethernet(self, peer, EtherType::kIpv4,
                     write_ipv4(ip("10.128.0.2"), ip("10.128.0.1"), IpProtocol::kIcmp, redirect)),
      Metric::kDropFrameKind);
  // A DHCP server's word whose UDP length lies, or whose port is all there is.
  Bytes lying = udp_frame(self, peer, "10.128.0.2", "10.128.0.1", 67, 68);
  lying[14 + 20 + 5] = 0;
  expect_dropped(kPeer, lying, Metric::kDropFrameKind);
  expect_dropped(kPeer,
                 write_ethernet(self, peer, EtherType::kIpv4,
                                write_ipv4(ip("10.128.0.2"), ip("10.128.0.1"), kUdp, Bytes{0})),
                 Metric::kDropFrameKind);
}

TEST_F(FramesTest, AFrameCutAnywhereOrWithLyingLengthsIsDropped) {
  const Bytes whole = honest();
  for (std::size_t n = 0; n < whole.size(); ++n) {
    expect_dropped(kPeer, Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n)),
                   Metric::kDropFrameKind);
  }
  for (const std::uint8_t version_and_words : {0x44, 0x4f, 0x55, 0x60, 0x00}) {
    Bytes bad = whole;
    bad[14] = version_and_words;
    expect_dropped(kPeer, bad, Metric::kDropFrameKind);
  }
  for (const std::uint16_t total : {0, 19, 34, 0xffff}) {
    Bytes bad = whole;
    put_big_endian(bad.data() + 16, total, 2);
    if (total == 34) bad.resize(14 + 33);
    expect_dropped(kPeer, bad, Metric::kDropFrameKind);
  }
}

TEST_F(FramesTest, WhatIsNotForUsIsToldAtABoundedRate) {
  const Bytes frame = udp_frame(mac_of(kSelf), mac_of(kPeer), "10.128.0.2", "10.128.0.9");
  for (int i = 0; i < 100; ++i) inbound_.take(kPeer, frame);
  EXPECT_EQ(count(Metric::kDropNotMine), 100u);
  ASSERT_EQ(not_mine_.size(), static_cast<std::size_t>(Inbound::kNotMineBurst));
  EXPECT_EQ(not_mine_[0], std::pair(kPeer, ip("10.128.0.9")));
  clock_.run_for(1s);
  inbound_.take(kPeer, frame);
  EXPECT_EQ(not_mine_.size(), static_cast<std::size_t>(Inbound::kNotMineBurst) + 1);
}

TEST_F(FramesTest, WithoutALeaseNothingIsDeliveredAndNothingTold) {
  own_ip_.reset();
  expect_dropped(kPeer, honest(), Metric::kDropNotMine);
  EXPECT_TRUE(not_mine_.empty());
}

TEST_F(FramesTest, AMovedAddressIsAnnouncedToTheHost) {
  outbound_.announce({ip("10.128.0.2"), kEvil, "", {}, mac_of(kEvil)});
  ASSERT_EQ(to_host_.size(), 1u);
  const auto arp = ArpPacket::parse(EthernetView::parse(to_host_[0])->payload);
  EXPECT_EQ(arp->sender_mac, mac_of(kEvil));
  EXPECT_EQ(arp->sender_ip, ip("10.128.0.2"));
}

TEST(ArpPacketTest, CutAnywhereItIsNone) {
  const Bytes whole = ArpPacket{ArpPacket::kRequest, {}, {}, ip("1.2.3.4"), ip("5.6.7.8")}.write();
  EXPECT_EQ(whole.size(), 28u);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    EXPECT_FALSE(ArpPacket::parse(ByteView(whole).first(n))) << n;
  }
  for (std::size_t i = 0; i < 6; ++i) {
    Bytes bad = whole;
    bad[i] ^= 1;
    EXPECT_FALSE(ArpPacket::parse(bad)) << i;
  }
}

}  // namespace
}  // namespace wow
