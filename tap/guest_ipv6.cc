#include "tap/guest_ipv6.h"

#include <utility>

#include "dht/inner_ipv6.h"
#include "tap/mac_address.h"

namespace wow {

GuestIpv6::GuestIpv6(const Address& self, const Prefix& subnet6, int mtu, GuestLeases& leases,
                     Resolver& resolver, Neighbours& neighbours, Clock& clock, MetricSlot& metrics,
                     Hooks hooks)
    : self_(self),
      subnet6_(subnet6),
      guests_(guest_ipv6_prefix(subnet6)),
      mtu_(mtu),
      leases_(leases),
      holders_(resolver, neighbours),
      clock_(clock),
      metrics_(metrics),
      hooks_(std::move(hooks)) {}

void GuestIpv6::take(ByteView frame, const EthernetView& ethernet) {
  const auto ip = Ipv6View::parse(ethernet.payload);
  if (!ip || mtu_ < kMtuMin) return metrics_.add(Metric::kDropFrameKind);
  // Not whoever is heard: hosts that a cable has brought onto this LAN must not be configured.
  const bool asks = is_router_solicitation(*ip);
  if (asks || guests_.contains(ip->source)) tell_prefix(ethernet.source, asks);
  if (ip->protocol == Ipv6View::kIcmp && !ip->payload.empty() && steers_hosts(ip->payload[0])) {
    return on_neighbour_message(ethernet, *ip);
  }
  // Nobody can say whose a link-local address is: such packets stay on their link.
  if (ip->source.is_link_local() || ip->source.is_unspecified()) {
    return metrics_.add(Metric::kDropFrameKind);
  }
  if (!hooks_.may_be_guests(ip->source)) return metrics_.add(Metric::kDropSourceCheck);
  hooks_.when_held(frame, ethernet.source, ip->source, [this](ByteView held) { pass_on(held); });
}

void GuestIpv6::pass_on(ByteView frame) {
  const auto ethernet = EthernetView::parse(frame);
  if (ethernet->is_to_group()) return hooks_.to_others(frame);
  hooks_.route(frame, Ipv6View::parse(ethernet->payload)->destination);
}

// --- What is there: the prefix ---

void GuestIpv6::tell_prefix(const MacAddress& mac, bool asked) {
  const TimePoint now = clock_.now();
  if (told_.size() >= kToldMax && !told_.contains(mac)) {
    std::erase_if(told_, [&](auto& one) { return now - one.second >= kTellAgain; });
    if (told_.size() >= kToldMax) return;
  }
  const auto known = told_.find(mac);
  if (!asked && known != told_.end() && now - known->second < kTellAgain) return;
  if (!tells_.pass(now)) return metrics_.add(Metric::kDropRateLimited);
  told_[mac] = now;
  // To this guest alone, by its MAC: what went to all would configure the host, too.
  if (hooks_.is_hosts_own(mac)) return;
  const AdvertisedNetwork network{subnet6_, guests_, mtu_, kValidSeconds, kPreferredSeconds};
  hooks_.to_lan(write_router_advertisement(mac, kServiceMac, link_local_of(kServiceMac), network));
}

// --- Neighbour discovery ---

void GuestIpv6::on_neighbour_message(const EthernetView& ethernet, const Ipv6View& ip) {
  if (is_router_solicitation(ip)) return;  // answered already
  if (const auto asked = NeighbourSolicitation::parse(ip)) {
    if (!questions_.pass(clock_.now())) return metrics_.add(Metric::kDropRateLimited);
    return asked->asker.is_unspecified() ? on_probe(ethernet.source, asked->target)
                                         : on_solicitation(ethernet.source, *asked);
  }
  const auto said = NeighbourAdvertisement::parse(ip);
  // Routers and redirects of a guest's are its own LAN's business.
  if (!said) return metrics_.add(Metric::kDropFrameKind);
  if (hooks_.may_be_guests(said->target)) claim(ethernet.source, said->target);
}

void GuestIpv6::claim(const MacAddress& mac, const IpAddress& ip) {
  leases_.use(mac, ip, true, [this](bool held) {
    if (!held) metrics_.add(Metric::kDropSourceCheck);
  });
}

void GuestIpv6::on_solicitation(const MacAddress& from, const NeighbourSolicitation& asked) {
  if (hooks_.may_be_guests(asked.asker)) {
    claim(from, asked.asker);
  } else if (!asked.asker.is_link_local()) {
    return metrics_.add(Metric::kDropSourceCheck);
  }
  if (asked.target != asked.asker) answer(from, asked);
}

void GuestIpv6::answer(const MacAddress& asker, const NeighbourSolicitation& asked) {
  const auto tell = [this, asker, asked](const MacAddress& mac) {
    hooks_.to_lan(write_neighbour_advertisement(asker, asked.asker, asked.target, mac, true));
  };
  if (asked.target == link_local_of(kServiceMac)) return tell(kServiceMac);
  if (asked.target == hooks_.own_ip6()) return tell(mac_of(self_));
  // A guest here answers for itself.
  const bool in_reach = subnet6_.contains(asked.target) || hooks_.may_be_guests(asked.target);
  if (!in_reach || leases_.mac_of(asked.target)) return;
  const auto meet = [this, source = asked.asker](const Address& node) {
    if (node != self_) hooks_.want_session(node, source);
  };
  const auto found = [this, tell, asker, meet](const auto& holder) {
    if (!holder || holder->node == self_ || holder->mac == asker) return;
    meet(holder->node);
    tell(holder->mac);
  };
  holders_.ask(asked.target, found, meet);
}

// "May I have this address?" (RFC 4862, 5.4). Whoever may has it from now.
void GuestIpv6::on_probe(const MacAddress& from, const IpAddress& target) {
  if (!hooks_.may_be_guests(target)) {
    if (subnet6_.contains(target)) say_if_taken(from, target);  // a host's, perhaps
    return;
  }
  // Another guest here answers for itself.
  if (const auto here = leases_.mac_of(target); here && *here != from) return;
  leases_.use(from, target, true, [this, from, target](bool held) {
    if (!held) say_if_taken(from, target);
  });
}

// Before its second is over, so that it takes no address that is another's.
void GuestIpv6::say_if_taken(const MacAddress& asker, const IpAddress& ip) {
  const auto found = [this, asker, ip](const auto& holder) {
    if (!holder || holder->mac == asker) return;
    hooks_.to_lan(write_neighbour_advertisement(asker, all_nodes(), ip, holder->mac, false));
  };
  holders_.ask(ip, found, nullptr);
}

}  // namespace wow
