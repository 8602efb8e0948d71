#include "tap/outbound.h"

#include <algorithm>
#include <utility>

#include "tap/mac_address.h"

namespace wow {

Outbound::Outbound(const Address& self, const Prefix& subnet, const IpAddress& service_ip,
                   Resolver& resolver, Neighbours& neighbours, MetricSlot& metrics, Hooks hooks)
    : self_(self),
      own_mac_(mac_of(self)),
      subnet_(subnet),
      service_ip_(service_ip),
      resolver_(resolver),
      neighbours_(neighbours),
      metrics_(metrics),
      hooks_(std::move(hooks)),
      stage_(metrics) {}

void Outbound::take(ByteView frame, std::uint8_t facts) {
  const auto ethernet = EthernetView::parse(frame);
  if (!ethernet) return metrics_.add(Metric::kDropFrameKind);
  if (ethernet->source != own_mac_) return metrics_.add(Metric::kDropSourceCheck);
  if (ethernet->type == EtherType::kArp) return on_arp(*ethernet);
  if (ethernet->type == EtherType::kIpv6) return on_ipv6(frame, *ethernet, facts);
  if (ethernet->type != EtherType::kIpv4 || ethernet->is_to_group()) {
    return metrics_.add(Metric::kDropFrameKind);
  }
  on_ipv4(frame, *ethernet, facts);
}

void Outbound::on_arp(const EthernetView& frame) {
  const auto arp = ArpPacket::parse(frame.payload);
  if (!arp || arp->op != ArpPacket::kRequest || arp->sender_mac != own_mac_) {
    return metrics_.add(Metric::kDropFrameKind);
  }
  const auto own_ip = hooks_.own_ip();
  // The host announces its address, or asks whether it is free (RFC 5227): the lease has settled
  // that.
  if (!own_ip || arp->target_ip == *own_ip || !subnet_.contains(arp->target_ip)) return;
  const auto answer = [this, arp = *arp](const MacAddress& mac) {
    hooks_.to_host(write_arp_reply(arp.sender_mac, arp.sender_ip, arp.target_ip, mac));
  };
  if (arp->target_ip == service_ip_) return answer(kServiceMac);
  resolver_.resolve(arp->target_ip, [this, answer](Result<Binding> binding) {
    if (!binding || (binding->node == self_ && binding->mac == own_mac_)) return;
    // The session is made while the host still digests the answer.
    if (binding->node != self_) hooks_.want_session(binding->node);
    answer(binding->mac);
  });
}

void Outbound::on_ipv4(ByteView frame, const EthernetView& ethernet, std::uint8_t facts) {
  const auto ip = Ipv4View::parse(ethernet.payload);
  if (!ip) return metrics_.add(Metric::kDropFrameKind);
  if (hooks_.own_ip() != ip->source) return metrics_.add(Metric::kDropSourceCheck);
  const IpAddress to = ip->destination;
  if (to == service_ip_) return hooks_.to_service(ethernet, *ip);
  forward(frame, to, facts);
}

void Outbound::forward(ByteView frame, const IpAddress& to, std::uint8_t facts) {
  if (!subnet_.contains(to)) return metrics_.add(Metric::kDropNoDestination);
  if (const Binding* binding = resolver_.find(to)) {
    const Way way{binding->node, binding->mac};
    resolver_.resolve(to, [](auto) {});  // an old entry is asked for anew
    return send(way, frame, facts);
  }
  const FrameStage::Key key{Address(), to};
  if (!stage_.add(key, frame, facts)) return;
  resolver_.resolve(to, [this, key](Result<Binding> binding) {
    release(key, binding ? std::optional(Way{binding->node, binding->mac}) : std::nullopt);
  });
}

void Outbound::on_ipv6(ByteView frame, const EthernetView& ethernet, std::uint8_t facts) {
  const auto ip = Ipv6View::parse(ethernet.payload);
  if (!ip) return metrics_.add(Metric::kDropFrameKind);
  if (const auto asked = NeighbourSolicitation::parse(*ip)) {
    return on_solicitation(ethernet, *asked);
  }
  // Multicast: router solicitations and group reports, which every host sends.
  if (ethernet.is_to_group()) return metrics_.add(Metric::kDropFrameKind);
  if (hooks_.own_ip6() != ip->source) return metrics_.add(Metric::kDropSourceCheck);
  const IpAddress to = ip->destination;
  if (const auto node = neighbours_.find(to)) return send({*node, mac_of(*node)}, frame, facts);
  const FrameStage::Key key{Address(), to};
  if (!stage_.add(key, frame, facts)) return;
  neighbours_.resolve(to, [this, key](const auto& node) {
    release(key, node ? std::optional(Way{*node, mac_of(*node)}) : std::nullopt);
  });
}

void Outbound::on_solicitation(const EthernetView& ethernet, const NeighbourSolicitation& asked) {
  const auto own = hooks_.own_ip6();
  // Whether an address is free was settled with the node's own: it follows from that.
  if (!own || asked.asker.is_unspecified() || asked.target == *own) return;
  neighbours_.resolve(asked.target, [this, asked, mac = ethernet.source](const auto& node) {
    if (!node || *node == self_) return;
    hooks_.want_session(*node);
    hooks_.to_host(
        write_neighbour_advertisement(mac, asked.asker, asked.target, mac_of(*node), true));
  });
}

void Outbound::release(const FrameStage::Key& key, const std::optional<Way>& way) {
  for (const auto& waiting : stage_.take(key)) {
    if (way) {
      send(*way, waiting.bytes, waiting.facts);
    } else {
      metrics_.add(Metric::kDropNoDestination);
    }
  }
}

void Outbound::send(const Way& way, ByteView frame, std::uint8_t facts) {
  if (way.node == self_ && way.mac == own_mac_) return metrics_.add(Metric::kDropNoDestination);
  Bytes copy;
  if (!std::equal(way.mac.begin(), way.mac.end(), frame.begin())) {
    // The address has moved and the sender does not know it yet.
    copy = to_bytes(frame);
    std::copy(way.mac.begin(), way.mac.end(), copy.begin());
    frame = copy;
  }
  if (way.node == self_) return hooks_.to_guest(frame);
  hooks_.want_session(way.node);
  if (fits(way.node, frame)) hooks_.to_node(way.node, frame, facts);
}

// If it may not be cut, its sender is told what fits; else routers below may cut the datagram.
bool Outbound::fits(const Address& node, ByteView frame) {
  const std::size_t most = hooks_.frame_max(node);
  if (most == 0 || frame.size() <= most) return true;
  const auto answer = write_too_big(frame, most - EthernetView::kHeaderBytes);
  if (!answer) return true;
  metrics_.add(Metric::kDropTooBig);
  hooks_.to_host(*answer);
  return false;
}

void Outbound::announce(const Binding& binding) {
  if (const auto own_ip = hooks_.own_ip(); own_ip && binding.node != self_) {
    hooks_.to_host(write_arp_reply(own_mac_, *own_ip, binding.ip, binding.mac));
  }
}

}  // namespace wow
