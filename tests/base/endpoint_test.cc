#include "base/endpoint.h"

#include <gtest/gtest.h>

#include <set>

namespace wow {
namespace {

IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }
Prefix prefix(std::string_view text) { return *Prefix::parse(text); }

TEST(IpAddress, TextGoesThereAndBack) {
  for (const char* text :
       {"0.0.0.0", "10.128.0.9", "255.255.255.255", "::", "::1", "2001:db8::7", "fe80::1:2:3:4"}) {
    EXPECT_EQ(ip(text).text(), text);
  }
  EXPECT_EQ(ip("2001:DB8:0:0::7"), ip("2001:db8::7"));
}

TEST(IpAddress, RefusesWhatIsNone) {
  for (const std::string_view text :
       {std::string_view(""), std::string_view("10.1.2"), std::string_view("10.1.2.256"),
        std::string_view("010.1.2.3 "), std::string_view("1.2.3.4/8"),
        std::string_view("fe80::1%eth0"), std::string_view(":::"), std::string_view("localhost"),
        std::string_view("10.1.2.3\0x", 10)}) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
}

TEST(IpAddress, IPv4IsItselfInMappedForm) {
  EXPECT_EQ(ip("::ffff:10.1.2.3"), ip("10.1.2.3"));
  EXPECT_TRUE(ip("::ffff:10.1.2.3").is_v4());
  EXPECT_EQ(ip("10.1.2.3").v4_value(), 0x0a010203u);
  EXPECT_EQ(to_hex(ip("10.1.2.3").bytes()), "0a010203");
  EXPECT_EQ(ip("10.1.2.3").mapped().size(), 16u);
  EXPECT_FALSE(ip("2001:db8::7").is_v4());
  EXPECT_EQ(IpAddress::from_bytes(ip("2001:db8::7").bytes()), ip("2001:db8::7"));
  EXPECT_FALSE(IpAddress::from_bytes(Bytes(5)));
}

TEST(IpAddress, KnowsItsScope) {
  for (const char* text : {"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
                           "100.127.0.1", "fd00::1", "fc00::1"}) {
    EXPECT_TRUE(ip(text).is_private()) << text;
  }
  for (const char* text : {"11.0.0.1", "172.15.0.1", "172.32.0.1", "192.169.0.1", "100.63.0.1",
                           "100.128.0.1", "2001:db8::1", "fe80::1"}) {
    EXPECT_FALSE(ip(text).is_private()) << text;
  }
  for (const char* text : {"127.0.0.1", "127.9.9.9", "::1"})
    EXPECT_TRUE(ip(text).is_loopback()) << text;
  for (const char* text : {"128.0.0.1", "::2", "::"}) EXPECT_FALSE(ip(text).is_loopback()) << text;
  for (const char* text : {"224.0.0.1", "239.1.1.1", "255.255.255.255", "ff02::1"}) {
    EXPECT_TRUE(ip(text).is_multicast()) << text;
  }
  for (const char* text : {"223.0.0.1", "240.0.0.1", "fe02::1"})
    EXPECT_FALSE(ip(text).is_multicast()) << text;
  for (const char* text : {"169.254.169.254", "fe80::1", "febf::1"})
    EXPECT_TRUE(ip(text).is_link_local()) << text;
  for (const char* text : {"169.253.0.1", "fec0::1"})
    EXPECT_FALSE(ip(text).is_link_local()) << text;
  for (const char* text : {"0.0.0.0", "::"}) EXPECT_TRUE(ip(text).is_unspecified()) << text;
  EXPECT_FALSE(ip("0.0.0.1").is_unspecified());
}

TEST(Prefix, TextAndBounds) {
  for (const char* text :
       {"0.0.0.0/0", "10.128.0.0/16", "10.1.2.3/32", "2001:db8::/32", "::/0", "::1/128"}) {
    EXPECT_EQ(prefix(text).text(), text);
  }
  for (const char* text : {"10.128.0.0", "10.128.0.1/16", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/",
                           "/8", "10.0.0.0/8x", "2001:db8::1/64", "::/129"}) {
    EXPECT_FALSE(Prefix::parse(text)) << text;
  }
}

TEST(Prefix, ContainsItsAddressesOnly) {
  EXPECT_TRUE(prefix("10.128.0.0/9").contains(ip("10.255.255.255")));
  EXPECT_FALSE(prefix("10.128.0.0/9").contains(ip("10.127.255.255")));
  EXPECT_TRUE(prefix("0.0.0.0/0").contains(ip("1.2.3.4")));
  EXPECT_FALSE(prefix("0.0.0.0/0").contains(ip("2001:db8::1")));
  EXPECT_FALSE(prefix("::/0").contains(ip("1.2.3.4")));
  EXPECT_TRUE(prefix("2001:db8::/33").contains(ip("2001:db8:7fff::")));
  EXPECT_FALSE(prefix("2001:db8::/33").contains(ip("2001:db8:8000::")));
}

TEST(Prefix, OverlapsWhereOneHoldsTheOther) {
  EXPECT_TRUE(prefix("10.0.0.0/8").overlaps(prefix("10.128.0.0/16")));
  EXPECT_TRUE(prefix("10.128.0.0/16").overlaps(prefix("10.0.0.0/8")));
  EXPECT_FALSE(prefix("10.128.0.0/16").overlaps(prefix("10.129.0.0/16")));
}

TEST(Prefix, CountsItsAddresses) {
  EXPECT_EQ(prefix("10.128.0.0/16").size(), 65536u);
  EXPECT_EQ(prefix("10.1.2.3/32").size(), 1u);
  EXPECT_EQ(prefix("0.0.0.0/0").size(), std::uint64_t{1} << 32);
  EXPECT_EQ(prefix("10.128.0.0/16").at(258).text(), "10.128.1.2");
}

TEST(Endpoint, TextGoesThereAndBack) {
  for (const char* text : {"198.51.100.7:4433", "[2001:db8::7]:65535", "[::]:1"}) {
    EXPECT_EQ(Endpoint::parse(text)->text(), text);
  }
  for (const char* text :
       {"198.51.100.7", "198.51.100.7:", "198.51.100.7:0", "198.51.100.7:65536", "198.51.100.7:-1",
        "198.51.100.7:44 ", "2001:db8::7:4433", "[198.51.100.7]:4433", "[2001:db8::7]", "[]:1",
        ":4433", "", "host:4433"}) {
    EXPECT_FALSE(Endpoint::parse(text)) << text;
  }
}

TEST(Endpoint, BytesGoThereAndBack) {
  const Endpoint v4 = *Endpoint::parse("198.51.100.7:4433"),
                 v6 = *Endpoint::parse("[2001:db8::7]:4433");
  EXPECT_EQ(to_hex(v4.bytes()), "c63364071151");
  EXPECT_EQ(to_hex(v6.bytes()), "20010db80000000000000000000000071151");
  EXPECT_EQ(Endpoint::from_bytes(v4.bytes()), v4);
  EXPECT_EQ(Endpoint::from_bytes(v6.bytes()), v6);
  for (std::size_t size = 0; size < 24; ++size) {
    EXPECT_EQ(Endpoint::from_bytes(Bytes(size)).has_value(), size == 6 || size == 18);
  }
  EXPECT_FALSE(Endpoint().is_set());
}

TEST(Endpoint, StreamsAreEndpointsOfTheirOwn) {
  const Endpoint udp = *Endpoint::parse("198.51.100.7:4433"),
                 tcp = *Endpoint::parse("tcp://198.51.100.7:4433"),
                 tls = *Endpoint::parse("tls://[2001:db8::7]:443");
  EXPECT_TRUE(tcp.is_stream() && tls.is_stream() && !udp.is_stream());
  EXPECT_NE(tcp, udp);
  EXPECT_NE(EndpointHash()(tcp), EndpointHash()(udp));
  EXPECT_EQ(tcp.text(), "tcp://198.51.100.7:4433");
  EXPECT_EQ(tls.text(), "tls://[2001:db8::7]:443");
  EXPECT_EQ(to_hex(tcp.bytes()), "c6336407115101");
  EXPECT_EQ(to_hex(tls.bytes()), "20010db800000000000000000000000701bb02");
  EXPECT_EQ(Endpoint::from_bytes(tcp.bytes()), tcp);
  EXPECT_EQ(Endpoint::from_bytes(tls.bytes()), tls);
}

TEST(Endpoint, WhoeverDialledUsCannotBeNamedToOthers) {
  Endpoint accepted = *Endpoint::parse("198.51.100.7:50000");
  accepted.carrier = Carrier::kAccepted;
  EXPECT_FALSE(accepted.can_be_dialled());
  EXPECT_FALSE(Endpoint::from_bytes(accepted.bytes()));
  EXPECT_FALSE(Endpoint::parse(accepted.text()));
  Bytes unknown = accepted.bytes();
  unknown.back() = 9;
  EXPECT_FALSE(Endpoint::from_bytes(unknown));
  unknown.back() = 0;
  EXPECT_FALSE(Endpoint::from_bytes(unknown)) << "UDP has one form only";
}

TEST(Endpoint, HashTellsNeighboursApart) {
  std::set<std::size_t> hashes;
  for (std::uint16_t port = 1; port <= 100; ++port) {
    for (std::uint32_t host = 0; host < 100; ++host) {
      hashes.insert(EndpointHash()(Endpoint{IpAddress::v4(0x0a000000 + host), port}));
    }
  }
  EXPECT_GT(hashes.size(), 9990u);
}

}  // namespace
}  // namespace wow
