#include "tap/dns.h"

#include <gtest/gtest.h>

#include "dht/inner_ipv6.h"
#include "tests/tap/fake_pool.h"

namespace wow {
namespace {

constexpr std::uint16_t kMx = 15;

Bytes query(const std::string& name, std::uint16_t type, std::uint16_t flags = 0x0100) {
  Writer out;
  out.u16(0x1234).u16(flags).u16(1).u16(0).u32(0).bytes(*write_dns_name(name)).u16(type).u16(1);
  return out.take();
}

class DnsTest : public testing::Test {
 protected:
  DnsTest() {
    dht_.set_lease("10.128.0.2", node_address(2), "alpha");
    dht_.set_name("alpha", node_address(2), "10.128.0.2");
  }
  Bytes ask(const Bytes& question) {
    Bytes reply;
    dns_.ask(question, [&](const Bytes& answer) { reply = answer; });
    clock_.run_for(1s);
    return reply;
  }
  static int code(const Bytes& reply) { return reply.size() < 12 ? -1 : reply[3] & 0x0f; }
  static int answers(const Bytes& reply) { return reply.size() < 12 ? -1 : reply[7]; }

  ManualClock clock_;
  FakeDht dht_{clock_};
  DhtCalls calls_ = dht_.calls_for(node_address(1));
  Resolver resolver_{*Prefix::parse("10.128.0.0/16"), calls_, clock_, [](const Address&) {}};
  Prefix subnet6_ = *Prefix::parse("fd12:3456:789a::/48");
  Directory directory_{calls_, resolver_, clock_, "lab", subnet6_};
  DnsResponder dns_{"lab", *Prefix::parse("10.128.0.0/16"), subnet6_, directory_};
};

TEST_F(DnsTest, AnswersANameByteForByte) {
  const Bytes question = query("Alpha.lab.internal", DnsQuestion::kA);
  Bytes expected = concat({*from_hex("123485000001000100000000"), ByteView(question).subspan(12),
                           *from_hex("c00c000100010000001e00040a800002")});
  EXPECT_EQ(to_hex(ask(question)), to_hex(expected));
}

TEST(DnsName, HasAtMost255Bytes) {
  std::string name = "a";
  while (name.size() < 253) name += ".a";
  EXPECT_EQ(write_dns_name(name)->size(), 255u);
  EXPECT_FALSE(write_dns_name(name + ".a"));
  EXPECT_FALSE(write_dns_name("a." + std::string(64, 'a')));
}

TEST_F(DnsTest, AnswersAnAddressWithItsName) {
  const Bytes reply = ask(query("2.0.128.10.in-addr.arpa", DnsQuestion::kPtr));
  EXPECT_EQ(answers(reply), 1);
  const Bytes name = *write_dns_name("alpha.lab.internal");
  EXPECT_TRUE(std::equal(name.rbegin(), name.rend(), reply.rbegin()));
}

TEST_F(DnsTest, AnswersWithTheIpv6AddressAndThatWithTheName) {
  const Bytes reply = ask(query("alpha.lab.internal", DnsQuestion::kAaaa));
  EXPECT_EQ(answers(reply), 1);
  const IpAddress six = inner_ipv6(subnet6_, node_address(2));
  EXPECT_TRUE(std::equal(six.mapped().rbegin(), six.mapped().rend(), reply.rbegin()));
  std::string reverse = "ip6.arpa";
  for (const char digit : to_hex(six.mapped())) reverse.insert(0, std::string{digit} + ".");
  EXPECT_EQ(parse_reverse_name(reverse), six);
  const Bytes back = ask(query(reverse, DnsQuestion::kPtr));
  EXPECT_EQ(answers(back), 1);
  const Bytes name = *write_dns_name("alpha.lab.internal");
  EXPECT_TRUE(std::equal(name.rbegin(), name.rend(), back.rbegin()));
  EXPECT_EQ(code(ask(query("0." + reverse, DnsQuestion::kPtr))), 5);
  reverse[0] = reverse[0] == '1' ? '2' : '1';
  EXPECT_EQ(code(ask(query(reverse, DnsQuestion::kPtr))), 3);
}

TEST_F(DnsTest, OtherTypesOfAnOwnNameAreEmptyWithoutALookUp) {
  const Bytes reply = ask(query("alpha.lab.internal", kMx));
  EXPECT_EQ(code(reply), 0);
  EXPECT_EQ(answers(reply), 0);
  EXPECT_TRUE(dht_.asked.empty());
}

TEST_F(DnsTest, WhatIsNotThereIsSaidSo) {
  EXPECT_EQ(code(ask(query("beta.lab.internal", DnsQuestion::kA))), 3);
  EXPECT_EQ(code(ask(query("a.alpha.lab.internal", DnsQuestion::kA))), 3);
  EXPECT_EQ(code(ask(query("3.0.128.10.in-addr.arpa", DnsQuestion::kPtr))), 3);
  EXPECT_EQ(code(ask(query("lab.internal", DnsQuestion::kA))), 0);
}

TEST_F(DnsTest, QuestionsOfOthersAreRefused) {
  for (const char* name : {"example.org", "alpha.other.internal", "internal", "notlab.internal",
                           "1.0.0.127.in-addr.arpa", "2.0.128.10.in-addr.arpa.org"}) {
    EXPECT_EQ(code(ask(query(name, DnsQuestion::kA))), 5) << name;
  }
  EXPECT_TRUE(dht_.asked.empty());
}

TEST_F(DnsTest, AnUnavailableDhtIsAServerFailure) {
  dht_.available = false;
  EXPECT_EQ(code(ask(query("alpha.lab.internal", DnsQuestion::kA))), 2);
}

TEST_F(DnsTest, ResponsesAndOtherOperationsAreNotAnswered) {
  for (const std::uint16_t flags : {0x8100, 0x2800, 0x0300}) {
    EXPECT_TRUE(ask(query("alpha.lab.internal", DnsQuestion::kA, flags)).empty());
  }
}

TEST_F(DnsTest, AQueryCutAnywhereIsNoQuery) {
  const Bytes whole = query("alpha.lab.internal", DnsQuestion::kA);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    EXPECT_FALSE(DnsQuestion::parse(ByteView(whole).first(n))) << n;
  }
  EXPECT_TRUE(DnsQuestion::parse(whole));
}

TEST_F(DnsTest, CompressionDotsInLabelsAndEndlessNamesAreRefused) {
  Bytes pointer = query("alpha.lab.internal", DnsQuestion::kA);
  pointer[12] = 0xc0;
  EXPECT_FALSE(DnsQuestion::parse(pointer));
  Bytes dotted = query("alphaxlab.internal", DnsQuestion::kA);
  dotted[12 + 6] = '.';
  EXPECT_FALSE(DnsQuestion::parse(dotted));
  // Eight labels of 50, which write_dns_name() would not write.
  Writer endless;
  endless.u16(0x1234).u16(0x0100).u16(1).u16(0).u32(0);
  for (int i = 0; i < 8; ++i) endless.u8(50).bytes(Bytes(50, 'a'));
  endless.u8(0).u16(DnsQuestion::kA).u16(1);
  EXPECT_FALSE(DnsQuestion::parse(endless.take()));
}

TEST_F(DnsTest, AnswersUnderWayAreBounded) {
  dht_.available = true;
  int replies = 0;
  for (int i = 0; i < 200; ++i) {
    dns_.ask(query("h" + std::to_string(i) + ".lab.internal", DnsQuestion::kA),
             [&](auto&) { ++replies; });
  }
  clock_.run_for(1s);
  EXPECT_EQ(replies, static_cast<int>(DnsResponder::kAnswersPendingMax));
  EXPECT_EQ(code(ask(query("alpha.lab.internal", DnsQuestion::kA))), 0);
}

}  // namespace
}  // namespace wow
