// What stands at the subnet's service address, on every node for itself: DNS, and an answer to
// ping.
#pragma once

#include <functional>

#include "base/metrics.h"
#include "tap/dns.h"
#include "tap/packet_view.h"

namespace wow {

class ServiceHost {
 public:
  ServiceHost(const IpAddress& ip, DnsResponder& dns, MetricSlot& metrics,
              std::function<void(ByteView frame)> to_host);

  // A packet of our own host to the service address.
  void take(const EthernetView& ethernet, const Ipv4View& ip);

 private:
  const IpAddress ip_;
  DnsResponder& dns_;
  MetricSlot& metrics_;
  std::function<void(ByteView frame)> to_host_;
};

}  // namespace wow
