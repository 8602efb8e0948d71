// A TAP with an address in the host's own network stack: packets go out and in, an address that
// stays is not disturbed, default routes do not collide. Skipped where no TAP may be made.
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

#include "tap/linux/netlink.h"
#include "tap/linux/tap_device.h"
#include "tap/packet_view.h"

namespace wow {
namespace {

constexpr MacAddress kMac = {2, 1, 2, 3, 4, 5};
const Prefix kSubnet = *Prefix::parse("10.128.0.0/16");

IpAddress ip(const char* text) { return *IpAddress::parse(text); }

// Runs one of iproute2's commands; true if it succeeded.
bool run(const std::string& command) { return std::system(command.c_str()) == 0; }

class TrafficTest : public testing::Test {
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

TEST_F(TrafficTest, TheSameAddressAgainDisturbsNothing) {
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

TEST_F(TrafficTest, TheHostsPacketsComeOutAndOursGoIn) {
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

TEST_F(TrafficTest, WiderRoutesCollideAndDefaultsInAnyFormDoNot) {
  ASSERT_TRUE(run("ip link add eth7 type veth peer name far7 && ip link set eth7 up"));
  EXPECT_FALSE(colliding_route(kSubnet)->has_value());
  ASSERT_TRUE(run("ip addr add 192.0.2.1/24 dev eth7 && ip route add default via 192.0.2.2"));
  ASSERT_TRUE(run("ip route add 0.0.0.0/1 via 192.0.2.2"));
  EXPECT_FALSE(colliding_route(kSubnet)->has_value());
  ASSERT_TRUE(run("ip route add 10.0.0.0/8 via 192.0.2.2"));
  EXPECT_EQ(*colliding_route(kSubnet), "10.0.0.0/8 on eth7");
}

}  // namespace
}  // namespace wow
