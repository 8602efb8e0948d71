// Frames that the host sends into the virtual network and that no worker could place: ARP and
// neighbour discovery are answered here, an IP packet goes to whoever holds its destination, the
// service address is ours, and everything else stays out of the overlay.
#pragma once

#include <functional>
#include <optional>

#include "base/metrics.h"
#include "tap/arp.h"
#include "tap/frame_stage.h"
#include "tap/holders.h"
#include "tap/ipv6_view.h"
#include "tap/packet_view.h"
#include "tap/too_big.h"

namespace wow {

class Outbound {
 public:
  struct Hooks {
    std::function<std::optional<IpAddress>()> own_ip;  // to send from now
    std::function<void(ByteView frame)> to_host;
    std::function<void(const Address& node, ByteView frame, std::uint8_t facts)> to_node;
    // For packets from `source`.
    std::function<void(const Address& node, const IpAddress& source)> want_session;
    // The largest frame that the way to a node carries; 0: not known.
    std::function<std::size_t(const Address& node)> frame_max;
    std::function<void(const EthernetView&, const Ipv4View&)> to_service;
    // Our inner IPv6 address while it may be used.
    std::function<std::optional<IpAddress>()> own_ip6 = [] { return std::nullopt; };
    // A packet for a guest on our own bridge, whose MAC it has.
    std::function<void(ByteView frame)> to_guest = [](auto) {};
  };

  Outbound(const Address& self, const IpAddress& service_ip, Resolver& resolver,
           Neighbours& neighbours, MetricSlot& metrics, Hooks hooks);

  void take(ByteView frame, std::uint8_t facts);
  // A packet whose source was checked: the host's own, or a guest's on our bridge.
  void forward(ByteView frame, const IpAddress& to, std::uint8_t facts);
  // An address has moved to another node, or a guest of ours has it now: what the host's kernel
  // knows of it follows.
  void announce(const Binding& binding);

 private:
  void on_arp(const EthernetView& frame);
  void on_ipv4(ByteView frame, const EthernetView& ethernet, std::uint8_t facts);
  void on_ipv6(ByteView frame, const EthernetView& ethernet, std::uint8_t facts);
  void on_solicitation(const EthernetView& ethernet, const NeighbourSolicitation& asked);
  // `answer` gets the MAC of who holds `ip`, if that is another than we.
  void ask(const IpAddress& ip, std::function<void(const MacAddress&)> answer);
  // A session is made with whoever seems to hold what is looked up, while that is being proven.
  Dht::Likely meet_from(const IpAddress& source);
  // What waited for its destination goes there, or nowhere.
  void release(const FrameStage::Key& key, const std::optional<Holder>& to);
  void send(const Holder& to, ByteView frame, std::uint8_t facts);
  bool fits(const Address& node, ByteView frame);

  const Address self_;
  const MacAddress own_mac_;
  const IpAddress service_ip_;
  Holders holders_;
  MetricSlot& metrics_;
  Hooks hooks_;
  FrameStage stage_;
};

}  // namespace wow
