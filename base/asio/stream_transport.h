// Streams to and from other nodes: TCP connections that carry packets where UDP does not get
// through. A stream is named by its far endpoint; a packet for an endpoint that can be dialled
// opens one. Each has a short queue of its own: what it cannot send in time is dropped, the oldest
// first, as a network would. Strangers are bounded by number and time. On one executor.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/asio/proxy.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/metrics.h"
#include "base/transport.h"

namespace wow {

// Every bound and interval of streams, named once.
struct StreamLimits {
  std::size_t streams_max = 512;         // in all
  std::size_t dialling_max = 24;         // not open yet
  std::size_t unproven_max = 128;        // accepted, from whoever; the oldest makes room
  std::size_t unproven_per_source = 24;  // of these from one IPv4 address or IPv6 /64
  Duration dial_limit = 8s;              // until a stream that we open can carry packets
  Duration prove_limit = 10s;            // until its far end has proven to be a member
  Duration idle_limit = 150s;            // nothing to or fro
  Duration redial_first = 1s;            // after a stream could not be opened; doubles
  Duration redial_max = 30s;
  std::size_t redials_max = 256;        // endpoints so remembered
  std::size_t names_max = 512;          // addresses whose names are known
  std::size_t queue_packets_max = 256;  // that wait to be sent, of one stream
  std::size_t queue_bytes_max = 256 * 1024;
};

struct StreamOptions {
  std::string target;          // of TLS streams: the path that members ask for
  std::optional<Proxy> proxy;  // HTTP: for TLS streams; SOCKS: for all
  StreamLimits limits;
};

class StreamTransport {
 public:
  struct Handlers {
    // A packet came; `from` names the stream, and answers go back on it.
    std::function<void(MutableBytes packet, const Endpoint& from)> packet;
    // A stream has ended, or could not be opened.
    std::function<void(const Endpoint& far)> closed;
    // Those whose far ends have proven themselves.
    std::function<std::unordered_set<Endpoint, EndpointHash>()> proven;
  };

  StreamTransport(boost::asio::any_io_executor executor, StreamOptions options,
                  MetricSlot& metrics);
  ~StreamTransport();

  // Binds all addresses at `port` (0: any free one), for Carrier kTcp or kTls. The error names the
  // port and the cure. Nothing is accepted before start().
  Result<void> listen(Carrier carrier, std::uint16_t port);
  std::optional<std::uint16_t> port(Carrier carrier) const;
  // TLS streams to `ip` say this name, and proxies are asked for it instead of the address.
  void set_name(const IpAddress& ip, const std::string& name);
  // Before this process becomes that user: the kernel lets streams leave from the port of a
  // listener only if both belong to one (SO_REUSEPORT, socket(7)).
  void give_to(unsigned uid);

  void start(Handlers handlers);
  void stop();

  // Sends on the stream to `packets.to`, which is dialled if need be: one packet, or many of one
  // size. Nothing is promised.
  void send(const Datagram& packets);
  // Ends what we dialled: our addresses have changed. Packets for them dial anew.
  void redial_all();
  // "through proxy http://10.0.0.1:3128", before it "as pool.example " if it has that name; or
  // empty.
  std::string via(const Endpoint& far) const;
  std::size_t size() const;  // streams, open or not

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace wow
