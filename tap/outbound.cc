#include "tap/outbound.h"

#include <algorithm>
#include <utility>

#include "tap/mac_address.h"

namespace wow {
namespace {

// Of a packet that was checked.
IpAddress source_of(ByteView frame) {
  const auto ethernet = EthernetView::parse(frame);
  return ethernet->type == EtherType::kIpv6 ? Ipv6View::parse(ethernet->payload)->source
                                            : Ipv4View::parse(ethernet->payload)->source;
}

}  // namespace

Outbound::Outbound(const Address& self, const IpAddress& service_ip, Resolver& resolver,
                   Neighbours& neighbours, MetricSlot& metrics, Hooks hooks)
    : self_(self),
      own_mac_(mac_of(self)),
      service_ip_(service_ip),
      holders_(resolver, neighbours),
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
  if (!own_ip || arp->target_ip == *own_ip) return;
  const auto answer = [this, arp = *arp](const MacAddress& mac) {
    hooks_.to_host(write_arp_reply(arp.sender_mac, arp.sender_ip, arp.target_ip, mac));
  };
  if (arp->target_ip == service_ip_) return answer(kServiceMac);
  ask(arp->target_ip, answer);
}

void Outbound::ask(const IpAddress& ip, std::function<void(const MacAddress&)> answer) {
  const auto source = ip.is_v4() ? hooks_.own_ip() : hooks_.own_ip6();
  if (!source) return;
  const auto meet = meet_from(*source);
  const auto found = [this, meet, answer = std::move(answer)](const auto& holder) {
    if (!holder || *holder == Holder{self_, own_mac_}) return;
    // The session is made while the host still digests the answer.
    meet(holder->node);
    answer(holder->mac);
  };
  holders_.ask(ip, found, meet);
}

Dht::Likely Outbound::meet_from(const IpAddress& source) {
  return [this, source](const Address& node) {
    if (node != self_) hooks_.want_session(node, source);
  };
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
  if (const auto holder = holders_.find(to)) return send(*holder, frame, facts);
  const FrameStage::Key key{Address(), to};
  if (!stage_.add(key, frame, facts)) return;
  const auto found = [this, key](const auto& holder) { release(key, holder); };
  holders_.ask(to, found, meet_from(source_of(frame)));
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
  forward(frame, ip->destination, facts);
}

void Outbound::on_solicitation(const EthernetView& ethernet, const NeighbourSolicitation& asked) {
  const auto own = hooks_.own_ip6();
  // Whether an address is free was settled with the node's own: it follows from that.
  if (!own || asked.asker.is_unspecified() || asked.target == *own) return;
  ask(asked.target, [this, asked, asker_mac = ethernet.source](const MacAddress& mac) {
    hooks_.to_host(write_neighbour_advertisement(asker_mac, asked.asker, asked.target, mac, true));
  });
}

void Outbound::release(const FrameStage::Key& key, const std::optional<Holder>& to) {
  for (const auto& waiting : stage_.take(key)) {
    if (to) {
      send(*to, waiting.bytes, waiting.facts);
    } else {
      metrics_.add(Metric::kDropNoDestination);
    }
  }
}

void Outbound::send(const Holder& to, ByteView frame, std::uint8_t facts) {
  if (to == Holder{self_, own_mac_}) return metrics_.add(Metric::kDropNoDestination);
  Bytes copy;
  if (!std::equal(to.mac.begin(), to.mac.end(), frame.begin())) {
    // The address has moved and the sender does not know it yet.
    copy = to_bytes(frame);
    std::copy(to.mac.begin(), to.mac.end(), copy.begin());
    frame = copy;
  }
  if (to.node == self_) return hooks_.to_guest(frame);
  hooks_.want_session(to.node, source_of(frame));
  if (fits(to.node, frame)) hooks_.to_node(to.node, frame, facts);
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
  const bool six = !binding.ip.is_v4();
  const auto own = six ? hooks_.own_ip6() : hooks_.own_ip();
  if (!own || Holder{binding.node, binding.mac} == Holder{self_, own_mac_}) return;
  hooks_.to_host(six ? write_neighbour_advertisement(own_mac_, *own, binding.ip, binding.mac, false)
                     : write_arp_reply(own_mac_, *own, binding.ip, binding.mac));
}

}  // namespace wow
