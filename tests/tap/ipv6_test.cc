// IPv6 inside the pool: addresses that follow from nodes, neighbour discovery answered at home, and
// what a receiver takes.
#include <gtest/gtest.h>

#include <algorithm>

#include "dht/inner_ipv6.h"
#include "proto/vnet.pb.h"
#include "tap/inbound.h"
#include "tap/mac_address.h"
#include "tap/names.h"
#include "tap/outbound.h"
#include "tests/tap/fake_pool.h"

namespace wow {
namespace {

const Address kSelf = node_address(1), kPeer = node_address(2), kEvil = node_address(6);
constexpr MacAddress kGuest = {0x52, 0x54, 0, 0, 0, 1};
constexpr std::uint8_t kTcp = 6;

Bytes ipv6_packet(const IpAddress& from, const IpAddress& to, std::uint8_t next, ByteView payload) {
  Writer out;
  out.u32(0x60000000).u16(static_cast<std::uint16_t>(payload.size())).u8(next).u8(255);
  out.bytes(from.mapped()).bytes(to.mapped()).bytes(payload);
  return out.take();
}

class Ipv6Test : public testing::Test {
 protected:
  IpAddress six(const Address& node) const { return inner_ipv6(subnet6_, node); }
  Bytes frame(const Address& to, const Address& from, std::uint8_t next = kTcp,
              const Bytes& payload = Bytes(20, 7)) const {
    return write_ethernet(mac_of(to), mac_of(from), EtherType::kIpv6,
                          ipv6_packet(six(from), six(to), next, payload));
  }
  // The n-th address that guests may have.
  IpAddress guest(std::uint8_t n) const {
    Bytes bytes = to_bytes(subnet6_.network.mapped());
    bytes[15] = n;
    return IpAddress::v6(bytes);
  }
  void set_guest(const IpAddress& ip, const Address& host) {
    pb::Lease lease;
    lease.set_ip(ip.text());
    lease.set_mac(kGuest.data(), kGuest.size());
    dht_.set(ip_key(ip), host, to_bytes(lease.SerializeAsString()));
  }
  Bytes between(const MacAddress& to, const IpAddress& to_ip, const MacAddress& from,
                const IpAddress& from_ip) const {
    return write_ethernet(to, from, EtherType::kIpv6,
                          ipv6_packet(from_ip, to_ip, kTcp, Bytes(20, 7)));
  }
  // As a kernel asks: to the multicast address of RFC 4291, 2.7.1.
  Bytes solicitation(const IpAddress& target, const IpAddress& asker,
                     std::uint8_t hop_limit = 255) const {
    Writer message;
    message.u8(135).u8(0).u16(0).u32(0).bytes(target.mapped()).u8(1).u8(1).bytes(mac_of(kSelf));
    Bytes packet = write_icmpv6(asker, ip("ff02::1:ff02:202"), message.take());
    packet[7] = hop_limit;
    return write_ethernet({0x33, 0x33, 0xff, 2, 2, 2}, mac_of(kSelf), EtherType::kIpv6, packet);
  }
  void pass() { clock_.run_for(FakeDht::kRoundTrip); }
  std::uint64_t count(Metric metric) const { return metrics_.get(metric); }
  void expect_dropped(const Address& peer, const Bytes& bytes, Metric metric) {
    const auto before = count(metric);
    inbound_.take(peer, bytes);
    EXPECT_TRUE(to_host_.empty());
    EXPECT_EQ(count(metric), before + 1) << to_hex(bytes);
  }

