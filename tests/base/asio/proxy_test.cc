#include "base/asio/proxy.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cstdlib>
#include <list>

#include "tests/base/asio/stream_fixture.h"

namespace wow {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr auto kQuietly = asio::as_tuple(asio::use_awaitable);

// Reads what it is asked, byte for byte as scripted, answers, and is a pipe to `target` afterwards.
class ScriptedProxy {
 public:
  struct Step {
    std::string expected_end;  // waits until what came ends so
    std::string answer;
  };
  ScriptedProxy(asio::io_context& io, std::vector<Step> steps, Endpoint target)
      : acceptor_(io, {asio::ip::make_address("127.0.0.1"), 0}),
        near_(io),
        far_(io),
        steps_(std::move(steps)),
        target_(target) {
    asio::co_spawn(io, run(), asio::detached);
  }
  Endpoint endpoint() const {
    return {IpAddress::v4(0x7f000001), acceptor_.local_endpoint().port()};
  }
  std::string asked;

 private:
  asio::awaitable<void> run() {
    const auto [refused] = co_await acceptor_.async_accept(near_, kQuietly);
    if (refused) co_return;
    for (const Step& step : steps_) {
      while (!asked.ends_with(step.expected_end)) {
        char next = 0;
        const auto [error, bytes] =
            co_await near_.async_read_some(asio::buffer(&next, 1), kQuietly);
        if (error) co_return;
        asked += next;
      }
      const auto [error, bytes] =
          co_await asio::async_write(near_, asio::buffer(step.answer), kQuietly);
      if (error) co_return;
    }
    if (!target_.is_set()) co_return;
    const auto [error] = co_await far_.async_connect(
        {asio::ip::address_v4(target_.ip.v4_value()), target_.port}, kQuietly);
    if (error) co_return;
    asio::co_spawn(near_.get_executor(), pass(near_, far_), asio::detached);
    co_await pass(far_, near_);
  }
  static asio::awaitable<void> pass(tcp::socket& from, tcp::socket& to) {
    std::string buffer(4096, '\0');
    for (;;) {
      const auto [error, bytes] = co_await from.async_read_some(asio::buffer(buffer), kQuietly);
      if (error) break;
      const auto [lost, written] =
          co_await asio::async_write(to, asio::buffer(buffer.data(), bytes), kQuietly);
      if (lost) break;
    }
    boost::system::error_code ignored;
    to.shutdown(tcp::socket::shutdown_both, ignored);
  }

  tcp::acceptor acceptor_;
  tcp::socket near_, far_;
  std::vector<Step> steps_;
  Endpoint target_;
};

class ProxyTest : public StreamFixture {
 protected:
  // Lives as long as what it still waits for.
  ScriptedProxy& script(std::vector<ScriptedProxy::Step> steps, const Endpoint& target) {
    return proxies_.emplace_back(io_, std::move(steps), target);
  }
  void start_through(const ScriptedProxy& proxy, Proxy::Kind kind, const std::string& user = "",
                     const std::string& password = "") {
    StreamOptions options;
    options.proxy = Proxy{kind, "127.0.0.1", proxy.endpoint().port, user, password};
    start(a_, options);
  }
  bool arrives(const Endpoint& b) {
    send(a_, b, "hello");
    return becomes([&] { return b_.received.size() == 1; });
  }
  bool fails(const Endpoint& b) {
    send(a_, b, "hello");
    return becomes([&] { return a_.closed.size() == 1; }) && b_.received.empty();
  }

