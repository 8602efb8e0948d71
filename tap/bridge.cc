#include "tap/bridge.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "tap/mac_address.h"
#include "tap/names.h"
#include "tap/too_big.h"

namespace wow {
namespace {

constexpr MacAddress kBroadcastMac = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
// RFC 903, spoken by hypervisors on behalf of a guest that they have just let run.
constexpr EtherType kReverseArp{0x8035};

DhcpNetwork network_of(const BridgeOptions& options, Duration lease) {
  // A silent guest's record is not renewed for longer than half its life.
  return {service_address(options.subnet), options.subnet, options.domain, options.mtu, lease / 2};
}

std::vector<Prefix> routes_of(const Credentials& credentials) {
  const auto self = credentials.verify_chain(credentials.chain());
  return self ? self->routes : std::vector<Prefix>();
}

}  // namespace

pb::GuestMoved guest_moved(const IpAddress& ip, const MacAddress& mac, const Address& node) {
  pb::GuestMoved out;
  out.set_ip(ip.text());
  out.set_mac(mac.data(), mac.size());
  out.set_node(to_string(node.bytes()));
  return out;
}

Bridge::Bridge(const Credentials& credentials, const BridgeOptions& options, Resolver& resolver,
               Neighbours& neighbours, DhtCalls dht, DnsResponder& dns, Clock& clock,
               Random& random, MetricSlot& metrics, Hooks hooks)
    : self_(credentials.address()),
      own_mac_(mac_of(self_)),
      options_(options),
      service_ip_(service_address(options.subnet)),
      routes_(routes_of(credentials)),
      resolver_(resolver),
      clock_(clock),
      metrics_(metrics),
      hooks_(std::move(hooks)),
      leases_(self_, std::move(dht), clock, metrics, options.lease_ttl, lease_hooks()),
      dhcp_(network_of(options, leases_.ttl()), kServiceMac, clock, metrics, dhcp_hooks()),
      service_(service_ip_, dns, metrics, [this](ByteView frame) { to_lan(frame); }),
      stage_(metrics),
      ipv6_(self_, options.subnet6, options.mtu, leases_, resolver, neighbours, clock, metrics,
            ipv6_hooks()),
      layer2_(resolver, clock, metrics, layer2_hooks()),
      guard_(credentials, clock, random, metrics, guard_hooks()),
      stand_in_(leases_, clock, metrics, stand_in_hooks()),
      hello_timer_(clock) {}

void Bridge::start() {
  hello_pause_ = kHelloFirst;
  guard_.start();
  say_hello();
}

void Bridge::to_lan(ByteView frame) {
  if (guard_.blocked()) return;
  MacAddress source{};
  std::copy_n(frame.begin() + source.size(), source.size(), source.begin());
  stand_in_.spoke(source);
  hooks_.to_lan(frame);
}

LoopGuard::Hooks Bridge::guard_hooks() {
  return {
      .to_lan = [this](ByteView frame) { hooks_.to_lan(frame); },
      .ask =
          [this](const Address& node, std::uint64_t number) {
            pb::VnetMessage message;
            message.mutable_beacon_check()->set_number(number);
            hooks_.send(node, message);
          },
      .blocked =
          [this](const Address& other) {
            stand_in_.begin(other);
            stations_.clear();
          },
      .passes = [this] { stand_in_.end(); },
  };
}

StandIn::Hooks Bridge::stand_in_hooks() {
  return {
      .to_lan = [this](ByteView frame) { to_lan(frame); },
      .send = [this](const Address& to,
                     const pb::VnetMessage& message) { hooks_.send(to, message); },
      .announce = [this](const MacAddress& mac, const IpAddress& ip,
                         const Address& node) { announce_moved(mac, ip, node); },
      .claim = [this](const Address& node, const MacAddress& mac) { send_claim(node, mac); },
      .unlearn = [this](const MacAddress& mac) { stations_.erase(mac); },
  };
}

Layer2::Hooks Bridge::layer2_hooks() {
  return {
      .to_lan = [this](ByteView frame) { to_lan(frame); },
      .to_node = [this](const Address& node, ByteView frame) { hooks_.to_node(node, frame); },
      .for_each_other =
          [this](const std::function<void(const Address&)>& visit) {
            for (const auto& [node, heard] : others_) visit(node);
          },
      .may_bridge = [this](const Address& peer) { return hooks_.may_bridge(peer); },
      .is_local =
          [this](const MacAddress& mac) {
            const auto found = stations_.find(mac);
            return mac == own_mac_ || mac == kServiceMac ||
                   (found != stations_.end() && clock_.now() - found->second < Layer2::kStays);
          },
  };
}

void Bridge::take_from(const Address& peer, ByteView frame) { layer2_.take(peer, frame); }

GuestLeases::Hooks Bridge::lease_hooks() {
  return {
      .held =
          [this](const Binding& binding) {
            resolver_.learn(binding);
            hooks_.announce(binding);
          },
      .lost = [this](const IpAddress& ip) { resolver_.forget(ip); },
      .ask_others =
          [this](const MacAddress& mac, const IpAddress& ip) {
            ask_others(mac);
            // Its last holder may be none of the others that we know.
            resolver_.resolve_again(ip, [this, mac, ip](Result<Binding> binding) {
              if (!binding || binding->node == self_) return;
              if (binding->mac != mac) return leases_.refuse(mac, ip);
              if (!others_.contains(binding->node)) send_claim(binding->node, mac);
            });
          },
      .probe =
          [this](const MacAddress& mac, const IpAddress& ip) {
            if (!ip.is_v4()) {
              return to_lan(write_neighbour_solicitation(mac, kServiceMac, kServiceMac,
                                                         link_local_of(kServiceMac), ip));
            }
            const ArpPacket ask{ArpPacket::kRequest, kServiceMac, {}, service_ip_, ip};
            to_lan(write_ethernet(mac, kServiceMac, EtherType::kArp, ask.write()));
          },
      .heard_at = [this](const MacAddress& mac) -> std::optional<TimePoint> {
        const auto found = stations_.find(mac);
        return found == stations_.end() ? std::nullopt : std::optional(found->second);
      },
      .is_leasable =
          [this](const IpAddress& ip) { return may_be_guests(ip) && hooks_.is_leasable(ip); },
  };
}

DhcpServer::Hooks Bridge::dhcp_hooks() {
  return {
      .held = [this](const MacAddress& mac) -> std::optional<IpAddress> {
        const auto ip = leases_.address_of(mac);
        return ip && ip->is_v4() ? ip : std::nullopt;
      },
      .is_leasable =
          [this](const IpAddress& ip) {
            return is_host_address(ip, options_.subnet) && hooks_.is_leasable(ip);
          },
      .is_free =
          [this](const IpAddress& ip, std::function<void(bool)> done) {
            resolver_.resolve_again(ip, [done = std::move(done)](Result<Binding> binding) {
              done(!binding && binding.error().code == ErrorCode::kNotFound);
            });
          },
      .take = [this](
                  const MacAddress& mac, const IpAddress& ip,
                  std::function<void(bool)> done) { leases_.use(mac, ip, false, std::move(done)); },
      .give_back = [this](const MacAddress& mac,
                          const IpAddress& ip) { leases_.give_back(mac, ip); },
      .to_lan = [this](ByteView frame) { to_lan(frame); },
  };
}

GuestIpv6::Hooks Bridge::ipv6_hooks() {
  return {
      .to_lan = [this](ByteView frame) { to_lan(frame); },
      .own_ip6 = [this] { return hooks_.own_ip6(); },
      .want_session = [this](const Address& node,
                             const IpAddress& source) { hooks_.want_session(node, source); },
      .is_hosts_own = [this](const MacAddress& mac) { return hooks_.is_hosts_own(mac); },
      .may_be_guests = [this](const IpAddress& ip) { return may_be_guests(ip); },
      .when_held = [this](ByteView frame, const MacAddress& mac, const IpAddress& source,
                          const auto& then) { when_held(frame, mac, source, then); },
      .route = [this](ByteView frame, const IpAddress& to) { route(frame, to); },
      .to_others = [this](ByteView frame) { layer2_.send(frame, *EthernetView::parse(frame)); },
  };
}

// --- From the bridge ---

bool Bridge::hear(const MacAddress& mac) {
  const TimePoint now = clock_.now();
  if (stations_.size() >= kStationsMax && !stations_.contains(mac)) {
    std::erase_if(stations_, [&](auto& one) { return now - one.second >= kStationSilent; });
    if (stations_.size() >= kStationsMax) return false;
  }
  stations_[mac] = now;
  return true;
}

bool Bridge::may_be_guests(const IpAddress& ip) const {
  const auto has_ip = [&](const Prefix& prefix) { return prefix.contains(ip); };
  return resolver_.is_leased(ip) && (has_ip(options_.subnet) || has_ip(options_.subnet6) ||
                                     std::any_of(routes_.begin(), routes_.end(), has_ip));
}

void Bridge::take(ByteView frame) {
  const auto ethernet = EthernetView::parse(frame);
  if (!ethernet) return metrics_.add(Metric::kDropFrameKind);
  const MacAddress& from = ethernet->source;
  // Our own frames: they have come back through a loop.
  if (from[0] & 1 || from == own_mac_ || from == kServiceMac) {
    return metrics_.add(Metric::kDropSourceCheck);
  }
  if (ethernet->type == Beacon::kType) return guard_.take(*ethernet);
  if (guard_.blocked()) return metrics_.add(Metric::kDropFrameKind);
  if (!hear(from)) return metrics_.add(Metric::kDropQueueFull);
  if (ethernet->type == EtherType::kArp) return on_arp(*ethernet);
  if (ethernet->type == EtherType::kIpv4) return on_ipv4(frame, *ethernet);
  if (ethernet->type == EtherType::kIpv6) return ipv6_.take(frame, *ethernet);
  if (ethernet->type != kReverseArp) return layer2_.send(frame, *ethernet);
  if (!leases_.address_of(from)) ask_others(from);
}

void Bridge::on_arp(const EthernetView& ethernet) {
  const auto arp = ArpPacket::parse(ethernet.payload);
  if (!arp || arp->sender_mac != ethernet.source) return metrics_.add(Metric::kDropFrameKind);
  // An address to be used from now on, or announced after a move (RFC 5227).
  if (may_be_guests(arp->sender_ip)) {
    leases_.use(arp->sender_mac, arp->sender_ip, true, [this](bool held) {
      if (!held) metrics_.add(Metric::kDropSourceCheck);
    });
  }
  const bool in_reach = options_.subnet.contains(arp->target_ip) || may_be_guests(arp->target_ip);
  if (arp->op == ArpPacket::kRequest && in_reach && arp->target_ip != arp->sender_ip) {
    answer_arp(*arp);
  }
}

void Bridge::answer_arp(const ArpPacket& arp) {
  const auto answer = [this, arp](const MacAddress& mac) {
    to_lan(write_arp_reply(arp.sender_mac, arp.sender_ip, arp.target_ip, mac));
  };
  if (arp.target_ip == service_ip_) return answer(kServiceMac);
  if (hooks_.own_ip() == arp.target_ip) return answer(own_mac_);
  // A guest here answers for itself.
  if (leases_.mac_of(arp.target_ip)) return;
  const auto meet = [this, source = arp.sender_ip](const Address& node) {
    if (node != self_) hooks_.want_session(node, source);
  };
  const auto found = [this, answer, meet, asker = arp.sender_mac](Result<Binding> binding) {
    // Its own address, asked for before it is used: the store has settled that.
    if (!binding || binding->node == self_ || binding->mac == asker) return;
    meet(binding->node);
    answer(binding->mac);
  };
  resolver_.resolve(arp.target_ip, found, meet);
}

void Bridge::on_ipv4(ByteView frame, const EthernetView& ethernet) {
  const auto ip = Ipv4View::parse(ethernet.payload);
  if (!ip) return metrics_.add(Metric::kDropFrameKind);
  const auto udp = ip->protocol == IpProtocol::kUdp && !ip->fragment ? UdpView::parse(ip->payload)
                                                                     : std::nullopt;
  if (udp && udp->destination_port == DhcpMessage::kServerPort) {
    return dhcp_.take(ethernet.source, udp->payload);
  }
  if (!may_be_guests(ip->source)) return metrics_.add(Metric::kDropSourceCheck);
  when_held(frame, ethernet.source, ip->source, [this](ByteView held) { pass_on(held); });
}

// `then` gets the frame at once, or when the store has said that the guest has this address.
void Bridge::when_held(ByteView frame, const MacAddress& mac, const IpAddress& source,
                       const std::function<void(ByteView frame)>& then) {
  if (leases_.holds(mac, source)) {
    leases_.use(mac, source, true, [](bool) {});
    return then(frame);
  }
  const FrameStage::Key key{Address(), source};
  if (!stage_.add(key, frame, 0)) return;
  leases_.use(mac, source, true, [this, key, then](bool) {
    for (const auto& waiting : stage_.take(key)) {
      if (leases_.holds(EthernetView::parse(waiting.bytes)->source, key.second)) {
        then(waiting.bytes);
      } else {
        metrics_.add(Metric::kDropSourceCheck);
      }
    }
  });
}

void Bridge::pass_on(ByteView frame) {
  const auto ethernet = EthernetView::parse(frame);
  const auto ip = Ipv4View::parse(ethernet->payload);
  if (ethernet->is_to_group()) return layer2_.send(frame, *ethernet);
  if (ip->destination == service_ip_) return service_.take(*ethernet, *ip);
  route(frame, ip->destination);
}

void Bridge::route(ByteView frame, const IpAddress& to) {
  if (!options_.subnet.contains(to) && !options_.subnet6.contains(to) && !may_be_guests(to)) {
    return metrics_.add(Metric::kDropNoDestination);
  }
  if (hooks_.own_ip() == to || hooks_.own_ip6() == to) {
    Bytes copy = to_bytes(frame);
    std::copy(own_mac_.begin(), own_mac_.end(), copy.begin());
    return hooks_.to_host(copy);
  }
  // The bridge, which knew its port no more, has sent it to all: the guest has it.
  if (leases_.mac_of(to)) return;
  const auto mtu = static_cast<std::size_t>(options_.mtu);
  const bool large = frame.size() > EthernetView::kHeaderBytes + mtu;
  if (const auto answer = large ? write_too_big(frame, mtu) : std::nullopt) {
    metrics_.add(Metric::kDropTooBig);
    return to_lan(*answer);
  }
  hooks_.forward(frame, to);
}

void Bridge::to_guest(const MacAddress& mac, ByteView frame) {
  Bytes copy = to_bytes(frame);
  std::copy(mac.begin(), mac.end(), copy.begin());
  to_lan(copy);
}

// --- Moving ---

void Bridge::ask_others(const MacAddress& mac, int again, Duration pause) {
  Claim* claim = open_claim(mac);
  if (claim == nullptr) return;
  for (const auto& [node, heard] : others_) say_claim(node, mac);
  if (again == 0 || claim->again.is_set()) return;
  claim->again.after(pause, [this, mac, again, pause] {
    if (!leases_.address_of(mac)) ask_others(mac, again - 1, 2 * pause);
  });
}

void Bridge::send_claim(const Address& to, const MacAddress& mac) {
  if (open_claim(mac) != nullptr) say_claim(to, mac);
}

Bridge::Claim* Bridge::open_claim(const MacAddress& mac) {
  const TimePoint now = clock_.now();
  const bool passes = own_claims_.pass(now);
  if (claims_.size() >= kClaimsMax) {
    std::erase_if(claims_, [&](auto& one) { return now >= one.second.until; });
  }
  if (!passes || (claims_.size() >= kClaimsMax && !claims_.contains(mac))) {
    metrics_.add(Metric::kDropRateLimited);
    return nullptr;
  }
  Claim& claim = claims_.try_emplace(mac, clock_).first->second;
  claim.until = now + kClaimOpen;
  return &claim;
}

void Bridge::say_claim(const Address& to, const MacAddress& mac) {
  pb::VnetMessage message;
  message.mutable_guest_claim()->set_mac(mac.data(), mac.size());
  hooks_.send(to, message);
}

void Bridge::on_claim(const Address& from, const pb::GuestClaim& claim) {
  const auto mac = mac_in(claim.mac());
  if (!mac) return metrics_.add(Metric::kDropMalformed);
  if (!hooks_.may_bridge(from) || !heard_claims_.pass(clock_.now())) {
    return metrics_.add(Metric::kDropRateLimited);
  }
  leases_.let_go(*mac, [this, from, mac = *mac](const std::vector<IpAddress>& ips) {
    if (ips.empty()) return;
    pb::VnetMessage message;
    message.mutable_guest_let_go()->set_mac(mac.data(), mac.size());
    for (const IpAddress& ip : ips) message.mutable_guest_let_go()->add_ips(ip.text());
    hooks_.send(from, message);
    stations_.erase(mac);
    for (const IpAddress& ip : ips) announce_moved(mac, ip, from);
    log_info("guest moved", {{"mac", to_hex(mac)}, {"to", from.short_hex()}});
  });
}

// Whoever talked to the guest here hears where it is now; so does our own bridge, whose ports it
// has left: a frame "from the guest" out of ours teaches it.
void Bridge::announce_moved(const MacAddress& mac, const IpAddress& ip, const Address& node) {
  const TimePoint now = clock_.now();
  resolver_.learn({ip, node, "", now + kMovedKept, mac});
  if (moved_.size() >= kMovedMax) moved_.clear();
  moved_[ip] = {mac, node, now + kMovedKept};
  hooks_.for_each_peer([&](const Address& peer) { tell_moved(peer, ip); });
  if (!ip.is_v4()) {
    return to_lan(write_neighbour_advertisement(kAllNodesMac, all_nodes(), ip, mac, false));
  }
  const ArpPacket announced{ArpPacket::kReply, mac, kBroadcastMac, ip, ip};
  to_lan(write_ethernet(kBroadcastMac, mac, EtherType::kArp, announced.write()));
}

bool Bridge::tell_moved(const Address& peer, const IpAddress& ip) {
  const auto found = moved_.find(ip);
  if (found == moved_.end() || clock_.now() >= found->second.until || found->second.node == peer ||
      leases_.mac_of(ip)) {
    return false;
  }
  pb::VnetMessage message;
  *message.mutable_guest_moved() = guest_moved(ip, found->second.mac, found->second.node);
  hooks_.send(peer, message);
  return true;
}

void Bridge::on_let_go(const Address& from, const pb::GuestLetGo& message) {
  const auto mac = mac_in(message.mac());
  const auto claim = mac ? claims_.find(*mac) : claims_.end();
  if (claim == claims_.end() || clock_.now() >= claim->second.until || !hooks_.may_bridge(from)) {
    return metrics_.add(Metric::kDropSourceCheck);
  }
  claims_.erase(claim);
  for (const std::string& text : message.ips()) {
    if (const auto ip = IpAddress::parse(text)) leases_.on_let_go(*mac, *ip);
  }
}

// --- The others ---

void Bridge::say_hello() {
  // The ring is still being made when a host comes up: often at first.
  hello_timer_.after(hello_pause_, [this] { say_hello(); });
  hello_pause_ = std::min(2 * hello_pause_, kHelloInterval);
  const TimePoint now = clock_.now();
  std::erase_if(others_, [&](auto& one) { return now - one.second >= kOtherSilent; });
  pb::VnetMessage message;
  message.mutable_bridge_hello();
  hooks_.broadcast(message);
}

// A broadcast proves nothing; the session that our answer opens does.
void Bridge::on_broadcast(const Address& origin, const pb::BridgeHello&) {
  if (origin == self_ || (others_.size() >= kOthersMax && !others_.contains(origin))) return;
  pb::VnetMessage message;
  message.mutable_bridge_hello();
  hooks_.send(origin, message);
}

void Bridge::on_hello(const Address& from, const pb::BridgeHello& hello) {
  if (!hooks_.may_bridge(from)) return metrics_.add(Metric::kDropSourceCheck);
  if (others_.size() >= kOthersMax && !others_.contains(from)) return;
  const bool is_new = others_.insert_or_assign(from, clock_.now()).second;
  if (is_new) {
    // Guests that came before we knew whom to ask.
    for (const auto& [mac, heard] : stations_) {
      if (!leases_.address_of(mac)) send_claim(from, mac);
    }
  }
  if (hello.answer()) return;
  pb::VnetMessage message;
  message.mutable_bridge_hello()->set_answer(true);
  hooks_.send(from, message);
}

void Bridge::on_beacon_check(const Address& from, const pb::BeaconCheck& check) {
  if (check.yes()) return guard_.on_answer(from, check.number());
  if (!guard_.has_sent(check.number())) return;
  stand_in_.confirm(from);
  pb::VnetMessage answer;
  answer.mutable_beacon_check()->set_number(check.number());
  answer.mutable_beacon_check()->set_yes(true);
  hooks_.send(from, answer);
}

void Bridge::on_message(const Address& from, const pb::VnetMessage& message) {
  if (message.has_bridge_hello()) return on_hello(from, message.bridge_hello());
  if (message.has_guest_claim()) return on_claim(from, message.guest_claim());
  if (message.has_beacon_check()) return on_beacon_check(from, message.beacon_check());
  if (message.has_guest_let_go()) return on_let_go(from, message.guest_let_go());
  if (message.has_guest_hand_over()) {
    if (!hooks_.may_bridge(from)) return metrics_.add(Metric::kDropSourceCheck);
    return stand_in_.take(from, message.guest_hand_over());
  }
  metrics_.add(Metric::kDropMalformed);
}

}  // namespace wow
