#include "tap/outbound.h"

#include <algorithm>
#include <utility>

#include "tap/mac_address.h"

namespace wow {

Outbound::Outbound(const Address& self, const Prefix& subnet, const IpAddress& service_ip,
                   Resolver& resolver, MetricSlot& metrics, Hooks hooks)
    : self_(self),
      own_mac_(mac_of(self)),
      subnet_(subnet),
      service_ip_(service_ip),
      resolver_(resolver),
      metrics_(metrics),
      hooks_(std::move(hooks)),
      stage_(metrics) {}

void Outbound::take(ByteView frame, std::uint8_t facts) {
  const auto ethernet = EthernetView::parse(frame);
  if (!ethernet) return metrics_.add(Metric::kDropFrameKind);
  if (ethernet->source != own_mac_) return metrics_.add(Metric::kDropSourceCheck);
  if (ethernet->type == EtherType::kArp) return on_arp(*ethernet);
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
    if (!binding || binding->node == self_) return;
    // The session is made while the host still digests the answer.
    hooks_.want_session(binding->node);
    answer(mac_of(binding->node));
  });
}

void Outbound::on_ipv4(ByteView frame, const EthernetView& ethernet, std::uint8_t facts) {
  const auto ip = Ipv4View::parse(ethernet.payload);
  if (!ip) return metrics_.add(Metric::kDropFrameKind);
  if (hooks_.own_ip() != ip->source) return metrics_.add(Metric::kDropSourceCheck);
  const IpAddress to = ip->destination;
  if (to == service_ip_) return hooks_.to_service(ethernet, *ip);
  if (!subnet_.contains(to)) return metrics_.add(Metric::kDropNoDestination);
  if (const Binding* binding = resolver_.find(to)) {
    const Address node = binding->node;
    resolver_.resolve(to, [](auto) {});  // an old entry is asked for anew
    return send(node, frame, facts);
  }
  const FrameStage::Key key{Address(), to};
  if (!stage_.add(key, frame, facts)) return;
  resolver_.resolve(to, [this, key](Result<Binding> binding) {
    for (const auto& waiting : stage_.take(key)) {
      if (binding) {
        send(binding->node, waiting.bytes, waiting.facts);
      } else {
        metrics_.add(Metric::kDropNoDestination);
      }
    }
  });
}

void Outbound::send(const Address& node, ByteView frame, std::uint8_t facts) {
  if (node == self_) return metrics_.add(Metric::kDropNoDestination);
  hooks_.want_session(node);
  if (!fits(node, frame)) return;
  const MacAddress mac = mac_of(node);
  if (std::equal(mac.begin(), mac.end(), frame.begin())) return hooks_.to_node(node, frame, facts);
  // The address has moved and the host does not know it yet.
  Bytes copy = to_bytes(frame);
  std::copy(mac.begin(), mac.end(), copy.begin());
  hooks_.to_node(node, copy, facts);
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
    hooks_.to_host(write_arp_reply(own_mac_, *own_ip, binding.ip, mac_of(binding.node)));
  }
}

}  // namespace wow
