#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>

#include "base/stream_framer.h"
#include "tests/base/asio/stream_fixture.h"

namespace wow {
namespace {

namespace asio = boost::asio;

class StreamTransportTest : public StreamFixture {
 protected:
  void crowd_keeps_nobody_out(Carrier carrier, const StreamOptions& options, std::size_t most) {
    b_.proves_all = false;
    const Endpoint b = start_listening(b_, carrier, options);
    std::vector<asio::ip::tcp::socket> crowd;
    for (int i = 0; i < 2000; ++i) {
      crowd.push_back(stranger(b));
      if (i % 50 == 0) io_.poll();
      ASSERT_LE(b_.transport->size(), most);
    }
    start(a_);
    send(a_, b, "hello");
    EXPECT_TRUE(becomes([&] { return b_.received.size() == 1; }));
    EXPECT_GT(b_.metrics.get(Metric::kStreamsRefused), 1900u);
  }
  // A question and its answer, on one stream.
  void talk(Carrier carrier) {
    const Endpoint b = start_listening(b_, carrier);
    start(a_);
    const std::string large(kStreamPacketBytesMax, 'x');
    send(a_, b, "hello");
    send(a_, b, large);
    ASSERT_TRUE(becomes([&] { return b_.received.size() == 2; }));
    EXPECT_EQ(b_.received[0].second, "hello");
    EXPECT_EQ(b_.received[1].second, large);
    const Endpoint from = b_.received[0].first;
    EXPECT_EQ(from.carrier, Carrier::kAccepted);
    send(b_, from, "well");
    ASSERT_TRUE(becomes([&] { return !a_.received.empty(); }));
    EXPECT_EQ(a_.received[0], (std::pair<Endpoint, std::string>(b, "well")));
    EXPECT_EQ(a_.metrics.get(Metric::kStreamsDialled), 1u);
    EXPECT_EQ(b_.metrics.get(Metric::kStreamsAccepted), 1u);
  }
};

TEST_F(StreamTransportTest, PacketsGoToAndFroOverTcp) { talk(Carrier::kTcp); }

TEST_F(StreamTransportTest, AndInWebSocketInsideTls) { talk(Carrier::kTls); }

// Walls look for it: who asks for no name at all is no browser.
TEST_F(StreamTransportTest, ATlsStreamSaysTheNameOfABootstrap) {
  asio::ip::tcp::acceptor wall(io_, {asio::ip::make_address("127.0.0.1"), 0});
  const Endpoint to{IpAddress::v4(0x7f000001), wall.local_endpoint().port(), Carrier::kTls};
  start(a_);
  a_.transport->set_name(to.ip, "relay.example.org");
  std::string seen(4096, '\0');
  std::size_t bytes = 0;
  asio::ip::tcp::socket socket(io_);
  wall.async_accept(socket, [&](auto) {
    socket.async_read_some(asio::buffer(seen), [&](auto, std::size_t n) { bytes = n; });
  });
  send(a_, to, "hello");
  ASSERT_TRUE(becomes([&] { return bytes > 0; }));
  EXPECT_NE(seen.find("relay.example.org"), std::string::npos);
}

TEST_F(StreamTransportTest, AndCarriesPacketsAllTheSame) {
  const Endpoint b = start_listening(b_, Carrier::kTls);
  start(a_);
  a_.transport->set_name(b.ip, "relay.example.org");
  send(a_, b, "hello");
  EXPECT_TRUE(becomes([&] { return b_.received.size() == 1; }));
}

TEST_F(StreamTransportTest, BothEndsAreToldOfTheEnd) {
  const Endpoint b = start_listening(b_, Carrier::kTcp);
  start(a_);
  send(a_, b, "hello");
  ASSERT_TRUE(becomes([&] { return b_.received.size() == 1; }));
  a_.transport->redial_all();
  EXPECT_EQ(a_.closed, std::vector<Endpoint>{b});
  EXPECT_TRUE(becomes([&] { return b_.closed.size() == 1; }));
  EXPECT_EQ(b_.closed.at(0), b_.received[0].first);
  // What is sent to who had dialled is lost; the other way round it dials anew.
  send(b_, b_.received[0].first, "lost");
  EXPECT_EQ(b_.metrics.get(Metric::kDropStream), 1u);
  send(a_, b, "again");
  EXPECT_TRUE(becomes([&] { return b_.received.size() == 2; }));
}

// What a NAT makes of that port is where others meet us.
TEST_F(StreamTransportTest, AStreamLeavesFromThePortAtWhichItsOwnerListens) {
  const Endpoint a = start_listening(a_, Carrier::kTcp), b = start_listening(b_, Carrier::kTcp);
  send(a_, b, "hello");
  ASSERT_TRUE(becomes([&] { return b_.received.size() == 1; }));
  EXPECT_EQ(b_.received[0].first.port, a.port);
  // Back to that port: one such connection there is already, so it comes from another.
  send(b_, a, "back");
  ASSERT_TRUE(becomes([&] { return a_.received.size() == 1; }));
  EXPECT_EQ(a_.received[0].second, "back");
  EXPECT_NE(a_.received[0].first.port, b.port);
  // No other daemon gets it.
  Side c;
  start(c);
  EXPECT_FALSE(c.transport->listen(Carrier::kTcp, a.port));
}

TEST_F(StreamTransportTest, TwoThatDialEachOtherAtOnceBothHear) {
  const Endpoint a = start_listening(a_, Carrier::kTcp), b = start_listening(b_, Carrier::kTcp);
  send(a_, b, "to b");
  send(b_, a, "to a");
  EXPECT_TRUE(becomes([&] { return a_.received.size() == 1 && b_.received.size() == 1; }));
}

TEST_F(StreamTransportTest, WhereNobodyListensItIsNotDialledAgainAtOnce) {
  const Endpoint nobody{IpAddress::v4(0x7f000001), 1, Carrier::kTcp};
  start(a_);
  send(a_, nobody, "hello");
  ASSERT_TRUE(becomes([&] { return a_.closed.size() == 1; }));
  send(a_, nobody, "hello");
  send(a_, nobody, "hello");
  EXPECT_EQ(a_.metrics.get(Metric::kStreamsDialled), 1u);
  EXPECT_EQ(a_.metrics.get(Metric::kDropStream), 2u);
}

TEST_F(StreamTransportTest, APortInUseIsSaidAndTheCure) {
  const Endpoint b = start_listening(b_, Carrier::kTcp);
  a_.transport = std::make_unique<StreamTransport>(io_.get_executor(), StreamOptions{}, a_.metrics);
  const auto done = a_.transport->listen(Carrier::kTls, b.port);
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find(std::to_string(b.port) + " is in use: choose"),
            std::string::npos);
}

TEST_F(StreamTransportTest, AFullQueueDropsTheOldestFirst) {
  StreamOptions options;
  options.limits.queue_packets_max = 3;
  const Endpoint b = start_listening(b_, Carrier::kTcp);
  start(a_, options);
  for (const char* text : {"1", "2", "3", "4", "5"}) send(a_, b, text);
  ASSERT_TRUE(becomes([&] { return b_.received.size() == 3; }));
  EXPECT_EQ(b_.received[0].second, "3");
  EXPECT_EQ(b_.received[2].second, "5");
  EXPECT_EQ(a_.metrics.get(Metric::kDropStream), 2u);
}

TEST_F(StreamTransportTest, WhatIsNoStreamOfPacketsIsEnded) {
  const Endpoint b = start_listening(b_, Carrier::kTcp);
  for (const std::string& sent : {std::string("\0\0x", 3), std::string("\xff\xffx", 3),
                                  std::string("GET / HTTP/1.1\r\n\r\n")}) {
    auto socket = stranger(b);
    asio::write(socket, asio::buffer(sent));
    EXPECT_TRUE(becomes([&] { return is_over(socket); })) << sent;
  }
  EXPECT_TRUE(b_.received.empty());
  EXPECT_EQ(b_.metrics.get(Metric::kDropGarbage), 3u);
}

// "slow loris": one byte now and then, or none.
TEST_F(StreamTransportTest, WhoProvesNothingInTimeIsEnded) {
  b_.proves_all = false;
  StreamOptions options;
  options.limits.prove_limit = 1s;
  const Endpoint tcp = start_listening(b_, Carrier::kTcp, options);
  ASSERT_TRUE(b_.transport->listen(Carrier::kTls, 0));
  auto silent = stranger(tcp), slow = stranger(tcp);
  asio::write(slow, asio::buffer("\0\5a", 3));
  EXPECT_TRUE(becomes([&] { return is_over(silent) && is_over(slow); }));
  EXPECT_EQ(b_.transport->size(), 0u);
}

TEST_F(StreamTransportTest, TlsThatIsNeverBegunIsEnded) {
  StreamOptions options;
  options.limits.prove_limit = 1s;
  const Endpoint tls = start_listening(b_, Carrier::kTls, options);
  auto silent = stranger(tls);
  EXPECT_TRUE(becomes([&] { return is_over(silent); }));
}

TEST_F(StreamTransportTest, ThousandsOfHalfOpenStreamsKeepNobodyOut) {
  StreamOptions options;
  options.limits.unproven_max = 20;
  options.limits.unproven_per_source = 1000;
  crowd_keeps_nobody_out(Carrier::kTcp, options, 20);
}

// From the same address as the member, too, as behind one proxy.
TEST_F(StreamTransportTest, NorThoseBesideWhomItSits) {
  crowd_keeps_nobody_out(Carrier::kTcp, {}, StreamLimits().unproven_per_source);
}

TEST_F(StreamTransportTest, NorByTls) {
  crowd_keeps_nobody_out(Carrier::kTls, {}, StreamLimits().unproven_per_source);
}

TEST_F(StreamTransportTest, OneSourceHasOnlySoMany) {
  StreamOptions options;
  options.limits.unproven_per_source = 5;
  const Endpoint b = start_listening(b_, Carrier::kTcp, options);
  std::vector<asio::ip::tcp::socket> crowd;
  for (int i = 0; i < 50; ++i) crowd.push_back(stranger(b));
  EXPECT_TRUE(becomes([&] { return b_.metrics.get(Metric::kStreamsRefused) == 45; }));
  EXPECT_EQ(b_.transport->size(), 5u);
}

TEST_F(StreamTransportTest, AnIdleStreamIsEnded) {
  StreamOptions options;
  options.limits.idle_limit = 1s;
  const Endpoint b = start_listening(b_, Carrier::kTcp, options);
  start(a_);
  send(a_, b, "hello");
  ASSERT_TRUE(becomes([&] { return b_.received.size() == 1; }));
  EXPECT_TRUE(becomes([&] { return a_.closed.size() == 1 && b_.transport->size() == 0; }));
}

class TlsStrangerTest : public StreamFixture {
 protected:
  // What a browser would get.
  std::string ask(const Endpoint& b, const std::string& request) {
    asio::ssl::context context(asio::ssl::context::tls_client);
    asio::ssl::stream<asio::ip::tcp::socket> tls(io_, context);
    tls.lowest_layer().connect({asio::ip::make_address("127.0.0.1"), b.port});
    std::string said, buffer(4096, '\0');
    bool over = false;
    std::function<void()> read = [&] {
      tls.async_read_some(asio::buffer(buffer), [&](auto error, std::size_t bytes) {
        said.append(buffer, 0, bytes);
        if (error) {
          over = true;
        } else {
          read();
        }
      });
    };
    tls.async_handshake(asio::ssl::stream_base::client, [&](auto error) {
      if (error) {
        over = true;
        return;
      }
      asio::async_write(tls, asio::buffer(request), [&](auto, std::size_t) { read(); });
    });
    EXPECT_TRUE(becomes([&] { return over; }));
    return said;
  }
};

TEST_F(TlsStrangerTest, AStrangersRequestGetsAPlain404) {
  const Endpoint b = start_listening(b_, Carrier::kTls);
  const std::string upgrade =
      "\r\nHost: b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  for (const std::string& request :
       {std::string("GET / HTTP/1.1\r\nHost: b\r\n\r\n"),
        std::string("GET /pool HTTP/1.1\r\nHost: b\r\n\r\n"), "GET /other HTTP/1.1" + upgrade,
        std::string("POST /x HTTP/1.1\r\nHost: b\r\nContent-Length: 99999999\r\n\r\n")}) {
    const std::string said = ask(b, request);
    EXPECT_EQ(said.substr(0, 22), "HTTP/1.1 404 Not Found") << request;
    EXPECT_EQ(said.find("wow"), std::string::npos);
  }
}

TEST_F(TlsStrangerTest, EndlessHeadersAndNonsenseAreEnded) {
  const Endpoint b = start_listening(b_, Carrier::kTls);
  EXPECT_EQ(ask(b, "GET / HTTP/1.1\r\nX: " + std::string(100'000, 'x')), "");
  EXPECT_EQ(ask(b, std::string(100, '\0')), "");
  auto plain = stranger(b);
  asio::write(plain, asio::buffer("GET / HTTP/1.1\r\n\r\n", 18));
  EXPECT_TRUE(becomes([&] { return is_over(plain); }));
}

TEST_F(TlsStrangerTest, AnotherPoolsTargetIsAStrangers) {
  const Endpoint b = start_listening(b_, Carrier::kTls, {}, "/this-pool");
  start(a_, {}, "/that-pool");
  send(a_, b, "hello");
  EXPECT_TRUE(becomes([&] { return a_.closed.size() == 1; }));
  EXPECT_TRUE(b_.received.empty());
}

}  // namespace
}  // namespace wow
