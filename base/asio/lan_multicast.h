// Datagrams to everybody on the LANs that this machine is on, IPv4 and IPv6, at one port; several
// programs of one machine may listen. Executor's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>

#include "base/bytes.h"
#include "base/endpoint.h"
#include "base/error.h"
#include "base/metrics.h"

namespace wow {

class LanMulticast {
 public:
  struct Groups {
    // Never forwarded by a router: local scope (RFC 2365) with a TTL of 1, link-local scope.
    const char* v4 = "239.255.87.79";
    const char* v6 = "ff12::776f:77";
    std::uint16_t port = 4743;
  };
  static constexpr std::size_t kInterfacesMax = 16;
  static constexpr std::size_t kDatagramBytesMax = 512;

  using Receiver = std::function<void(MutableBytes packet, const IpAddress& from)>;

  // An error if neither IPv4 nor IPv6 can be had.
  static Result<std::unique_ptr<LanMulticast>> open(boost::asio::any_io_executor executor,
                                                    const Groups& groups, MetricSlot& metrics,
                                                    Receiver receive);
  ~LanMulticast();

  // Looks anew which interfaces there are: all that are up and have an address, but loopback and
  // our own (named wow-...).
  void refresh();
  // Once on each interface and family; what the kernel refuses is lost and counted.
  void send(ByteView packet);

 private:
  class Impl;
  explicit LanMulticast(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace wow
