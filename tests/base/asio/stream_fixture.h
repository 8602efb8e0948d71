// Two transports of streams on loopback, and strangers who speak to them with plain sockets.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/asio/stream_transport.h"
#include "base/log.h"
#include "tests/base/asio/loopback.h"

namespace wow {

class StreamFixture : public testing::Test {
 protected:
  struct Side {
    std::unique_ptr<StreamTransport> transport;
    MetricSlot metrics;
    std::vector<std::pair<Endpoint, std::string>> received;
    std::vector<Endpoint> closed;
    std::unordered_set<Endpoint, EndpointHash> proven;
    bool proves_all = true;
  };

  static void SetUpTestSuite() { bring_loopback_up(); }
  void SetUp() override {
    set_log_sink([](LogLevel, const std::string&) {});
  }
  void TearDown() override {
    for (Side* side : {&a_, &b_}) side->transport.reset();
    io_.poll();
    set_log_sink({});
  }

  void start(Side& side, StreamOptions options = {}, const std::string& target = "/pool") {
    options.target = target;
    side.transport = std::make_unique<StreamTransport>(io_.get_executor(), options, side.metrics);
    side.transport->start({.packet =
                               [&side](MutableBytes packet, const Endpoint& from) {
                                 side.received.emplace_back(from, to_string(ByteView(packet)));
                                 if (side.proves_all) side.proven.insert(from);
                               },
                           .closed = [&side](const Endpoint& far) { side.closed.push_back(far); },
                           .proven = [&side] { return side.proven; }});
  }
  // b listens, then starts.
  Endpoint start_listening(Side& side, Carrier carrier, StreamOptions options = {},
                           const std::string& target = "/pool") {
    options.target = target;
    side.transport = std::make_unique<StreamTransport>(io_.get_executor(), options, side.metrics);
    EXPECT_TRUE(side.transport->listen(carrier, 0));
    side.transport->start({.packet =
                               [&side](MutableBytes packet, const Endpoint& from) {
                                 side.received.emplace_back(from, to_string(ByteView(packet)));
                                 if (side.proves_all) side.proven.insert(from);
                               },
                           .closed = [&side](const Endpoint& far) { side.closed.push_back(far); },
                           .proven = [&side] { return side.proven; }});
    return {IpAddress::v4(0x7f000001), *side.transport->port(carrier), carrier};
  }
  static void send(Side& from, const Endpoint& to, std::string_view text) {
    from.transport->send(Datagram{to, view_of(text), {}, 0});
  }
  // Runs until `done`, at most so long.
  template <typename Done>
  bool becomes(Done&& done, std::chrono::milliseconds limit = std::chrono::seconds(10)) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) return false;
      io_.run_one_for(std::chrono::milliseconds(10));
      io_.restart();
    }
    return true;
  }
  boost::asio::ip::tcp::socket stranger(const Endpoint& to) {
    boost::asio::ip::tcp::socket socket(io_);
    socket.connect({boost::asio::ip::make_address("127.0.0.1"), to.port});
    socket.non_blocking(true);
    return socket;
  }
  // Whether the other end has closed it; what came before is in `said`.
  static bool is_over(boost::asio::ip::tcp::socket& socket, std::string* said = nullptr) {
    char buffer[4096];
    boost::system::error_code error;
    const std::size_t bytes = socket.read_some(boost::asio::buffer(buffer), error);
    if (said != nullptr) said->append(buffer, bytes);
    return error && error != boost::asio::error::would_block;
  }

  boost::asio::io_context io_{1};
  Side a_, b_;
};

}  // namespace wow
