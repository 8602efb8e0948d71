// Two packet workers between a stand-in for a TAP and UDP sockets on the loopback, with two peers
// that hold the other ends of real keys. A pair of packet sockets stands for each queue of the TAP:
// one frame a read, one a write, as there.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <memory>
#include <semaphore>
#include <string>
#include <vector>

#include "base/asio/system_random.h"
#include "base/asio/udp_socket.h"
#include "proto/headers.h"
#include "tunnel/linux/packet_worker.h"

namespace wow {

inline constexpr int kWorkers = 2;
inline constexpr std::uint64_t kOwnMac = 0x020000000001;
inline const IpAddress kOwnIp = *IpAddress::parse("10.128.0.1");

// What a frame says of itself.
struct FrameParts {
  std::uint64_t to = 0;
  std::uint64_t from = kOwnMac;
  std::string source = "10.128.0.1";
  std::string destination = "10.128.0.2";
  std::uint16_t type = 0x0800;
  std::uint8_t protocol = 253;  // RFC 3692: experiments
  std::string payload = "hello";
};
Bytes frame(const FrameParts& parts);

// A member elsewhere: its socket, its MAC and address, and the keys of its session with us.
struct Peer {
  // `index`: what it puts into its packets to us; it picks our worker.
  Peer(std::uint8_t number, std::uint32_t index);

  // A data packet to us.
  Bytes seal(ByteView plain, std::uint8_t lane = 1);
  // The next packet from us, opened, and its header; nothing after 5 s.
  struct Got {
    DataHeader header;
    Bytes plain;
    std::size_t bytes;
  };
  std::optional<Got> receive();

  // A frame as it sends them, and one to it.
  FrameParts from_it(const std::string& payload = "hello") const;
  FrameParts to_it(const std::string& payload = "hello") const;

  std::uint64_t mac;
  IpAddress ip;
  std::uint32_t index;
  UdpSocket socket;
  Endpoint endpoint;
  std::shared_ptr<SessionKeys> ours;  // our end
  KeyPhases phases{{}, {}};           // its own
  std::vector<Sealer> sealers;        // its own, by lane
  std::unique_ptr<Opener> opener;
};

class WorkerWorld : public testing::Test {
 protected:
  static void SetUpTestSuite();
  WorkerWorld();
  ~WorkerWorld() override;

  // The tables name these peers and no others.
  void publish(const std::vector<const Peer*>& peers);
  static ReceiveEntry receive_entry(const Peer& peer) {
    return {peer.ours, peer.endpoint, peer.mac, peer.ip};
  }
  void start(const std::vector<TapQueue>& taps);
  void start() { start({TapQueue{queue_ends_[0]}, TapQueue{queue_ends_[1]}}); }
  void stop() { workers_.clear(); }

  void tap_sends(int queue, ByteView frame);
  // The next frame that a worker wrote into the TAP; empty if none came within the time.
  Bytes tap_receives(int queue, int milliseconds = 5000);
  void peer_sends(const UdpSocket& from, ByteView packet);
  // The next things handed to the control thread.
  Punt punted();
  std::uint64_t total(Metric metric) const { return metrics_.total(metric); }

  Peer even_{2, 0x1000}, odd_{3, 0x1001};
  Metrics metrics_;
  SystemRandom random_;
  ForwardingTables tables_{kWorkers};
  std::counting_semaphore<> woken_{0};
  PuntQueue punts_{[this] { woken_.release(); }};
  StreamOutlet streams_{[this] { woken_.release(); }};
  std::vector<Punt> taken_;
  std::vector<UdpSocket> sockets_;
  std::array<int, kWorkers> tap_{}, queue_ends_{};
  std::vector<std::unique_ptr<PacketWorker>> workers_;
};

}  // namespace wow
