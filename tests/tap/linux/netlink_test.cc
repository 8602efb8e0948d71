#include "tap/linux/netlink.h"

#include <gtest/gtest.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <poll.h>

#include "base/asio/udp_socket.h"
#include "tap/linux/tap_device.h"

namespace wow {
namespace {

const Prefix kSubnet = *Prefix::parse("10.128.0.0/16");
const IpAddress kFirst = *IpAddress::parse("10.128.0.7"), kSecond = *IpAddress::parse("10.128.9.1");

// IPv4 addresses of an interface with their netmasks, "10.128.0.7/255.255.0.0".
std::vector<std::string> addresses_of(const std::string& interface) {
  const auto text = [](const sockaddr* address) {
    return IpAddress::v4(ntohl(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr))
        .text();
  };
  std::vector<std::string> out;
  ifaddrs* list = nullptr;
  EXPECT_EQ(getifaddrs(&list), 0);
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_name == interface && entry->ifa_addr && entry->ifa_addr->sa_family == AF_INET) {
      EXPECT_TRUE(entry->ifa_flags & IFF_UP);
      out.push_back(text(entry->ifa_addr) + "/" + text(entry->ifa_netmask));
    }
  }
  freeifaddrs(list);
  return out;
}

TapDevice open_tap(const std::string& name) {
  return TapDevice::open(name, {2, 0, 0, 0, 0, 1}, 1380, 1).value();
}

TEST(Interface, HasOneAddressAtATime) {
  const TapDevice tap = open_tap("wow-lab");
  ASSERT_TRUE(configure_interface(tap.index(), kFirst, kSubnet));
  EXPECT_EQ(addresses_of("wow-lab"), std::vector<std::string>{"10.128.0.7/255.255.0.0"});
  ASSERT_TRUE(configure_interface(tap.index(), kFirst, kSubnet)) << "the same again";
  ASSERT_TRUE(configure_interface(tap.index(), kSecond, kSubnet));
  EXPECT_EQ(addresses_of("wow-lab"), std::vector<std::string>{"10.128.9.1/255.255.0.0"});
  ASSERT_TRUE(clear_interface(tap.index()));
  EXPECT_TRUE(addresses_of("wow-lab").empty());
}

TEST(Interface, OthersAddressesStay) {
  const TapDevice ours = open_tap("wow-lab"), other = open_tap("eth7");
  ASSERT_TRUE(configure_interface(other.index(), kSecond, kSubnet));
  ASSERT_TRUE(configure_interface(ours.index(), kFirst, kSubnet));
  ASSERT_TRUE(clear_interface(ours.index()));
  EXPECT_EQ(addresses_of("eth7").size(), 1u);
}

TEST(Interface, OneThatIsNotThereIsAnError) {
  const auto done = configure_interface(9999, kFirst, kSubnet);
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find("10.128.0.7"), std::string::npos);
}

TEST(Interface, OursIsNoPlaceForPeersToReachUs) {
  const TapDevice ours = open_tap("wow-lab"), other = open_tap("eth7");
  ASSERT_TRUE(configure_interface(ours.index(), kFirst, kSubnet));
  ASSERT_TRUE(configure_interface(other.index(), *IpAddress::parse("192.0.2.4"),
                                  *Prefix::parse("192.0.2.0/24")));
  const auto local = local_addresses();
  EXPECT_NE(std::find(local.begin(), local.end(), *IpAddress::parse("192.0.2.4")), local.end());
  EXPECT_EQ(std::find(local.begin(), local.end(), kFirst), local.end());
}

TEST(CollidingRoute, IsNamedWithItsInterface) {
  EXPECT_EQ(colliding_route(kSubnet).value(), std::nullopt);
  const TapDevice lan = open_tap("eth7");
  ASSERT_TRUE(configure_interface(lan.index(), *IpAddress::parse("10.128.4.1"),
                                  *Prefix::parse("10.128.4.0/22")));
  EXPECT_EQ(colliding_route(kSubnet).value(), "10.128.4.0/22 on eth7") << "inside ours";
  EXPECT_EQ(colliding_route(*Prefix::parse("10.128.6.0/24")).value(), "10.128.4.0/22 on eth7")
      << "around ours";
  EXPECT_EQ(colliding_route(*Prefix::parse("10.128.8.0/22")).value(), std::nullopt);
}

TEST(CollidingRoute, AnotherPoolWithTheSameSubnetCollides) {
  const TapDevice other = open_tap("wow-lab2");
  ASSERT_TRUE(configure_interface(other.index(), kFirst, kSubnet));
  EXPECT_EQ(colliding_route(kSubnet).value(), "10.128.0.0/16 on wow-lab2");
}

class NetworkMonitorTest : public testing::Test {
 protected:
  // A namespace makes some changes of its own at its beginning: they are read first.
  void SetUp() override { monitor_.drain(ours_.index()); }
  bool heard() {
    pollfd wait{monitor_.fd(), POLLIN, 0};
    return poll(&wait, 1, 5000) == 1;
  }

  TapDevice ours_ = open_tap("wow-lab"), other_ = open_tap("eth7");
  NetworkMonitor monitor_ = std::move(NetworkMonitor::open().value());
};

TEST_F(NetworkMonitorTest, HearsOfAnotherInterface) {
  ASSERT_TRUE(configure_interface(other_.index(), kFirst, kSubnet));
  ASSERT_TRUE(heard());
  EXPECT_TRUE(monitor_.drain(ours_.index()));
  EXPECT_FALSE(monitor_.drain(ours_.index())) << "once";
}

TEST_F(NetworkMonitorTest, OurOwnInterfaceIsNoNews) {
  ASSERT_TRUE(configure_interface(ours_.index(), kFirst, kSubnet));
  ASSERT_TRUE(heard());
  EXPECT_FALSE(monitor_.drain(ours_.index()));
}

TEST_F(NetworkMonitorTest, AnInterfaceThatComesOrGoesIsNews) {
  {
    const TapDevice comes = open_tap("eth8");
    ASSERT_TRUE(heard());
    EXPECT_TRUE(monitor_.drain(ours_.index()));
  }
  ASSERT_TRUE(heard());
  EXPECT_TRUE(monitor_.drain(ours_.index()));
}

TEST_F(NetworkMonitorTest, ManyChangesAtOnceAreNotLost) {
  // More than the socket's buffer holds.
  for (std::uint32_t i = 0; i < 400; ++i) {
    ASSERT_TRUE(configure_interface(other_.index(), IpAddress::v4(0x0a800001 + i), kSubnet));
  }
  EXPECT_TRUE(monitor_.drain(ours_.index()));
}

}  // namespace
}  // namespace wow
