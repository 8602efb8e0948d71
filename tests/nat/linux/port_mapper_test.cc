// Routers that answer nonsense, or never, in a network of the test's own. Real ones are asked in
// tests/system/mapping_test.sh.
#include "nat/linux/port_mapper.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "nat/linux/mapping_ways.h"

namespace wow {
namespace {

// The machine is its own router: the default route leads to an address of its own.
bool make_network() {
  return std::system(
             "ip link set lo up && ip addr add 192.168.77.1/24 dev lo 2>/dev/null && "
             "ip link add up0 type veth peer name up1 && ip link set up0 up && "
             "ip link set up1 up && ip addr add 192.168.78.2/24 dev up0 && "
             "ip route add default via 192.168.78.1 dev up0 && "
             "ip addr add 192.168.78.1/32 dev lo") == 0;
}
const bool kHasNetwork = make_network();

// Answers each datagram at the PCP port as `answer` says.
class Router {
 public:
  explicit Router(std::function<Bytes(ByteView)> answer) : answer_(std::move(answer)) {
    fd_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(kPcpPort);
    inet_pton(AF_INET, "192.168.78.1", &at.sin_addr);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    thread_ = std::thread([this] { serve(); });
  }
  ~Router() {
    ends_ = true;
    thread_.join();
    close(fd_);
  }
  std::atomic<int> deleted = 0;  // requests with a lifetime of zero

