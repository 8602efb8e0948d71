#include "tap/layer2.h"

#include <algorithm>
#include <utility>

#include "tap/dhcp.h"
#include "tap/ipv6_view.h"

namespace wow {
namespace {

constexpr EtherType kReverseArp{0x8035};
constexpr IpProtocol kIgmp{2};
constexpr std::uint16_t kDhcpV6Client = 546, kDhcpV6Server = 547;  // RFC 8415, 7.2

// Spanning tree, pause, LLDP and the like: 01:80:c2:00:00:0x.
bool is_for_the_next_bridge(const MacAddress& to) {
  return to[0] == 0x01 && to[1] == 0x80 && to[2] == 0xc2 && to[3] == 0 && to[4] == 0 &&
         to[5] < 0x10;
}

// DHCP, and group reports that would steer the switches of the other LAN.
bool configures(const Ipv4View& ip) {
  if (ip.protocol == kIgmp) return true;
  if (ip.protocol != IpProtocol::kUdp || !ip.first) return false;
  const auto udp = UdpView::parse(ip.payload);
  const auto is_dhcp = [](std::uint16_t port) {
    return port == DhcpMessage::kServerPort || port == DhcpMessage::kClientPort;
  };
  return !udp || is_dhcp(udp->source_port) || is_dhcp(udp->destination_port);
}

bool configures(const Ipv6View& ip) {
  const auto is_dhcp = [&](std::size_t at) {
    const std::uint64_t port = get_big_endian(ip.payload.data() + at, 2);
    return port == kDhcpV6Client || port == kDhcpV6Server;
  };
  switch (ip.protocol) {
    case Ipv6View::kIcmp:
      return ip.payload.empty() || steers_hosts(ip.payload[0]) || steers_switches(ip.payload[0]);
    case Ipv6View::kUdp:
      return ip.payload.size() < UdpView::kHeaderBytes || is_dhcp(0) || is_dhcp(2);
    default:
      return false;
  }
}

bool is_ip(const EthernetView& ethernet) {
  return ethernet.type == EtherType::kIpv4 || ethernet.type == EtherType::kIpv6;
}

// The source of a packet to many; nothing if it is none, or of those that configure.
std::optional<IpAddress> source_of(const EthernetView& ethernet) {
  if (!is_ip(ethernet) || !ethernet.is_to_group()) return std::nullopt;
  if (ethernet.type == EtherType::kIpv4) {
    const auto ip = Ipv4View::parse(ethernet.payload);
    return ip && !configures(*ip) ? std::optional(ip->source) : std::nullopt;
  }
  const auto ip = Ipv6View::parse(ethernet.payload);
  const bool may_pass = ip && ip->destination.is_multicast() && !configures(*ip);
  return may_pass ? std::optional(ip->source) : std::nullopt;
}

}  // namespace

bool stays_at_home(const EthernetView& ethernet) {
  return is_for_the_next_bridge(ethernet.destination) || ethernet.type == EtherType::kArp ||
         ethernet.type == kReverseArp;
}

Layer2::Layer2(Resolver& resolver, Clock& clock, MetricSlot& metrics, Hooks hooks)
    : resolver_(resolver), clock_(clock), metrics_(metrics), hooks_(std::move(hooks)) {}

void Layer2::send(ByteView frame, const EthernetView& ethernet) {
  if (stays_at_home(ethernet)) return metrics_.add(Metric::kDropFrameKind);
  if (is_ip(ethernet) && !source_of(ethernet)) return metrics_.add(Metric::kDropFrameKind);
  const TimePoint now = clock_.now();
  if (!out_.pass(now)) return metrics_.add(Metric::kDropRateLimited);
  const auto known = learnt_.find(ethernet.destination);
  if (known != learnt_.end() && now - known->second.at < kKept) {
    return hooks_.to_node(known->second.peer, frame);
  }
  if (!floods_.pass(now)) return metrics_.add(Metric::kDropRateLimited);
  hooks_.for_each_other([&](const Address& node) { hooks_.to_node(node, frame); });
}

void Layer2::take(const Address& peer, ByteView frame) {
  const auto ethernet = EthernetView::parse(frame);
  if (!ethernet || !hooks_.may_bridge(peer) || stays_at_home(*ethernet)) {
    return metrics_.add(Metric::kDropFrameKind);
  }
  if (!in_.pass(clock_.now())) return metrics_.add(Metric::kDropRateLimited);
  if (is_ip(*ethernet) && !source_of(*ethernet)) return metrics_.add(Metric::kDropFrameKind);
  if (!is_source_right(peer, *ethernet)) return metrics_.add(Metric::kDropSourceCheck);
  hooks_.to_lan(frame);
}

bool Layer2::is_source_right(const Address& peer, const EthernetView& ethernet) {
  const MacAddress& mac = ethernet.source;
  if (mac[0] & 1 || hooks_.is_local(mac)) return false;
  if (const auto from = source_of(ethernet)) {
    const Binding* binding = resolver_.find(*from);
    // The next broadcast may find it known.
    if (!binding) resolver_.resolve(*from, [](auto) {});
    if (!binding || binding->node != peer || binding->mac != mac) return false;
  }
  return learn(peer, mac);
}

bool Layer2::learn(const Address& peer, const MacAddress& mac) {
  const TimePoint now = clock_.now();
  const auto known = learnt_.find(mac);
  if (known != learnt_.end()) {
    Learnt& before = known->second;
    if (before.peer != peer && now - before.at < kStays) return false;
    if (before.peer == peer) {
      before.at = now;
      return true;
    }
    --macs_of_[before.peer];
    learnt_.erase(known);
  }
  // Nor one that a lease or a guest's record gives to somebody else.
  if (resolver_.is_of_another(mac, peer)) return false;
  if (macs_of_[peer] >= kMacsPerPeerMax) {
    std::erase_if(learnt_, [&](auto& one) {
      const bool old = one.second.peer == peer && now - one.second.at >= kKept;
      if (old) --macs_of_[peer];
      return old;
    });
    if (macs_of_[peer] >= kMacsPerPeerMax) return false;
  }
  ++macs_of_[peer];
  learnt_[mac] = {peer, now};
  return true;
}

}  // namespace wow
