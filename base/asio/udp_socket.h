// A UDP socket as a descriptor: IPv6 dual-stack where the kernel has IPv6, else IPv4. Batches by
// sendmmsg and recvmmsg, for the control thread and for packet workers alike; the calls may come
// from any thread.
#pragma once

#include <netinet/in.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/endpoint.h"
#include "base/error.h"
#include "base/metrics.h"
#include "base/transport.h"

namespace wow {

class UdpSocket {
 public:
  static constexpr std::size_t kBatch = 32;

  // Binds all addresses at `port` (0: any free one). `shared`: one of several sockets at this port
  // (SO_REUSEPORT). Errors name the port and the cure.
  static Result<UdpSocket> open(std::uint16_t port, bool shared = false);
  UdpSocket(UdpSocket&& other) noexcept;
  UdpSocket& operator=(UdpSocket&& other) noexcept;
  ~UdpSocket();

  int fd() const { return fd_; }
  std::uint16_t port() const { return port_; }

  // From now on datagrams of one flow may be received as one (UDP_GRO), with ECN marks: the reader
  // must be an UdpReceiver::kCoalesced. Without it in the kernel they come singly.
  void coalesce() const;

  // What the kernel refuses is counted and lost. Segments go out in one call where the kernel and
  // the device can cut them, else one by one.
  void send(std::span<const Datagram> batch, MetricSlot& metrics) const;

  // Among sockets that share the port, data packets go to socket (receiver index mod `sockets`), so
  // that one worker owns each session; others to socket 0. Call once, on the first socket, after
  // all are open.
  bool steer_by_receiver_index(int sockets) const;

 private:
  struct Messages;

  UdpSocket(int fd, std::uint16_t port, bool v6) : fd_(fd), port_(port), v6_(v6) {}
  void send_singly(const Datagram& segmented, MetricSlot& metrics) const;
  bool cannot_segment(int error) const;

  int fd_ = -1;
  std::uint16_t port_ = 0;
  bool v6_ = false;
  mutable std::atomic<bool> segments_{true};
};

// Receives batches into buffers of its own. One thread.
class UdpReceiver {
 public:
  // Larger datagrams are cut by the kernel and dropped here: nobody sends such (jumbo frames fit).
  static constexpr std::size_t kDatagramBytesMax = 9216;
  // What a coalescing socket hands over at once.
  static constexpr std::size_t kCoalescedBytesMax = 65536;

  struct Received {
    Endpoint from;
    MutableBytes packet;
    std::size_t segment_bytes = 0;  // coalesced: of each datagram but the last; else all of it
    std::uint8_t ecn = 0;           // a coalescing socket's: RFC 3168 codepoint
  };
  enum Kind : std::uint8_t { kSingle, kCoalesced };
  explicit UdpReceiver(Kind kind = kSingle);
  ~UdpReceiver();
  // What is there now, without waiting; valid until the next call.
  std::span<const Received> receive(const UdpSocket& socket, MetricSlot& metrics);

 private:
  struct Messages;
  const std::size_t batch_;
  const std::size_t slot_bytes_;
  std::unique_ptr<std::uint8_t[]> storage_;  // touched only as far as it is used
  std::unique_ptr<Messages> messages_;
  std::vector<Received> received_;
};

// Local addresses that peers might reach: not loopback (unless asked), link-local, multicast or on
// an interface of ours (named wow-...). Sorted by family, IPv4 first.
std::vector<IpAddress> local_addresses(bool with_loopback = false);

}  // namespace wow
