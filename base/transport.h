// The seam to the underlay: datagrams out, in batches. What comes in is handed to the core by
// whoever owns the socket.
#pragma once

#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/endpoint.h"

namespace wow {

// One datagram to send, as two parts so that a header need not be copied in front of its payload;
// or many of one size to one endpoint, that lie one behind the other.
struct Datagram {
  Endpoint to;
  ByteView head;
  ByteView body;
  std::uint8_t ecn = 0;  // RFC 3168 codepoint, 0..3
  // Not 0: `head` is empty, and `body` is sent as datagrams of so many bytes, the last of what is
  // left. At most kSegmentsMax of them and kSegmentedBytesMax together.
  std::uint16_t segment_bytes = 0;
  // Larger than a link on its way: lost rather than fragmented.
  bool dont_fragment = false;

  static constexpr std::size_t kSegmentsMax = 64;  // UDP_MAX_SEGMENTS of older kernels
  static constexpr std::size_t kSegmentedBytesMax = 65000;
};

class Transport {
 public:
  virtual ~Transport() = default;
  // Best effort: what the kernel refuses is lost and counted. The views need to live only during
  // the call.
  virtual void send(std::span<const Datagram> batch) = 0;
  // Host candidates (RFC 8445, 5.1.1.1): every usable local address with the bound port.
  virtual std::vector<Endpoint> local_endpoints() const = 0;
  // Besides the node's own socket there are up to 255 more, by number: to send to an endpoint that
  // names one opens it, and what comes in there is handed in from an endpoint that names it. (A NAT
  // that has another outside port for each destination has another one for each of them, too.) This
  // closes one; the next use of its number opens another.
  virtual void release(std::uint8_t socket) { (void)socket; }
};

}  // namespace wow