  ManualClock clock_;
  FakeDht dht_{clock_};
  MetricSlot metrics_;
  Prefix subnet_ = *Prefix::parse("10.128.0.0/16");
  Prefix subnet6_ = inner_ipv6_prefix(view_of("key"));
  FakeRing ring_{clock_, {kSelf, kPeer, kEvil}};
  std::vector<Bytes> to_host_;
  std::vector<std::pair<Address, Bytes>> to_node_;
  std::vector<Address> wanted_;
  std::size_t frame_max_ = 0;
  bool leased_ = true;
  IpAddress guest_here_;  // of a guest on our own bridge
  std::vector<Bytes> to_guest_;
  std::vector<IpAddress> not_mine_;
  Resolver resolver_{subnet_, dht_.calls_for(kSelf), clock_, [](const Address&) {}, subnet6_};
  Neighbours neighbours_{subnet6_, ring_.locate(), clock_, [](const Address&) {}};
  std::optional<IpAddress> own() const {
    return leased_ ? std::optional(six(kSelf)) : std::nullopt;
  }
  Outbound outbound_{
      kSelf,
      ip("10.128.255.254"),
      resolver_,
      neighbours_,
      metrics_,
      {[] { return std::nullopt; }, [this](ByteView bytes) { to_host_.push_back(to_bytes(bytes)); },
       [this](auto& node, ByteView bytes, auto) { to_node_.emplace_back(node, to_bytes(bytes)); },
       [this](auto& node, auto&) { wanted_.push_back(node); }, [this](auto&) { return frame_max_; },
       [](auto&, auto&) {}, [this] { return own(); }}};
  Inbound inbound_{
      kSelf,
      resolver_,
      clock_,
      metrics_,
      {[] { return ip("10.128.0.1"); },
       [this](ByteView bytes) { to_host_.push_back(to_bytes(bytes)); },
       [this](auto&, auto& ip) { not_mine_.push_back(ip); }, [this] { return own(); },
       [this](auto& peer) { return six(peer); },
       [this](auto& ip) { return guest_here_ == ip ? std::optional(kGuest) : std::nullopt; },
       [this](auto&, ByteView bytes) { to_guest_.push_back(to_bytes(bytes)); }}};
};

TEST_F(Ipv6Test, AnAddressIsUniqueLocalAndHoldsEightyBitsOfTheNode) {
  EXPECT_EQ(subnet6_.bits, 48);
  EXPECT_EQ(six(kPeer).mapped()[0], 0xfd);
  EXPECT_TRUE(subnet6_.contains(six(kPeer)));
  const ByteView node = kPeer.bytes().first(10);
  EXPECT_TRUE(std::equal(node.begin(), node.end(), six(kPeer).mapped().begin() + 6));
  EXPECT_NE(subnet6_, inner_ipv6_prefix(view_of("another key")));
  // Whoever has the address is nearer to its place than anybody else can be.
  EXPECT_TRUE(nearer(kPeer, kEvil, ring_places_of(six(kPeer))[0]));
  EXPECT_LT(log2_of(ring_distance(kPeer, ring_places_of(six(kPeer))[0])), 80);
}

TEST_F(Ipv6Test, NeighbourDiscoveryIsAnsweredAtHome) {
  outbound_.take(solicitation(six(kPeer), six(kSelf)), 0);
  pass();
  EXPECT_EQ(to_host_, std::vector<Bytes>{write_neighbour_advertisement(
                          mac_of(kSelf), six(kSelf), six(kPeer), mac_of(kPeer), true)});
  EXPECT_EQ(wanted_, std::vector{kPeer});
  EXPECT_TRUE(to_node_.empty());
  const auto packet = Ipv6View::parse(EthernetView::parse(to_host_[0])->payload);
  Writer sum;
  sum.bytes(packet->source.mapped()).bytes(packet->destination.mapped());
  sum.u32(static_cast<std::uint32_t>(packet->payload.size())).u32(58).bytes(packet->payload);
  EXPECT_EQ(internet_checksum(sum.view()), 0);
}

TEST_F(Ipv6Test, NobodyAnswersForTheAbsentForOurselvesOrForOtherNets) {
  outbound_.take(solicitation(six(node_address(9)), six(kSelf)), 0);
  outbound_.take(solicitation(six(kSelf), six(kSelf)), 0);
  outbound_.take(solicitation(ip("2001:db8::1"), six(kSelf)), 0);
  outbound_.take(solicitation(six(kPeer), ip("::")), 0);  // is it free?
  pass();
  leased_ = false;
  outbound_.take(solicitation(six(kPeer), six(kSelf)), 0);
  pass();
  EXPECT_TRUE(to_host_.empty());
}

TEST_F(Ipv6Test, OneLookUpServesManyAndTheAbsentAreNotAskedForAtEachPacket) {
  for (int i = 0; i < 5; ++i) outbound_.take(frame(kPeer, kSelf), 0);
  pass();
  EXPECT_EQ(to_node_.size(), 5u);
  EXPECT_EQ(to_node_[0], std::pair(kPeer, frame(kPeer, kSelf)));
  outbound_.take(frame(kPeer, kSelf), 0);
  EXPECT_EQ(to_node_.size(), 6u);
  EXPECT_EQ(ring_.located, 1);
  for (int i = 0; i < 10; ++i) {
    outbound_.take(frame(node_address(9), kSelf), 0);
    pass();
  }
  EXPECT_EQ(ring_.located, 2);
  EXPECT_EQ(count(Metric::kDropNoDestination), 10u);
  clock_.run_for(Neighbours::kNegativeTtl);
  ring_.members.push_back(node_address(9));
  outbound_.take(frame(node_address(9), kSelf), 0);
  pass();
  EXPECT_EQ(to_node_.back().first, node_address(9));
}

TEST_F(Ipv6Test, NothingLeavesFromAnotherSourceAndNoMulticast) {
  outbound_.take(frame(kPeer, kEvil), 0);  // MAC and IP
  outbound_.take(write_ethernet(mac_of(kPeer), mac_of(kSelf), EtherType::kIpv6,
                                ipv6_packet(ip("fe80::1"), six(kPeer), kTcp, Bytes(20))),
                 0);
  EXPECT_EQ(count(Metric::kDropSourceCheck), 2u);
  leased_ = false;
  outbound_.take(frame(kPeer, kSelf), 0);
  EXPECT_EQ(count(Metric::kDropSourceCheck), 3u);
  outbound_.take(write_ethernet({0x33, 0x33, 0, 0, 0, 2}, mac_of(kSelf), EtherType::kIpv6,
                                ipv6_packet(six(kSelf), ip("ff02::2"), 58, Bytes(8))),
                 0);
  EXPECT_EQ(count(Metric::kDropFrameKind), 1u);
  EXPECT_TRUE(to_node_.empty());
}

TEST_F(Ipv6Test, APeersOwnAddressIsEnough) {
  inbound_.take(kPeer, frame(kSelf, kPeer));
  EXPECT_EQ(to_host_, std::vector<Bytes>{frame(kSelf, kPeer)});
  EXPECT_EQ(ring_.located, 0);
  EXPECT_TRUE(dht_.asked.empty());
}

TEST_F(Ipv6Test, AnothersAddressIsDropped) {
  expect_dropped(kEvil, frame(kSelf, kPeer), Metric::kDropSourceCheck);
  expect_dropped(kEvil,
                 write_ethernet(mac_of(kSelf), mac_of(kEvil), EtherType::kIpv6,
                                ipv6_packet(six(kPeer), six(kSelf), kTcp, Bytes(20))),
                 Metric::kDropSourceCheck);
  expect_dropped(kEvil, frame(kPeer, kEvil), Metric::kDropNotMine);
  leased_ = false;
  expect_dropped(kPeer, frame(kSelf, kPeer), Metric::kDropNotMine);
}

TEST_F(Ipv6Test, WhatConfiguresHostsIsNeverTaken) {
  // Router and neighbour messages, redirects, renumbering; an echo request is fine.
  for (int type : {133, 134, 135, 136, 137, 138, 141, 148}) {
    Bytes message(24);
    message[0] = static_cast<std::uint8_t>(type);
    expect_dropped(kPeer, frame(kSelf, kPeer, 58, message), Metric::kDropFrameKind);
    // Behind extension headers, too: hop by hop, options, a first fragment.
    for (const std::uint8_t extension : {0, 60, 44}) {
      Bytes hidden(8);
      hidden[0] = 58;
      hidden.insert(hidden.end(), message.begin(), message.end());
      expect_dropped(kPeer, frame(kSelf, kPeer, extension, hidden), Metric::kDropFrameKind);
    }
  }
  Bytes dhcp(20);
  put_big_endian(dhcp.data(), 547, 2);
  expect_dropped(kPeer, frame(kSelf, kPeer, 17, dhcp), Metric::kDropFrameKind);
  Bytes routing(8);
  routing[0] = kTcp;
  expect_dropped(kPeer, frame(kSelf, kPeer, 43, routing), Metric::kDropFrameKind);
  Bytes endless(16);  // an options header of options headers
  endless[0] = endless[8] = 60;
  expect_dropped(kPeer, frame(kSelf, kPeer, 60, endless), Metric::kDropFrameKind);
  Bytes echo(8);
  echo[0] = 128;
  inbound_.take(kPeer, frame(kSelf, kPeer, 58, echo));
  Bytes later(16);  // what a later fragment holds says nothing
  later[0] = 58;
  later[3] = 8;
  later[8] = 134;
  inbound_.take(kPeer, frame(kSelf, kPeer, 44, later));
  EXPECT_EQ(to_host_.size(), 2u);
}

TEST_F(Ipv6Test, CutAnywhereItIsNoneAndPaddingIsCutOff) {
  const Bytes whole = frame(kSelf, kPeer);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    expect_dropped(kPeer, Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n)),
                   Metric::kDropFrameKind);
  }
  Bytes padded = whole;
  padded.resize(100);
  inbound_.take(kPeer, padded);
  EXPECT_EQ(to_host_, std::vector<Bytes>{whole});
}

