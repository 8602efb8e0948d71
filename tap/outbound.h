// Frames that the host sends into the virtual network and that no worker could place: ARP is
// answered here, an IPv4 packet goes to whoever holds its destination, the service address is ours,
// and everything else stays out of the overlay.
#pragma once

#include <functional>
#include <optional>

#include "base/metrics.h"
#include "tap/arp.h"
#include "tap/frame_stage.h"
#include "tap/packet_view.h"
#include "tap/resolver.h"
#include "tap/too_big.h"

namespace wow {

class Outbound {
 public:
  struct Hooks {
    std::function<std::optional<IpAddress>()> own_ip;  // to send from now
    std::function<void(ByteView frame)> to_host;
    std::function<void(const Address& node, ByteView frame, std::uint8_t facts)> to_node;
    std::function<void(const Address& node)> want_session;
    // The largest frame that the way to a node carries; 0: not known.
    std::function<std::size_t(const Address& node)> frame_max;
    std::function<void(const EthernetView&, const Ipv4View&)> to_service;
  };

  Outbound(const Address& self, const Prefix& subnet, const IpAddress& service_ip,
           Resolver& resolver, MetricSlot& metrics, Hooks hooks);

  void take(ByteView frame, std::uint8_t facts);
  // `ip` has moved to another node: the host's ARP entry for it follows.
  void announce(const Binding& binding);

 private:
  void on_arp(const EthernetView& frame);
  void on_ipv4(ByteView frame, const EthernetView& ethernet, std::uint8_t facts);
  void send(const Address& node, ByteView frame, std::uint8_t facts);
  bool fits(const Address& node, ByteView frame);

  const Address self_;
  const MacAddress own_mac_;
  const Prefix subnet_;
  const IpAddress service_ip_;
  Resolver& resolver_;
  MetricSlot& metrics_;
  Hooks hooks_;
  FrameStage stage_;
};

}  // namespace wow
