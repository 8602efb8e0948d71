// The real kernel: a TAP, addresses, routes. Each test owns a fresh network namespace (see
// tests/tests.bzl); where that is not permitted they are skipped.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>

#include "tap/linux/netlink.h"
#include "tap/linux/tap_device.h"
#include "tap/packet_view.h"

namespace wow {
namespace {

constexpr MacAddress kMac = {2, 1, 2, 3, 4, 5};
const Prefix kSubnet = *Prefix::parse("10.128.0.0/16");

IpAddress ip(const char* text) { return *IpAddress::parse(text); }

std::string first_line(const std::string& path) {
  std::string line;
  std::ifstream in(path);
  std::getline(in, line);
  return line;
}

// Runs one of iproute2's commands; true if it succeeded.
bool run(const std::string& command) { return std::system(command.c_str()) == 0; }

class InterfaceTest : public testing::Test {
 protected:
  void SetUp() override {
    auto tap = TapDevice::open("wow-test", kMac, 1380, 1);
    if (!tap) GTEST_SKIP() << "no TAP here: " << tap.error().message;
    tap_ = std::make_unique<TapDevice>(std::move(*tap));
  }
  // Reads frames until one of this type comes; empty after 2 s.
  Bytes read_frame(EtherType type) {
    for (;;) {
      pollfd wait{tap_->fds()[0], POLLIN, 0};
      if (poll(&wait, 1, 2000) <= 0) return {};
      Bytes frame(2000);
      const ssize_t got = read(tap_->fds()[0], frame.data(), frame.size());
      if (got <= 0) return {};
      frame.resize(static_cast<std::size_t>(got));
      if (const auto view = EthernetView::parse(frame); view && view->type == type) return frame;
    }
  }