 private:
  void serve() {
    while (!ends_) {
      pollfd readable{fd_, POLLIN, 0};
      if (poll(&readable, 1, 20) <= 0) continue;
      std::array<std::uint8_t, 2048> buffer;
      sockaddr_in from{};
      socklen_t size = sizeof from;
      const ssize_t got =
          recvfrom(fd_, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (got <= 0) continue;
      const ByteView asked(buffer.data(), static_cast<std::size_t>(got));
      if (asked.size() == PcpMapRequest::kBytes && asked[4] + asked[5] + asked[6] + asked[7] == 0)
        ++deleted;
      const Bytes said = answer_(asked);
      if (!said.empty())
        sendto(fd_, said.data(), said.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
  }
  std::function<Bytes(ByteView)> answer_;
  int fd_;
  std::atomic<bool> ends_ = false;
  std::thread thread_;
};

// A router that maps as it is told to.
Bytes honest(ByteView asked) {
  if (asked.size() != PcpMapRequest::kBytes || asked[0] != 2) return {};
  Bytes out = to_bytes(asked);
  out[1] = 0x81;
  std::ranges::copy(IpAddress::parse("203.0.113.9")->mapped(), out.begin() + 44);
  out[42] = 0x20;  // another port outside than was wished for
  out[43] = 0x01;
  return out;
}

// One that knows NAT-PMP alone (RFC 6886, 3.2 and 3.3), and says so to PCP.
Bytes elder(ByteView asked) {
  if (asked.size() < 2 || asked[0] != 0) return {0, 128, 0, 1, 0, 0, 0, 1};
  if (asked[1] == 0) return {0, 128, 0, 0, 0, 0, 0, 1, 203, 0, 113, 9};
  Bytes out = {0, 129, 0, 0, 0, 0, 0, 1};
  out.insert(out.end(), asked.begin() + 4, asked.begin() + 12);
  return out;
}

class PortMapperTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!kHasNetwork) GTEST_SKIP() << "cannot make a network here";
  }
  std::optional<PortMapper::News> next(PortMapper& mapper, int limit_ms = 20'000) {
    pollfd readable{mapper.fd(), POLLIN, 0};
    if (poll(&readable, 1, limit_ms) <= 0) return std::nullopt;
    return mapper.read();
  }
};

// What miniupnpc connects to, whatever a device has it read: never this host, never the Internet.
TEST(UpnpAddresses, OnlyPrivateOnesAndSsdpsGroupAreAsked) {
  const auto is_found = [](const char* node) {
    addrinfo* found = nullptr;
    if (getaddrinfo(node, "5000", nullptr, &found) != 0) return false;
    freeaddrinfo(found);
    return true;
  };
  // The last is where SSDP searches for devices.
  for (const char* node : {"192.168.1.1", "10.0.0.1", "172.16.3.4", "239.255.255.250"})
    EXPECT_TRUE(is_found(node)) << node;
  for (const char* node : {"127.0.0.1", "0.0.0.0", "198.51.100.7", "169.254.169.254", "224.0.0.1",
                           "router.example", "::1", ""})
    EXPECT_FALSE(is_found(node)) << node;
}

TEST_F(PortMapperTest, AMappingIsToldAndRemovedAtTheEnd) {
  auto mapper = PortMapper::start().value();  // before the test's thread
  Router router(honest);
  mapper->map(4433);
  const auto news = next(*mapper);
  ASSERT_TRUE(news);
  EXPECT_EQ(news->way, "PCP") << news->why;
  EXPECT_EQ(news->outside.text(), "203.0.113.9:8193");
  EXPECT_EQ(router.deleted, 0);
  mapper.reset();
  EXPECT_EQ(router.deleted, 1);
}

TEST_F(PortMapperTest, ARouterThatKnowsNatPmpAloneIsAskedSo) {
  auto mapper = PortMapper::start().value();
  Router router(elder);
  mapper->map(4433);
  const auto news = next(*mapper);
  ASSERT_TRUE(news);
  EXPECT_EQ(news->way, "NAT-PMP") << news->why;
  EXPECT_EQ(news->outside.text(), "203.0.113.9:4433");
}

TEST_F(PortMapperTest, WhereNobodyMapsItIsSaidWhatWasTried) {
  auto mapper = PortMapper::start().value();
  mapper->map(4433);
  const auto news = next(*mapper);
  ASSERT_TRUE(news);
  EXPECT_TRUE(news->way.empty());
  for (const char* way : {"PCP: ", "NAT-PMP: ", "UPnP: "})
    EXPECT_NE(news->why.find(way), std::string::npos) << news->why;
}

TEST_F(PortMapperTest, NonsenseIsNoMapping) {
  int turn = 0;
  auto mapper = PortMapper::start().value();
  Router router([&turn](ByteView asked) {
    Bytes out = to_bytes(asked);
    switch (turn++ % 5) {
      case 0:
        return Bytes(1500, 0xff);
      case 1:
        out[1] = 0x81, out[30] ^= 1;  // another's nonce
        return out;
      case 2:
        return Bytes{0x02};
      case 3:
        return Bytes(60, 0x02);
      default:
        return Bytes(16, 0x80);
    }
  });
  mapper->map(4433);
  const auto news = next(*mapper);
  ASSERT_TRUE(news);
  EXPECT_TRUE(news->way.empty()) << news->outside.text();
}

TEST_F(PortMapperTest, AnAddressThatCannotBeIsRefused) {
  auto mapper = PortMapper::start().value();
  Router router([](ByteView asked) {
    Bytes out = honest(asked);
    if (!out.empty()) std::ranges::copy(IpAddress::parse("127.0.0.1")->mapped(), out.begin() + 44);
    return out;
  });
  mapper->map(4433);
  const auto news = next(*mapper);
  ASSERT_TRUE(news);
  EXPECT_TRUE(news->way.empty());
  EXPECT_NE(news->why.find("cannot be"), std::string::npos) << news->why;
}

TEST_F(PortMapperTest, ItsOwnerNeedNotWaitForASlowDevice) {
  auto mapper = PortMapper::start().value();
  mapper->map(4433);
  const auto before = std::chrono::steady_clock::now();
  mapper.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(10));
}

TEST(LocalUrl, NamesAMachineOfThisNetworkInFigures) {
  EXPECT_TRUE(is_local_url("http://192.168.1.1:5000/rootDesc.xml"));
  EXPECT_TRUE(is_local_url("http://10.0.0.1/ctl"));
  for (const char* url : {"http://127.0.0.1:631/", "http://8.8.8.8:80/x", "http://router.example/",
                          "https://10.0.0.1/", "http://", "", "http://192.168.1.1:99999/",
                          "http://user@192.168.1.1/"})
    EXPECT_FALSE(is_local_url(url)) << url;
}

}  // namespace
}  // namespace wow