TEST_F(Ipv6Test, ASolicitationFromElsewhereIsNone) {
  outbound_.take(solicitation(six(kPeer), six(kSelf), 254), 0);  // it was passed on
  pass();
  EXPECT_TRUE(to_host_.empty());
  EXPECT_EQ(count(Metric::kDropFrameKind), 1u);
}

TEST_F(Ipv6Test, WhatDoesNotFitIsAnsweredAboveTheLeastMtu) {
  outbound_.take(frame(kPeer, kSelf), 0);
  pass();
  to_node_.clear();
  frame_max_ = 1319;
  outbound_.take(frame(kPeer, kSelf, kTcp, Bytes(1265)), 0);  // 1305 bytes fit
  EXPECT_EQ(to_node_.size(), 1u);
  outbound_.take(frame(kPeer, kSelf, kTcp, Bytes(1266)), 0);
  ASSERT_EQ(to_host_.size(), 1u);
  const auto answer = Ipv6View::parse(EthernetView::parse(to_host_[0])->payload);
  EXPECT_EQ(answer->source, six(kPeer));
  EXPECT_EQ(answer->payload[0], 2);
  EXPECT_EQ(get_big_endian(answer->payload.data() + 4, 4), 1305u);
  EXPECT_LE(answer->total_bytes, 1280u);
  // A narrower way still has to carry 1280 (RFC 8200, 5).
  frame_max_ = 1000;
  outbound_.take(frame(kPeer, kSelf, kTcp, Bytes(1240)), 0);
  EXPECT_EQ(to_node_.size(), 2u);
  outbound_.take(frame(kPeer, kSelf, kTcp, Bytes(1241)), 0);
  ASSERT_EQ(to_host_.size(), 2u);
  EXPECT_EQ(get_big_endian(
                Ipv6View::parse(EthernetView::parse(to_host_[1])->payload)->payload.data() + 4, 4),
            1280u);
  EXPECT_FALSE(write_too_big(to_host_[1], 1200)) << "no errors about errors";
}