  std::list<ScriptedProxy> proxies_;
};

const std::string kAccepted = "HTTP/1.1 200 Connection established\r\nX-Via: p\r\n\r\n";

TEST_F(ProxyTest, HttpConnectLeadsToTheListener) {
  const Endpoint b = start_listening(b_, Carrier::kTls);
  ScriptedProxy& proxy = script({{"\r\n\r\n", kAccepted}}, b);
  start_through(proxy, Proxy::Kind::kHttp);
  EXPECT_TRUE(arrives(b));
  const std::string to = "127.0.0.1:" + std::to_string(b.port);
  EXPECT_EQ(proxy.asked.substr(0, proxy.asked.find("\r\n\r\n")),
            "CONNECT " + to + " HTTP/1.1\r\nHost: " + to);
  EXPECT_EQ(a_.transport->via(b), "through proxy http://" + proxy.endpoint().text());
}

TEST_F(ProxyTest, HttpWithAPassword) {
  const Endpoint b = start_listening(b_, Carrier::kTls);
  ScriptedProxy& proxy = script({{"\r\n\r\n", kAccepted}}, b);
  start_through(proxy, Proxy::Kind::kHttp, "Aladdin", "open sesame");
  EXPECT_TRUE(arrives(b));
  // The example of RFC 7617, 2.
  EXPECT_NE(proxy.asked.find("Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"),
            std::string::npos);
}

TEST_F(ProxyTest, AnHttpProxyIsForTlsOnly) {
  const Endpoint b = start_listening(b_, Carrier::kTcp);
  ScriptedProxy& proxy = script({{"\r\n\r\n", kAccepted}}, b);
  start_through(proxy, Proxy::Kind::kHttp);
  EXPECT_TRUE(arrives(b));
  EXPECT_EQ(proxy.asked, "");
  EXPECT_EQ(a_.transport->via(b), "");
}

// pass_proxy() itself: what it makes of an answer, and its words.
class PassProxy : public testing::Test {
 protected:
  ProxyAnswer ask(Proxy::Kind kind, std::vector<ScriptedProxy::Step> steps,
                  const HostPort& to = {"198.51.100.7", 443}) {
    ScriptedProxy far(io_, std::move(steps), {});
    const Proxy proxy{kind, "127.0.0.1", far.endpoint().port, "", ""};
    tcp::socket socket(io_);
    socket.connect({asio::ip::make_address("127.0.0.1"), far.endpoint().port});
    ProxyAnswer out{};
    const auto run = [&]() -> asio::awaitable<void> {
      out = co_await pass_proxy(socket, proxy, to, why_);
    };
    asio::co_spawn(io_, run(), asio::detached);
    io_.restart();
    io_.run_for(std::chrono::milliseconds(200));
    boost::system::error_code ignored;
    socket.close(ignored);
    io_.restart();
    io_.run();
    return out;
  }
  ProxyAnswer ask_http(const std::string& answer) {
    return ask(Proxy::Kind::kHttp, {{"\r\n\r\n", answer}});
  }
  ProxyAnswer ask_socks(const std::string& answer) {
    return ask(Proxy::Kind::kSocks5, {{std::string("\5\1\0", 3), std::string("\5\0", 2)},
                                      {std::string("\xc6\x33\x64\7\1\xbb"), answer}});
  }

