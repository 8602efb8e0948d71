#include "tap/dhcp.h"

#include <gtest/gtest.h>

#include <map>

#include "tap/mac_address.h"
#include "tests/tap/fake_pool.h"

namespace wow {
namespace {

using Type = DhcpMessage::Type;
constexpr MacAddress kGuest = {0x52, 0x54, 0, 0, 0, 1}, kOther = {0x52, 0x54, 0, 0, 0, 2};

struct Question {
  Type type = Type::kDiscover;
  std::string client_ip = "0.0.0.0";
  std::optional<std::string> requested = {}, server = {};
  std::uint16_t flags = 0;
  MacAddress mac = kGuest;
};

Bytes write(const Question& q) {
  Writer out;
  out.u8(1).u8(1).u8(6).u8(0).u32(77).u16(0).u16(q.flags).bytes(ip(q.client_ip).bytes());
  out.bytes(Bytes(12)).bytes(q.mac).bytes(Bytes(10 + 192)).u32(0x63825363);
  out.u8(53).u8(1).u8(static_cast<std::uint8_t>(q.type));
  if (q.requested) out.u8(50).u8(4).bytes(ip(*q.requested).bytes());
  if (q.server) out.u8(54).u8(4).bytes(ip(*q.server).bytes());
  return out.u8(255).take();
}

class DhcpTest : public testing::Test {
 protected:
  void ask(const Question& q) { server_.take(q.mac, write(q)); }
  // Of the last answer: its type, "your address", and an option.
  ByteView payload() const {
    const auto ip = Ipv4View::parse(EthernetView::parse(answers_.back())->payload);
    return UdpView::parse(ip->payload)->payload;
  }
  Type type() const { return Type{payload()[242]}; }
  IpAddress yours() const { return *IpAddress::from_bytes(payload().subspan(16, 4)); }
  Bytes option(std::uint8_t code) const {
    ByteView left = payload().subspan(240);
    while (left[0] != code) {
      if (left[0] == 255) return {};
      left = left.subspan(2u + left[1]);
    }
    return to_bytes(left.subspan(2, left[1]));
  }

