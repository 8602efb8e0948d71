// Needs a network namespace of its own, in which it may make interfaces.
#include "base/asio/lan_multicast.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <cstdlib>

namespace wow {
namespace {

class LanMulticastTest : public testing::Test {
 protected:
  void SetUp() override {
    if (std::system("ip link add lan0 type veth peer name lan1 && ip link set lan1 up && ip link "
                    "set lan0 up") != 0)
      GTEST_SKIP() << "cannot make a network interface here";
  }
  void TearDown() override { EXPECT_EQ(std::system("ip link del lan0 2>/dev/null || :"), 0); }

  struct Ear {
    std::vector<std::pair<std::string, IpAddress>> heard;
    std::unique_ptr<LanMulticast> socket;
  };
  std::unique_ptr<Ear> listen(std::uint16_t port = 4743) {
    auto ear = std::make_unique<Ear>();
    LanMulticast::Groups groups;
    groups.port = port;
    auto socket = LanMulticast::open(io_.get_executor(), groups, slot_,
                                     [e = ear.get()](MutableBytes packet, const IpAddress& from) {
                                       e->heard.emplace_back(to_string(packet), from);
                                     });
    EXPECT_TRUE(socket);
    ear->socket = std::move(*socket);
    return ear;
  }
  void run_until(const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!done() && std::chrono::steady_clock::now() < end)
      io_.run_for(std::chrono::milliseconds(5));
    EXPECT_TRUE(done());
  }

  boost::asio::io_context io_;
  Metrics metrics_;
  MetricSlot& slot_ = metrics_.add_slot();
};

TEST_F(LanMulticastTest, WithoutAnAddressNobodyIsSpokenTo) {
  ASSERT_EQ(std::system("ip -6 addr flush dev lan0; ip -6 addr flush dev lan1"), 0);
  auto ear = listen();
  ear->socket->send(view_of("hello"));
  EXPECT_EQ(slot_.get(Metric::kDatagramsOut), 0u);
}

TEST_F(LanMulticastTest, EverybodyAtThePortHearsTheSendersAddress) {
  ASSERT_EQ(std::system("ip -6 addr flush dev lan0; ip -6 addr flush dev lan1; ip addr add "
                        "192.0.2.5/24 dev lan0"),
            0);
  auto one = listen(), two = listen(), elsewhere = listen(4744);
  one->socket->send(view_of("hello"));
  run_until([&] { return two->heard.size() == 1; });
  EXPECT_EQ(two->heard.front().first, "hello");
  EXPECT_EQ(two->heard.front().second, *IpAddress::parse("192.0.2.5"));
  EXPECT_EQ(one->heard.size(), 1u) << "and itself, which whoever seals must expect";
  EXPECT_TRUE(elsewhere->heard.empty());
}

TEST_F(LanMulticastTest, AnInterfaceThatComesLaterIsTakenAtTheNextLook) {
  auto one = listen(), two = listen();
  ASSERT_EQ(std::system("ip -6 addr flush dev lan0; ip -6 addr flush dev lan1; ip addr add "
                        "192.0.2.5/24 dev lan0"),
            0);
  one->socket->refresh();
  two->socket->refresh();
  one->socket->send(view_of("now"));
  run_until([&] { return two->heard.size() == 1; });
}

TEST_F(LanMulticastTest, Ipv6ComesFromALinkLocalAddress) {
  if (std::system("ip -6 addr add fe80::77/64 dev lan0 nodad 2>/dev/null") != 0)
    GTEST_SKIP() << "no IPv6 here";
  auto one = listen(), two = listen();
  one->socket->send(view_of("six"));
  run_until([&] { return !two->heard.empty(); });
  EXPECT_TRUE(two->heard.front().second.is_link_local());
}

TEST_F(LanMulticastTest, WhatIsTooLongIsDroppedAndCounted) {
  ASSERT_EQ(std::system("ip -6 addr flush dev lan0; ip -6 addr flush dev lan1; ip addr add "
                        "192.0.2.5/24 dev lan0"),
            0);
  auto one = listen(), two = listen();
  one->socket->send(Bytes(LanMulticast::kDatagramBytesMax + 1));
  one->socket->send(view_of("short"));
  run_until([&] { return two->heard.size() == 1; });
  EXPECT_EQ(two->heard.front().first, "short");
  EXPECT_GE(slot_.get(Metric::kDropGarbage), 1u);
}

}  // namespace
}  // namespace wow