  asio::io_context io_;
  std::string why_;
};

TEST_F(PassProxy, TellsHttpAnswersApart) {
  EXPECT_EQ(ask_http(kAccepted), ProxyAnswer::kPasses);
  EXPECT_EQ(ask_http("HTTP/1.1 403 Forbidden\r\n\r\n"), ProxyAnswer::kRefuses);
  EXPECT_EQ(why_, "it refuses CONNECT (status 403)");
  EXPECT_EQ(ask_http("HTTP/1.1 407 No\r\n\r\n"), ProxyAnswer::kWantsPassword);
  EXPECT_EQ(ask_http("HTTP/1.0 502 Bad Gateway\r\n\r\n"), ProxyAnswer::kNotReached);
  EXPECT_EQ(ask_http("SSH-2.0-nonsense\r\n"), ProxyAnswer::kNonsense);
  EXPECT_EQ(ask_http("HTTP/1.1 OK\r\n\r\n"), ProxyAnswer::kNonsense);
  EXPECT_EQ(ask_http(""), ProxyAnswer::kSilent);
  EXPECT_EQ(why_, "it does not answer");
}

TEST_F(PassProxy, TellsSocksAnswersApart) {
  EXPECT_EQ(ask_socks(std::string("\5\0\0\1\x7f\0\0\1\0\1", 10)), ProxyAnswer::kPasses);
  EXPECT_EQ(ask_socks(std::string("\5\2\0\1", 4)), ProxyAnswer::kRefuses);
  EXPECT_EQ(why_, "it refuses (code 2)");
  EXPECT_EQ(ask_socks(std::string("\5\5\0\1", 4)), ProxyAnswer::kNotReached);
  EXPECT_EQ(ask_socks("HTTP/1.1 400 Bad Request\r\n\r\n"), ProxyAnswer::kNonsense);
  EXPECT_EQ(ask_socks(""), ProxyAnswer::kSilent);
  EXPECT_EQ(ask(Proxy::Kind::kSocks5, {{std::string("\5\1\0", 3), "\5\xff"}}),
            ProxyAnswer::kWantsPassword);
}

TEST_F(PassProxy, SocksIsAskedByName) {
  const std::string ask_for = std::string("\5\1\0\3\14pool.example\1\xbb", 19);
  EXPECT_EQ(ask(Proxy::Kind::kSocks5,
                {{std::string("\5\1\0", 3), std::string("\5\0", 2)},
                 {ask_for, std::string("\5\0\0\1\x7f\0\0\1\0\1", 10)}},
                {"pool.example", 443}),
            ProxyAnswer::kPasses);
}

TEST_F(ProxyTest, WhoHasANameIsAskedForByName) {
  const Endpoint b = start_listening(b_, Carrier::kTls);
  ScriptedProxy& proxy = script({{"\r\n\r\n", kAccepted}}, b);
  start_through(proxy, Proxy::Kind::kHttp);
  // An address that nobody has: only the proxy knows whose name it is.
  const Endpoint stand_in{IpAddress::v4(0xf0000001), 443, Carrier::kTls};
  a_.transport->set_name(stand_in.ip, "pool.example");
  EXPECT_TRUE(arrives(stand_in));
  EXPECT_TRUE(proxy.asked.starts_with("CONNECT pool.example:443 HTTP/1.1\r\n")) << proxy.asked;
  EXPECT_EQ(a_.transport->via(stand_in),
            "as pool.example through proxy http://" + proxy.endpoint().text());
}

TEST_F(ProxyTest, HttpRefusals) {
  const Endpoint b = start_listening(b_, Carrier::kTls);
  for (const std::string& answer :
       {std::string("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"),
        std::string("HTTP/1.1 403 Forbidden\r\n\r\n"), std::string("SSH-2.0-nonsense\r\n\r\n"),
        std::string("HTTP/1.1\r\n\r\n"), std::string(100'000, 'x')}) {
    ScriptedProxy& proxy = script({{"\r\n\r\n", answer}}, {});
    start_through(proxy, Proxy::Kind::kHttp);
    EXPECT_TRUE(fails(b)) << answer.substr(0, 40);
    a_.transport.reset();
    a_.closed.clear();
  }
  EXPECT_EQ(a_.metrics.get(Metric::kProxyFailed), 5u);
}

TEST_F(ProxyTest, Socks5ForPlainTcpToo) {
  const Endpoint b = start_listening(b_, Carrier::kTcp);
  const std::string port = {static_cast<char>(b.port >> 8), static_cast<char>(b.port & 0xff)};
  ScriptedProxy& proxy = script(
      {{std::string("\5\1\0", 3), std::string("\5\0", 2)},
       {std::string("\5\1\0\1\x7f\0\0\1", 8) + port, std::string("\5\0\0\1\x7f\0\0\1\0\1", 10)}},
      b);
  start_through(proxy, Proxy::Kind::kSocks5);
  EXPECT_TRUE(arrives(b));
}

TEST_F(ProxyTest, Socks5WithAPassword) {
  const Endpoint b = start_listening(b_, Carrier::kTls);
  ScriptedProxy& proxy = script(
      {{std::string("\5\2\0\2", 4), std::string("\5\2", 2)},
       {std::string("\1\2me\4word", 9), std::string("\1\0", 2)},
       {std::string("\x7f\0\0\1", 4), ""},
       {std::string(1, static_cast<char>(b.port & 0xff)), std::string("\5\0\0\3\4name\0\1", 11)}},
      b);
  start_through(proxy, Proxy::Kind::kSocks5, "me", "word");
  EXPECT_TRUE(arrives(b));
}

TEST_F(ProxyTest, Socks5Refusals) {
  const Endpoint b = start_listening(b_, Carrier::kTcp);
  using Steps = std::vector<ScriptedProxy::Step>;
  const std::string hello("\5\1\0", 3), fine("\5\0", 2);
  const std::string ask = {static_cast<char>(b.port & 0xff)};
  for (const Steps& steps :
       {Steps{{hello, std::string("\4\0", 2)}}, Steps{{hello, std::string("\5\xff", 2)}},
        Steps{{hello, std::string("\5\2", 2)}}, Steps{{hello, fine}, {ask, "\5\2\1\1xxxx"}},
        Steps{{hello, fine}, {ask, std::string("\5\0\0\11", 4)}},
        Steps{{hello, fine}, {ask, "HTTP/1.1 200 OK\r\n\r\n"}}}) {
    ScriptedProxy& proxy = script(steps, {});
    start_through(proxy, Proxy::Kind::kSocks5);
    EXPECT_TRUE(fails(b));
    a_.transport.reset();
    a_.closed.clear();
  }
}

TEST_F(ProxyTest, MayHaveAName) {
  const Endpoint b = start_listening(b_, Carrier::kTls);
  ScriptedProxy& proxy = script({{"\r\n\r\n", kAccepted}}, b);
  StreamOptions options;
  options.proxy = Proxy{Proxy::Kind::kHttp, "localhost", proxy.endpoint().port, "", ""};
  start(a_, options);
  EXPECT_TRUE(arrives(b));  // the first address, ::1, has no proxy
}

TEST_F(ProxyTest, AProxyThatSaysNothingIsGivenUp) {
  const Endpoint b = start_listening(b_, Carrier::kTls);
  ScriptedProxy& proxy = script({{"never", ""}}, {});
  StreamOptions options;
  options.proxy = Proxy{Proxy::Kind::kHttp, "127.0.0.1", proxy.endpoint().port, "", ""};
  options.limits.dial_limit = 1s;
  start(a_, options);
  EXPECT_TRUE(fails(b));
}

TEST(Proxy, IsNamedByAUrl) {
  const auto plain = Proxy::parse("http://10.0.0.1:3128/");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->text(), "http://10.0.0.1:3128");
  EXPECT_EQ(Proxy::parse("http://proxy.example:8080")->host, "proxy.example");
  const auto full = Proxy::parse("socks5h://m%40e:w%3ao@[2001:db8::1]:1080");
  ASSERT_TRUE(full);
  EXPECT_EQ(full->kind, Proxy::Kind::kSocks5);
  EXPECT_EQ(full->user, "m@e");
  EXPECT_EQ(full->password, "w:o");
  EXPECT_EQ(full->text(), "socks5://[2001:db8::1]:1080") << "no password is shown";
  for (const char* wrong : {"", "10.0.0.1:3128", "ftp://10.0.0.1:1", "http://10.0.0.1",
                            "http://u%4@10.0.0.1:1", "http://@10.0.0.1:1", "http://na me:8080",
                            "http://name:0", "http://:80", "http://name:99999", "http://a:b:80"}) {
    EXPECT_FALSE(Proxy::parse(wrong)) << wrong;
  }
  const auto secret = Proxy::parse("http://me:word@nowhere");
  ASSERT_FALSE(secret);
  EXPECT_EQ(secret.error().message.find("word@"), std::string::npos);
}

TEST(Proxy, TheEnvironmentIsAskedInOrder) {
  for (const char* name : {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"}) unsetenv(name);
  std::string why;
  EXPECT_FALSE(proxy_from_environment(&why));
  setenv("ALL_PROXY", "socks5://10.0.0.2:1080", 1);
  EXPECT_EQ(proxy_from_environment(&why)->text(), "socks5://10.0.0.2:1080");
  setenv("https_proxy", "http://10.0.0.1:3128", 1);
  EXPECT_EQ(proxy_from_environment(&why)->text(), "http://10.0.0.1:3128");
  EXPECT_EQ(why, "");
  setenv("https_proxy", "what", 1);
  EXPECT_EQ(proxy_from_environment(&why)->text(), "socks5://10.0.0.2:1080");
  EXPECT_NE(why.find("https_proxy"), std::string::npos);
}

}  // namespace
}  // namespace wow