  ManualClock clock_;
  MetricSlot metrics_;
  std::map<IpAddress, MacAddress> taken_;
  std::vector<Bytes> answers_;
  DhcpServer server_{
      {ip("10.128.255.254"), *Prefix::parse("10.128.0.0/16"), "lab.internal", 1380, 30min},
      kServiceMac,
      clock_,
      metrics_,
      {.held = [this](auto& mac) -> std::optional<IpAddress> {
         for (const auto& [ip, holder] : taken_) {
           if (holder == mac) return ip;
         }
         return std::nullopt;
       },
       .is_leasable = [](auto& ip) { return ip.text().starts_with("10.128."); },
       .is_free = [this](auto& ip, auto done) { done(!taken_.contains(ip)); },
       .take = [this](auto& mac, auto& ip,
                      auto done) { done(taken_.try_emplace(ip, mac).first->second == mac); },
       .give_back =
           [this](auto& mac, auto& ip) {
             if (taken_.contains(ip) && taken_[ip] == mac) taken_.erase(ip);
           },
       .to_lan = [this](ByteView frame) { answers_.push_back(to_bytes(frame)); }}};
};

TEST_F(DhcpTest, AGuestGetsAnAddressTheMtuAndTheDns) {
  ask({});
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ(type(), Type::kOffer);
  const IpAddress offered = yours();
  EXPECT_TRUE(taken_.empty()) << "an offer takes nothing";
  ask({.type = Type::kRequest, .requested = offered.text(), .server = "10.128.255.254"});
  EXPECT_EQ(type(), Type::kAck);
  EXPECT_EQ(yours(), offered);
  EXPECT_EQ(taken_.at(offered), kGuest);
  EXPECT_EQ(to_hex(option(1)), "ffff0000");
  EXPECT_EQ(to_hex(option(26)), "0564");
  EXPECT_EQ(to_hex(option(51)), "00000708");
  EXPECT_EQ(to_hex(option(6)), "0a80fffe");
  EXPECT_EQ(to_string(option(15)), "lab.internal");
  EXPECT_TRUE(option(3).empty()) << "the pool leads nowhere else";
  const auto ethernet = EthernetView::parse(answers_.back());
  EXPECT_EQ(ethernet->destination, kGuest);
  EXPECT_EQ(Ipv4View::parse(ethernet->payload)->destination, offered);
}

TEST_F(DhcpTest, TheSameMacIsOfferedTheSameAndAnotherAnother) {
  ask({});
  const IpAddress first = yours();
  ask({});
  EXPECT_EQ(yours(), first);
  ask({.mac = kOther});
  EXPECT_NE(yours(), first);
  taken_[first] = kOther;
  ask({});
  EXPECT_NE(yours(), first);
}

TEST_F(DhcpTest, AWishIsGrantedIfItIsFree) {
  ask({.requested = "10.128.7.7"});
  EXPECT_EQ(yours(), ip("10.128.7.7"));
  taken_[ip("10.128.7.7")] = kOther;
  ask({.requested = "10.128.7.7"});
  EXPECT_NE(yours(), ip("10.128.7.7"));
  ask({.requested = "192.168.1.7"});
  EXPECT_TRUE(yours().text().starts_with("10.128."));
}

TEST_F(DhcpTest, WhatIsAnothersIsRefusedToAll) {
  taken_[ip("10.128.7.7")] = kOther;
  for (const char* wanted : {"10.128.7.7", "192.168.1.1"}) {
    ask({.type = Type::kRequest, .requested = wanted});
    EXPECT_EQ(type(), Type::kNak);
    EXPECT_EQ(EthernetView::parse(answers_.back())->destination[0], 0xff);
  }
  answers_.clear();
  ask({.type = Type::kRequest, .requested = "10.128.9.9", .server = "192.168.1.1"});
  EXPECT_TRUE(answers_.empty()) << "another server's offer";
  EXPECT_EQ(taken_.size(), 1u);
}

TEST_F(DhcpTest, RenewsReleasesAndPassesOverWhatWasDeclined) {
  ask({.type = Type::kRequest, .requested = "10.128.7.7"});
  ask({.type = Type::kRequest, .client_ip = "10.128.7.7"});
  EXPECT_EQ(type(), Type::kAck);
  ask({.type = Type::kRelease, .client_ip = "10.128.7.7"});
  EXPECT_TRUE(taken_.empty());
  ask({.type = Type::kDecline, .requested = "10.128.7.7"});
  ask({.requested = "10.128.7.7"});
  EXPECT_NE(yours(), ip("10.128.7.7"));
  ask({.type = Type::kInform, .client_ip = "10.128.7.8"});
  EXPECT_EQ(type(), Type::kAck);
  EXPECT_TRUE(option(51).empty());
}

TEST_F(DhcpTest, ABroadcastIsSentWhereOneIsAskedFor) {
  ask({.flags = 0x8000});
  EXPECT_EQ(EthernetView::parse(answers_.back())->destination[0], 0xff);
}

TEST_F(DhcpTest, NobodyAsksForAnotherAndNotTooOften) {
  server_.take(kOther, write({}));
  EXPECT_TRUE(answers_.empty());
  EXPECT_EQ(metrics_.get(Metric::kDropSourceCheck), 1u);
  for (int i = 0; i < 1000; ++i) ask({});
  EXPECT_LE(answers_.size(), 2u * DhcpServer::kQuestionsPerSecond);
  EXPECT_GT(metrics_.get(Metric::kDropRateLimited), 800u);
}

TEST_F(DhcpTest, CutAnywhereItIsNone) {
  const Bytes whole = write({.requested = "10.128.7.7"});
  ASSERT_TRUE(DhcpMessage::parse(whole));
  // Without its last byte, the end mark, it is whole.
  for (std::size_t n = 0; n + 1 < whole.size(); ++n) {
    const auto cut = DhcpMessage::parse(ByteView(whole).first(n));
    EXPECT_TRUE(!cut || !cut->requested) << n;
  }
  for (const std::size_t at : {0, 1, 2, 24, 236}) {  // a reply, hardware, a relay, the cookie
    Bytes bad = whole;
    bad[at] ^= 0x41;
    EXPECT_FALSE(DhcpMessage::parse(bad)) << at;
  }
}

}  // namespace
}  // namespace wow