// --- Guests on bridges ---

TEST_F(Ipv6Test, NoHostsOwnAddressIsAmongThoseOfGuests) {
  std::array<std::uint8_t, Address::kBytes> bytes{};
  bytes.fill(7);
  bytes[0] = bytes[1] = 0;
  const Address low = Address::from_bytes(bytes);
  EXPECT_FALSE(guest_ipv6_prefix(subnet6_).contains(six(low)));
  ring_.members.push_back(low);  // and is found all the same
  outbound_.take(frame(low, kSelf), 0);
  pass();
  pass();
  ASSERT_EQ(to_node_.size(), 1u);
  EXPECT_EQ(to_node_[0].first, low);
  bytes[1] = 1;
  EXPECT_EQ(six(Address::from_bytes(bytes)), six(low)) << "one more of 2^80";
}

TEST_F(Ipv6Test, AHostFindsAGuestByItsRecord) {
  set_guest(guest(5), kPeer);
  outbound_.take(solicitation(guest(5), six(kSelf)), 0);
  outbound_.take(between(kGuest, guest(5), mac_of(kSelf), six(kSelf)), 0);
  pass();
  EXPECT_EQ(to_host_, std::vector<Bytes>{write_neighbour_advertisement(mac_of(kSelf), six(kSelf),
                                                                       guest(5), kGuest, true)});
  ASSERT_EQ(to_node_.size(), 1u);
  EXPECT_EQ(to_node_[0], std::pair(kPeer, between(kGuest, guest(5), mac_of(kSelf), six(kSelf))));
  EXPECT_EQ(ring_.located, 0);
  // It has moved: the host's kernel hears of it.
  to_host_.clear();
  outbound_.announce({guest(5), kEvil, "", {}, kGuest});
  EXPECT_EQ(to_host_, std::vector<Bytes>{write_neighbour_advertisement(mac_of(kSelf), six(kSelf),
                                                                       guest(5), kGuest, false)});
}

