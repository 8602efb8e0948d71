// Two packet workers on the two queues of a real TAP.
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>
#include <set>

#include "tap/linux/netlink.h"
#include "tap/linux/tap_device.h"
#include "tests/tunnel/linux/worker_world.h"

namespace wow {
namespace {

class TapQueuesTest : public WorkerWorld {
 protected:
  void SetUp() override {
    auto tap = TapDevice::open("wow-lab", {2, 0, 0, 0, 0, 1}, 1380, kWorkers);
    if (!tap) GTEST_SKIP() << tap.error().message;
    device_ = std::make_unique<TapDevice>(std::move(*tap));
    ASSERT_TRUE(configure_interface(device_->index(), kOwnIp, *Prefix::parse("10.128.0.0/16")));
    // The host's side of the interface, frame by frame.
    host_ = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
    sockaddr_ll at{};
    at.sll_family = AF_PACKET;
    at.sll_protocol = htons(ETH_P_ALL);
    at.sll_ifindex = device_->index();
    ASSERT_EQ(bind(host_, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    start(device_->queues());
  }
  void TearDown() override {
    stop();
    if (host_ >= 0) close(host_);
  }
  // The next frame that came in through the TAP, whatever the host itself says meanwhile.
  Bytes host_receives() {
    for (;;) {
      pollfd wait{host_, POLLIN, 0};
      if (poll(&wait, 1, 5000) != 1) return {};
      Bytes out(65536);
      sockaddr_ll from{};
      socklen_t length = sizeof from;
      out.resize(static_cast<std::size_t>(
          recvfrom(host_, out.data(), out.size(), 0, reinterpret_cast<sockaddr*>(&from), &length)));
      if (from.sll_pkttype != PACKET_OUTGOING) return out;
    }
  }

  std::unique_ptr<TapDevice> device_;
  int host_ = -1;
};

TEST_F(TapQueuesTest, FlowsAreSharedOutAndEachIsSealedOnOneLane) {
  constexpr std::uint16_t kFlows = 64;
  for (int round = 0; round < 2; ++round) {
    for (std::uint16_t port = 1000; port < 1000 + kFlows; ++port) {
      Writer udp;
      udp.u16(port).u16(9).u16(8).u16(0);
      FrameParts parts = even_.to_it(to_string(udp.view()));
      parts.protocol = 17;
      const Bytes out = frame(parts);
      ASSERT_EQ(send(host_, out.data(), out.size(), 0), static_cast<ssize_t>(out.size()));
    }
  }
  std::map<std::uint64_t, std::set<int>> lanes_of_flow;
  std::set<int> lanes;
  for (int i = 0; i < 2 * kFlows; ++i) {
    const auto got = even_.receive();
    ASSERT_TRUE(got);
    lanes_of_flow[get_big_endian(got->plain.data() + 1 + 14 + 20, 2)].insert(got->header.lane);
    lanes.insert(got->header.lane);
  }
  EXPECT_EQ(lanes, (std::set<int>{1, 2}));
  ASSERT_EQ(lanes_of_flow.size(), kFlows);
  for (const auto& [port, used] : lanes_of_flow) EXPECT_EQ(used.size(), 1u) << port;
}

TEST_F(TapQueuesTest, FramesOfBothWorkersReachTheHost) {
  std::set<Bytes> wanted, got;
  const std::uint8_t kind = static_cast<std::uint8_t>(DataKind::kFrame);
  for (int i = 0; i < 20; ++i) {
    Peer& peer = i % 2 ? odd_ : even_;
    const Bytes in = frame(peer.from_it(std::to_string(i)));
    wanted.insert(in);
    peer_sends(peer.socket, peer.seal(concat({ByteView(&kind, 1), in})));
  }
  while (got.size() < wanted.size()) {
    const Bytes in = host_receives();
    ASSERT_FALSE(in.empty());
    got.insert(in);
  }
  EXPECT_EQ(got, wanted);
  stop();
  EXPECT_EQ(total(Metric::kFramesIn), wanted.size());
}

}  // namespace
}  // namespace wow
