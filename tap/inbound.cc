#include "tap/inbound.h"

#include <utility>

#include "tap/mac_address.h"

namespace wow {
namespace {

constexpr std::uint16_t kDhcpServerPort = 67;
constexpr std::uint8_t kIcmpRedirect = 5;

bool is_never_taken(const Ipv4View& ip) {
  if (ip.source.is_multicast() || ip.destination.is_multicast()) return true;
  if (!ip.first || ip.payload.empty()) return false;
  if (ip.protocol == IpProtocol::kIcmp) return ip.payload[0] == kIcmpRedirect;
  if (ip.protocol != IpProtocol::kUdp) return false;
  // By the port alone: a lying length must not hide it.
  return ip.payload.size() < 2 || get_big_endian(ip.payload.data(), 2) == kDhcpServerPort;
}

}  // namespace

std::optional<InboundFrame> InboundFrame::parse(ByteView frame) {
  const auto ethernet = EthernetView::parse(frame);
  if (!ethernet || ethernet->type != EtherType::kIpv4 || ethernet->is_to_group()) {
    return std::nullopt;
  }
  const auto ip = Ipv4View::parse(ethernet->payload);
  if (!ip || is_never_taken(*ip)) return std::nullopt;
  return InboundFrame{*ethernet, *ip, frame.first(EthernetView::kHeaderBytes + ip->total_bytes)};
}

Inbound::Inbound(const Address& self, Resolver& resolver, Clock& clock, MetricSlot& metrics,
                 Hooks hooks)
    : own_mac_(mac_of(self)),
      resolver_(resolver),
      clock_(clock),
      metrics_(metrics),
      hooks_(std::move(hooks)),
      stage_(metrics) {}

void Inbound::take(const Address& peer, ByteView bytes) {
  const auto frame = InboundFrame::parse(bytes);
  if (!frame) return metrics_.add(Metric::kDropFrameKind);
  if (frame->ethernet.source != mac_of(peer)) return metrics_.add(Metric::kDropSourceCheck);
  const auto own_ip = hooks_.own_ip();
  if (frame->ethernet.destination != own_mac_ || own_ip != frame->ip.destination) {
    metrics_.add(Metric::kDropNotMine);
    if (own_ip) tell_not_mine(peer, frame->ip.destination);
    return;
  }
  const IpAddress source = frame->ip.source;
  const Binding* binding = resolver_.find(source);
  if (binding && binding->node == peer) return hooks_.to_host(frame->bytes);
  const FrameStage::Key key{peer, source};
  if (!stage_.add(key, frame->bytes, 0)) return;
  if (!may_look_up(peer)) {
    stage_.take(key);
    return metrics_.add(Metric::kDropRateLimited);
  }
  resolver_.resolve_again(source, [this, key](Result<Binding> found) {
    for (const auto& waiting : stage_.take(key)) {
      if (found && found->node == key.first) {
        hooks_.to_host(waiting.bytes);
      } else {
        metrics_.add(Metric::kDropSourceCheck);
      }
    }
  });
}

bool Inbound::may_look_up(const Address& peer) {
  if (look_ups_.size() >= kPeersMax && !look_ups_.contains(peer)) look_ups_.clear();
  return look_ups_.try_emplace(peer, kLookUpsPerSecond).first->second.pass(clock_.now());
}

void Inbound::tell_not_mine(const Address& peer, const IpAddress& ip) {
  if (clock_.now() - second_began_ >= 1s) {
    second_began_ = clock_.now();
    told_ = 0;
  }
  if (told_++ < kNotMineBurst) hooks_.not_mine(peer, ip);
}

}  // namespace wow