TEST_F(Ipv6Test, AGuestsPacketsAreTakenFromItsHostAlone) {
  set_guest(guest(5), kPeer);
  const Bytes packet = between(mac_of(kSelf), six(kSelf), kGuest, guest(5));
  inbound_.take(kPeer, packet);
  pass();
  EXPECT_EQ(to_host_, std::vector<Bytes>{packet});
  to_host_.clear();
  expect_dropped(kEvil, packet, Metric::kDropSourceCheck);
  expect_dropped(kPeer, between(mac_of(kSelf), six(kSelf), {2, 9, 9, 9, 9, 9}, guest(5)),
                 Metric::kDropSourceCheck);
  // Nobody's.
  for (const IpAddress& source : {guest(6), ip("2001:db8::1")}) {
    inbound_.take(kPeer, between(mac_of(kSelf), six(kSelf), kGuest, source));
    pass();
  }
  EXPECT_EQ(count(Metric::kDropSourceCheck), 4u);
  EXPECT_TRUE(to_host_.empty());
}

TEST_F(Ipv6Test, WhatIsForAGuestHereGetsThereAndForOneThatLeftIsAnswered) {
  guest_here_ = guest(5);
  const Bytes packet = between(kGuest, guest(5), mac_of(kPeer), six(kPeer));
  inbound_.take(kPeer, packet);
  EXPECT_EQ(to_guest_, std::vector<Bytes>{packet});
  guest_here_ = {};
  expect_dropped(kPeer, packet, Metric::kDropNotMine);
  EXPECT_EQ(not_mine_, std::vector{guest(5)});
  // A host's own address does not move.
  expect_dropped(kPeer, between(mac_of(kSelf), six(kEvil), mac_of(kPeer), six(kPeer)),
                 Metric::kDropNotMine);
  EXPECT_EQ(not_mine_.size(), 1u);
}

}  // namespace
}  // namespace wow