  std::unique_ptr<TapDevice> tap_;
};

TEST_F(InterfaceTest, HasItsMacItsMtuAndBelievesNoRouter) {
  const std::string sys = "/sys/class/net/wow-test/";
  if (access(sys.c_str(), F_OK) == 0) {
    EXPECT_EQ(first_line(sys + "address"), "02:01:02:03:04:05");
    EXPECT_EQ(first_line(sys + "mtu"), "1380");
  } else {
    EXPECT_TRUE(run("ip link show wow-test | grep -q 'mtu 1380'"));
    EXPECT_TRUE(run("ip link show wow-test | grep -q 02:01:02:03:04:05"));
  }
  const std::string conf = "/proc/sys/net/ipv6/conf/wow-test/accept_ra";
  if (access(conf.c_str(), W_OK) == 0) EXPECT_EQ(first_line(conf), "0");
}

TEST_F(InterfaceTest, VanishesWithItsOwner) {
  EXPECT_NE(if_nametoindex("wow-test"), 0u);
  tap_.reset();
  EXPECT_EQ(if_nametoindex("wow-test"), 0u);
}

TEST_F(InterfaceTest, ASecondDaemonIsToldWhoHasTheName) {
  const auto second = TapDevice::open("wow-test", kMac, 1380, 1);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kAlreadyExists);
  EXPECT_NE(second.error().message.find("wow-test"), std::string::npos);
}

TEST_F(InterfaceTest, SeveralQueuesAndALongNameThatIsCut) {
  const auto tap = TapDevice::open("wow-a-very-long-pool-name", kMac, 1380, 3);
  ASSERT_TRUE(tap) << tap.error().message;
  EXPECT_EQ(tap->fds().size(), 3u);
  EXPECT_EQ(tap->name(), "wow-a-very-long");
  EXPECT_NE(tap->index(), 0);
}

TEST_F(InterfaceTest, OneAddressAtATimeAndUp) {
  ASSERT_TRUE(configure_interface(tap_->index(), ip("10.128.0.9"), kSubnet));
  EXPECT_TRUE(run("ip -4 addr show wow-test | grep -q 'inet 10.128.0.9/16'"));
  EXPECT_TRUE(run("ip link show wow-test | grep -q UP"));
  ASSERT_TRUE(configure_interface(tap_->index(), ip("10.128.3.4"), kSubnet));
  EXPECT_FALSE(run("ip -4 addr show wow-test | grep -q 10.128.0.9"));
  EXPECT_TRUE(run("ip -4 addr show wow-test | grep -q 'inet 10.128.3.4/16'"));
  ASSERT_TRUE(clear_interface(tap_->index()));
  EXPECT_FALSE(run("ip -4 addr show wow-test | grep -q inet"));
}

TEST_F(InterfaceTest, TheSameAddressAgainDisturbsNothing) {
  ASSERT_TRUE(configure_interface(tap_->index(), ip("10.128.0.9"), kSubnet));
  auto monitor = NetworkMonitor::open();
  ASSERT_TRUE(monitor);
  ASSERT_TRUE(configure_interface(tap_->index(), ip("10.128.0.9"), kSubnet));
  // A route would have gone and come back with the address; index 0 is nobody's own.
  ASSERT_TRUE(run("ip route show table main | grep -q '10.128.0.0/16 dev wow-test'"));
  bool route_touched = false;
  std::array<std::uint8_t, 8192> buffer;
  while (recv(monitor->fd(), buffer.data(), buffer.size(), MSG_DONTWAIT) > 0) {
    route_touched |= buffer[4] == 25;  // RTM_DELROUTE
  }
  EXPECT_FALSE(route_touched);
}

TEST_F(InterfaceTest, TheHostsPacketsComeOutAndOursGoIn) {
  ASSERT_TRUE(configure_interface(tap_->index(), ip("10.128.0.9"), kSubnet));
  const int socket_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_port = htons(7777);
  ASSERT_EQ(bind(socket_fd, reinterpret_cast<sockaddr*>(&own), sizeof own), 0);
  sockaddr_in peer = own;
  inet_pton(AF_INET, "10.128.0.2", &peer.sin_addr);
  ASSERT_EQ(sendto(socket_fd, "out", 3, 0, reinterpret_cast<sockaddr*>(&peer), sizeof peer), 3);
  EXPECT_FALSE(read_frame(EtherType::kArp).empty());

  const Bytes in = write_ethernet(
      kMac, {2, 9, 9, 9, 9, 9}, EtherType::kIpv4,
      write_udp({ip("10.128.0.2"), 7777}, {ip("10.128.0.9"), 7777}, view_of("hello")));
  ASSERT_EQ(write(tap_->fds()[0], in.data(), in.size()), static_cast<ssize_t>(in.size()));
  pollfd wait{socket_fd, POLLIN, 0};
  ASSERT_EQ(poll(&wait, 1, 2000), 1);
  char text[16];
  EXPECT_EQ(recv(socket_fd, text, sizeof text, 0), 5);
  close(socket_fd);
}

TEST_F(InterfaceTest, ACollidingRouteIsNamedAndDefaultsAreNot) {
  ASSERT_TRUE(run("ip link add eth7 type veth peer name far7 && ip link set eth7 up"));
  EXPECT_FALSE(colliding_route(kSubnet)->has_value());
  ASSERT_TRUE(run("ip addr add 192.0.2.1/24 dev eth7 && ip route add default via 192.0.2.2"));
  ASSERT_TRUE(run("ip route add 0.0.0.0/1 via 192.0.2.2"));
  EXPECT_FALSE(colliding_route(kSubnet)->has_value());
  ASSERT_TRUE(run("ip addr add 10.128.4.1/22 dev eth7"));
  EXPECT_EQ(*colliding_route(kSubnet), "10.128.4.0/22 on eth7");
  ASSERT_TRUE(run("ip addr del 10.128.4.1/22 dev eth7 && ip route add 10.0.0.0/8 via 192.0.2.2"));
  EXPECT_EQ(*colliding_route(kSubnet), "10.0.0.0/8 on eth7");
}

TEST_F(InterfaceTest, AnotherPoolOfThisHostWithOurSubnetCollides) {
  ASSERT_TRUE(configure_interface(tap_->index(), ip("10.128.0.9"), kSubnet));
  EXPECT_EQ(*colliding_route(kSubnet), "10.128.0.0/16 on wow-test");
}

TEST_F(InterfaceTest, TheMonitorTellsOfOtherInterfacesOnly) {
  auto monitor = NetworkMonitor::open();
  ASSERT_TRUE(monitor);
  monitor->drain(tap_->index());
  ASSERT_TRUE(configure_interface(tap_->index(), ip("10.128.0.9"), kSubnet));
  EXPECT_FALSE(monitor->drain(tap_->index()));
  ASSERT_TRUE(run("ip link add eth8 type veth peer name far8"));
  EXPECT_TRUE(monitor->drain(tap_->index()));
  ASSERT_TRUE(run("ip addr add 192.0.2.9/24 dev eth8"));
  EXPECT_TRUE(monitor->drain(tap_->index()));
  EXPECT_FALSE(monitor->drain(tap_->index()));
  ASSERT_TRUE(run("ip link del eth8"));
  pollfd wait{monitor->fd(), POLLIN, 0};
  EXPECT_EQ(poll(&wait, 1, 2000), 1);
  EXPECT_TRUE(monitor->drain(tap_->index()));
}

}  // namespace
}  // namespace wow
