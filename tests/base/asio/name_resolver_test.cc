// Against a name server of the test's own, on loopback.
#include "base/asio/name_resolver.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <map>

namespace wow {
namespace {

namespace asio = boost::asio;
using asio::ip::udp;

// Answers questions for A (1) and AAAA (28) from a table; others get an empty answer. Names that
// are not there: NXDOMAIN.
class NameServer {
 public:
  explicit NameServer(asio::io_context& io)
      : socket_(io, udp::endpoint(asio::ip::make_address("127.0.0.1"), 0)) {
    receive();
  }
  std::string servers() const {
    return "127.0.0.1:" + std::to_string(socket_.local_endpoint().port());
  }
  void add(const std::string& name, const std::string& ip) {
    const auto address = *IpAddress::parse(ip);
    table_[name].emplace_back(address.is_v4() ? 1 : 28, to_bytes(address.bytes()));
  }
  enum class Mood { kHonest, kSilent, kNonsense } mood = Mood::kHonest;

 private:
  void receive() {
    socket_.async_receive_from(asio::buffer(buffer_), from_,
                               [this](const boost::system::error_code& error, std::size_t size) {
                                 if (error) return;
                                 answer(size);
                                 receive();
                               });
  }
  void answer(std::size_t size) {
    if (mood == Mood::kSilent) return;
    std::string name;
    std::size_t at = 12;
    while (at < size && buffer_[at] != 0) {
      if (!name.empty()) name += '.';
      name.append(reinterpret_cast<const char*>(&buffer_[at + 1]), buffer_[at]);
      at += 1u + buffer_[at];
    }
    const std::size_t end = at + 5;
    ASSERT_LE(end, size);
    const int type = buffer_[at + 2];
    Bytes out(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(end));
    out[2] = 0x81, out[3] = 0x80, out[6] = out[7] = out[8] = out[9] = out[10] = out[11] = 0;
    const auto known = table_.find(name);
    if (known == table_.end()) out[3] = 0x83;
    if (known != table_.end()) {
      for (const auto& [kind, address] : known->second) {
        if (kind != type) continue;
        ++out[7];
        const Bytes head = {0xc0, 12, 0, static_cast<std::uint8_t>(kind),          0, 1, 0, 0,
                            0,    9,  0, static_cast<std::uint8_t>(address.size())};
        out.insert(out.end(), head.begin(), head.end());
        out.insert(out.end(), address.begin(), address.end());
      }
    }
    if (mood == Mood::kNonsense) std::fill(out.begin() + 4, out.end(), 0xff);
    socket_.send_to(asio::buffer(out), from_);
  }

  udp::socket socket_;
  udp::endpoint from_;
  std::array<std::uint8_t, 1500> buffer_{};
  std::map<std::string, std::vector<std::pair<int, Bytes>>> table_;
};

class NameResolverTest : public testing::Test {
 protected:
  Result<std::vector<IpAddress>> ask(const std::string& name) {
    std::optional<Result<std::vector<IpAddress>>> said;
    resolver_.resolve(name, [&](auto result) { said = std::move(result); });
    EXPECT_FALSE(said) << "never from inside";
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(40);
    while (!said && std::chrono::steady_clock::now() < end)
      io_.run_for(std::chrono::milliseconds(5));
    if (!said) return Error{ErrorCode::kUnavailable, "no answer in time"};
    return *said;
  }

  asio::io_context io_;
  NameServer server_{io_};
  NameResolver resolver_{io_.get_executor(), server_.servers()};
};

TEST_F(NameResolverTest, GivesAllAddressesOfBothFamilies) {
  server_.add("pool.example", "198.51.100.7");
  server_.add("pool.example", "198.51.100.8");
  server_.add("pool.example", "2001:db8::7");
  const auto found = ask("pool.example");
  ASSERT_TRUE(found);
  std::vector<std::string> texts;
  for (const auto& ip : *found) texts.push_back(ip.text());
  std::ranges::sort(texts);
  EXPECT_EQ(texts, (std::vector<std::string>{"198.51.100.7", "198.51.100.8", "2001:db8::7"}));
}

TEST_F(NameResolverTest, ANameThatIsNotThereIsSaidInWords) {
  const auto found = ask("nobody.example");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(found.error().message.empty());
}

TEST_F(NameResolverTest, AnAddressNeedsNoServer) {
  const auto found = ask("192.0.2.9");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->front().text(), "192.0.2.9");
}

TEST_F(NameResolverTest, LongListsAreCut) {
  for (int i = 1; i <= 30; ++i) server_.add("many.example", "192.0.2." + std::to_string(i));
  const auto found = ask("many.example");
  ASSERT_TRUE(found);
  EXPECT_LE(found->size(), NameResolver::kAddressesMax);
}

TEST_F(NameResolverTest, NonsenseAndSilenceEndInAnError) {
  server_.mood = NameServer::Mood::kNonsense;
  EXPECT_FALSE(ask("pool.example"));
}

TEST_F(NameResolverTest, QueriesUnderWayEndWithTheResolver) {
  server_.mood = NameServer::Mood::kSilent;
  int called = 0;
  {
    NameResolver other(io_.get_executor(), server_.servers());
    for (int i = 0; i < 3; ++i) other.resolve("pool.example", [&](auto) { ++called; });
    io_.run_for(std::chrono::milliseconds(20));
  }
  io_.run_for(std::chrono::milliseconds(50));
  EXPECT_EQ(called, 0);
}

TEST_F(NameResolverTest, ManyAtOnceAreRefused) {
  server_.mood = NameServer::Mood::kSilent;
  std::size_t refused = 0;
  for (std::size_t i = 0; i < NameResolver::kQueriesMax + 5; ++i) {
    resolver_.resolve("pool.example", [&](const auto& result) {
      refused += !result && result.error().code == ErrorCode::kExhausted;
    });
  }
  io_.run_for(std::chrono::milliseconds(50));
  EXPECT_EQ(refused, 5u);
}

}  // namespace
}  // namespace wow
