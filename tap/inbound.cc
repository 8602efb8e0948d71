#include "tap/inbound.h"

#include <utility>

#include "tap/mac_address.h"

namespace wow {
namespace {

constexpr std::uint16_t kDhcpServerPort = 67;
constexpr std::uint8_t kIcmpRedirect = 5;
constexpr std::uint16_t kDhcpV6ServerPort = 547;

bool is_never_taken(const Ipv4View& ip) {
  if (ip.source.is_multicast() || ip.destination.is_multicast()) return true;
  if (!ip.first || ip.payload.empty()) return false;
  if (ip.protocol == IpProtocol::kIcmp) return ip.payload[0] == kIcmpRedirect;
  if (ip.protocol != IpProtocol::kUdp) return false;
  // By the port alone: a lying length must not hide it.
  return ip.payload.size() < 2 || get_big_endian(ip.payload.data(), 2) == kDhcpServerPort;
}

bool is_never_taken(const Ipv6View& ip) {
  if (ip.source.is_multicast() || ip.destination.is_multicast()) return true;
  switch (ip.protocol) {
    case Ipv6View::kIcmp:
      return ip.payload.empty() || steers_hosts(ip.payload[0]);
    case Ipv6View::kUdp:
      return ip.payload.size() < 2 || get_big_endian(ip.payload.data(), 2) == kDhcpV6ServerPort;
    default:
      return false;
  }
}

}  // namespace

std::optional<InboundFrame> InboundFrame::parse(ByteView frame) {
  const auto ethernet = EthernetView::parse(frame);
  if (!ethernet || ethernet->is_to_group()) return std::nullopt;
  const auto of = [&](const auto& ip) -> std::optional<InboundFrame> {
    if (!ip || is_never_taken(*ip)) return std::nullopt;
    return InboundFrame{*ethernet, ip->source, ip->destination,
                        frame.first(EthernetView::kHeaderBytes + ip->total_bytes)};
  };
  if (ethernet->type == EtherType::kIpv4) return of(Ipv4View::parse(ethernet->payload));
  if (ethernet->type == EtherType::kIpv6) return of(Ipv6View::parse(ethernet->payload));
  return std::nullopt;
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
  if (!frame && hooks_.other(peer, bytes)) return;
  if (!frame) return metrics_.add(Metric::kDropFrameKind);
  const IpAddress source = frame->source;
  if (!is_ours(*frame)) {
    metrics_.add(Metric::kDropNotMine);
    // What follows from its node's address does not move.
    const bool may_move = frame->destination.is_v4() || resolver_.is_leased(frame->destination);
    if (may_move && hooks_.own_ip()) tell_not_mine(peer, frame->destination);
    return;
  }
  if (!source.is_v4() && !resolver_.is_leased(source)) {
    const bool own = frame->ethernet.source == mac_of(peer) && source == hooks_.ip6_of(peer);
    return own ? deliver(*frame) : metrics_.add(Metric::kDropSourceCheck);
  }
  const auto is_senders = [peer, mac = frame->ethernet.source](const Binding& binding) {
    return binding.node == peer && (mac == mac_of(peer) || mac == binding.mac);
  };
  const Binding* binding = resolver_.find(source);
  if (binding && is_senders(*binding)) return deliver(*frame);
  const FrameStage::Key key{peer, source};
  if (!stage_.add(key, frame->bytes, 0)) return;
  if (!may_look_up(peer)) {
    stage_.take(key);
    return metrics_.add(Metric::kDropRateLimited);
  }
  resolver_.resolve_again(source, [this, key, is_senders](Result<Binding> found) {
    for (const auto& waiting : stage_.take(key)) {
      if (found && is_senders(*found)) {
        deliver(*InboundFrame::parse(waiting.bytes));
      } else {
        metrics_.add(Metric::kDropSourceCheck);
      }
    }
  });
}

void Inbound::expect(const Address& peer, const IpAddress& source) {
  if (!resolver_.is_leased(source)) return;
  const Binding* binding = resolver_.find(source);
  if (binding && binding->node == peer) return;
  if (!may_look_up(peer)) return metrics_.add(Metric::kDropRateLimited);
  resolver_.resolve_again(source, [](auto&&) {});
}

void Inbound::deliver(const InboundFrame& frame) {
  if (const auto guest = hooks_.guest_at(frame.destination)) {
    return hooks_.to_guest(*guest, frame.bytes);
  }
  hooks_.to_host(frame.bytes);
}

bool Inbound::is_ours(const InboundFrame& frame) const {
  const MacAddress& to = frame.ethernet.destination;
  if (const auto guest = hooks_.guest_at(frame.destination)) return to == *guest || to == own_mac_;
  const bool six = frame.ethernet.type == EtherType::kIpv6;
  return to == own_mac_ && (six ? hooks_.own_ip6() : hooks_.own_ip()) == frame.destination;
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
