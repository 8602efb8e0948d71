#include "base/asio/side_sockets.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "tests/base/asio/loopback.h"

namespace wow {
namespace {

class SideSocketsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { bring_loopback_up(); }
  SideSocketsTest() : far_(std::move(*UdpSocket::open(0))), side_(io_.get_executor(), slot_) {
    side_.start([this](MutableBytes packet, const Endpoint& from) {
      heard_.emplace_back(from, to_string(packet));
      if (on_heard_) on_heard_(from);
    });
  }
  Endpoint to(std::uint8_t socket) const {
    Endpoint out{*IpAddress::parse("127.0.0.1"), far_.port()};
    out.socket = socket;
    return out;
  }
  void send(std::uint8_t socket, std::string_view text) {
    const Datagram datagram{to(socket), view_of(text), {}};
    side_.send(datagram);
  }
  // What arrives at the far end, in order; loopback delivers at once.
  std::vector<Endpoint> arrived() {
    std::vector<Endpoint> out;
    for (const auto& got : receiver_.receive(far_, slot_)) out.push_back(got.from);
    return out;
  }
  void run_until_heard(std::size_t count) {
    while (heard_.size() < count) {
      io_.restart();
      io_.run_one();
    }
  }
  void answer(const Endpoint& to, std::string_view text) {
    const Datagram datagram{to, view_of(text), {}};
    far_.send({&datagram, 1}, slot_);
  }

  boost::asio::io_context io_;
  MetricSlot slot_;
  UdpSocket far_;
  UdpReceiver receiver_;
  SideSockets side_;
  std::vector<std::pair<Endpoint, std::string>> heard_;
  std::function<void(const Endpoint&)> on_heard_;
};

TEST_F(SideSocketsTest, EachNumberIsASocketThatStays) {
  send(1, "a");
  send(2, "b");
  send(1, "c");
  const auto from = arrived();
  ASSERT_EQ(from.size(), 3u);
  EXPECT_NE(from[0].port, from[1].port);
  EXPECT_EQ(from[0].port, from[2].port);
}

TEST_F(SideSocketsTest, WhatComesInNamesItsSocket) {
  send(1, "a");
  send(255, "b");
  const auto from = arrived();
  ASSERT_EQ(from.size(), 2u);
  answer(from[1], "x");
  run_until_heard(1);
  answer(from[0], "y");
  run_until_heard(2);
  EXPECT_EQ(heard_[0], std::pair(to(255), std::string("x")));
  EXPECT_EQ(heard_[1], std::pair(to(1), std::string("y")));
}

TEST_F(SideSocketsTest, AReleasedNumberIsAnotherSocketWhenItIsUsedAgain) {
  send(7, "a");
  const auto before = arrived();
  side_.release(7);
  side_.release(7);
  side_.release(8);
  answer(before.at(0), "too late");
  send(7, "b");
  const auto after = arrived();
  ASSERT_EQ(after.size(), 1u);
  answer(after[0], "x");
  run_until_heard(1);
  EXPECT_EQ(heard_.at(0).second, "x");
}

TEST_F(SideSocketsTest, AReceiverMayCloseTheSocketOrAll) {
  on_heard_ = [this](const Endpoint& from) { side_.release(from.socket); };
  send(1, "a");
  answer(arrived().at(0), "x");
  run_until_heard(1);
  on_heard_ = [this](const Endpoint&) { side_.stop(); };
  send(1, "a");
  answer(arrived().at(0), "y");
  run_until_heard(2);
  send(1, "c");
  EXPECT_TRUE(arrived().empty());
  io_.restart();
  io_.run();  // nothing waits any more
}

}  // namespace
}  // namespace wow
