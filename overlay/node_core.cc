#include "overlay/node_core.h"

#include <algorithm>

#include "base/log.h"
#include "proto/overlay.pb.h"

namespace wow {
namespace {

const char* reason_text(CloseReason reason) {
  switch (reason) {
    case CloseReason::kTimeout:
      return "nobody answered";
    case CloseReason::kDead:
      return "silent";
    case CloseReason::kPeerClosed:
      return "closed by the peer";
    case CloseReason::kReplaced:
      return "replaced";
    case CloseReason::kRefused:
      return "refused";
    case CloseReason::kRevoked:
      return "revoked";
    case CloseReason::kLocal:
      return "closed here";
    case CloseReason::kIdle:
      return "not used";
  }
  return "unknown";
}

std::string roles_text(Roles roles) {
  std::string out;
  for (const auto role : kAllRoles) {
    if ((roles & role_bit(role)) == 0) continue;
    if (!out.empty()) out += ',';
    out += to_string(role);
  }
  return out;
}

}  // namespace

Node::Impl::Impl(Credentials& credentials, Clock& clock, Random& random, Transport& transport,
                 MetricSlot& metrics, NodeOptions options)
    : Hub(credentials, clock, random, transport, metrics, options_, sessions_, edges_),
      options_(std::move(options)),
      sessions_(credentials, clock, random, transport, metrics, *this, options_.limits),
      roles_(*this, [this](Edge& edge) { on_roles_changed(edge); }),
      forwarder_(*this, forwarder_handlers()),
      introducer_(*this, forwarder_, introducer_handlers()),
      tracer_(*this, introducer_, forwarder_),
      linker_(*this, linker_handlers()),
      relays_(*this, relays_handlers()),
      circuit_requests_(*this),
      lists_(*this, {.heard = [this] { ring_.changed(); },
                     .lives = [this](const Address& member) { ring_.welcome(member); },
                     .settings_number =
                         [this](const Address& peer, std::uint64_t number) {
                           settings_.on_number(peer, number);
                         }}),
      ring_(*this, lists_, [this] { note_joined(); }),
      far_(*this),
      shortcuts_(*this),
      messages_(*this, [this](const Address& from, std::uint8_t service,
                              ByteView message) { deliver(from, service, message); }),
      settings_(*this,
                [this] {
                  if (settings_observer_) settings_observer_();
                }),
      whereabouts_(*this, whereabouts_handlers()),
      broadcasts_(*this,
                  [this](const Address& origin, std::uint8_t service, ByteView payload,
                         std::uint32_t hops) { on_broadcast(origin, service, payload, hops); }),
      merge_(*this, merge_handlers()),
      join_(*this, join_handlers()),
      upgrades_(*this),
      nat_answers_(credentials, clock, random, metrics, nat_handlers()),
      punch_(*this, options_.punch, [this] { return whereabouts_.mapping(); }),
      later_timer_(clock),
      sweep_timer_(clock) {}

Forwarder::Handlers Node::Impl::forwarder_handlers() {
  return {.packet =
              [this](const Address& source, const Address& ingress, MutableBytes packet) {
                sessions_.on_routed_packet(source, {}, packet, ingress);
              },
          .ctm = [this](ByteView ctm, const Address& ingress) { introducer_.on_ctm(ctm, ingress); },
          .expired = [this](ByteView ctm,
                            const TraceNext& next) { introducer_.on_expired(ctm, next); }};
}

Whereabouts::Handlers Node::Impl::whereabouts_handlers() {
  return {.candidates =
              [this](const Address& peer, const std::vector<Endpoint>& endpoints) {
                linker_.on_candidates(peer, endpoints);
              },
          .via = [this](const Address& peer, const Address& via) { forwarder_.set_via(peer, via); },
          .is_linking = [this](const Address& peer) { return linker_.is_linking(peer); }};
}

Join::Handlers Node::Impl::join_handlers() {
  return {.state_changed = [this] { note_joined(); },
          .met_outsider =
              [this](const Address& peer) { later([this, peer] { merge_.on_contact(peer); }); },
          .joined_through = [this](const std::vector<Address>& leaves) { merge_.compare(leaves); }};
}

Merge::Handlers Node::Impl::merge_handlers() {
  return {.announce =
              [this] {
                pb::Link link;
                own_member().write(*link.mutable_outsider()->mutable_member(), 0);
                broadcasts_.send(static_cast<std::uint8_t>(Service::kLink),
                                 view_of(link.SerializeAsString()));
              },
          .open_gateway = [this](const Address& contact) { forwarder_.open_gateway(contact); },
          .ask_through = [this](const Address& gateway) { introducer_.ask_through(gateway); }};
}

// Of the ring itself there is one kind: a member that has found another ring.
void Node::Impl::on_broadcast(const Address& origin, std::uint8_t service, ByteView payload,
                              std::uint32_t hops) {
  if (service == static_cast<std::uint8_t>(Service::kLink)) return merge_.on_gateway(origin);
  const auto it = broadcast_handlers_.find(service);
  if (it != broadcast_handlers_.end() && it->second) it->second(origin, payload, hops);
}

void Node::Impl::start() {
  stopped_ = false;
  lists_.start();
  join_.start();
  sweep_timer_.after(ring::kSweepInterval, [this] { sweep(); });
}

void Node::Impl::stop() {
  if (stopped_) return;
  stopped_ = true;
  // First those who hear of it through others, while there are others.
  says_farewell_ = true;
  close_sessions([](const Session& session) { return !session.path().path.is_direct(); });
  says_farewell_ = false;
  join_.stop();
  ring_.stop();
  lists_.stop();
  roles_.stop();
  far_.stop();
  whereabouts_.stop();
  linker_.stop();
  upgrades_.stop();
  punch_.stop();
  relays_.stop();
  circuit_requests_.stop();
  tracer_.stop();
  forwarder_.stop();
  broadcasts_.stop();
  merge_.stop();
  introducer_.stop();
  later_timer_.cancel();
  later_.clear();
  sweep_timer_.cancel();
  close_sessions([](const Session&) { return true; });
}

void Node::Impl::close_sessions(const std::function<bool(const Session&)>& which) {
  std::vector<Address> peers;
  sessions_.for_each([&](Session& session) {
    if (which(session)) peers.push_back(session.peer());
  });
  for (const Address& peer : peers) sessions_.close(peer, CloseReason::kLocal);
}

void Node::Impl::send(const Address& to, Service service, ByteView message) {
  const auto number = static_cast<std::uint8_t>(service);
  if (to == self) {
    return later([this, number, bytes = to_bytes(message)] { deliver(self, number, bytes); });
  }
  messages_.send(to, number, message);
  if (edges_.find(to) == nullptr) linker_.connect({to, {}}, EdgeRole::kNone);
}

bool Node::Impl::send_frame(const Address& peer, ByteView frame, std::uint8_t facts) {
  const Session* session = sessions_.find(peer);
  const std::size_t most = session == nullptr ? 0 : session->datagram_max();
  if (most != 0 && frame.size() + kDataOverheadBytes > most) {
    messages_.send_frame(peer, frame, facts);
    return true;
  }
  if (sessions_.send(peer, DataKind::kFrame, frame, facts)) return true;
  if (peer == self) return false;
  linker_.connect({peer, {}}, EdgeRole::kNone);
  return sessions_.send(peer, DataKind::kFrame, frame, facts);
}

void Node::Impl::on_network_change() {
  if (stopped_) return;
  whereabouts_.on_network_change();
  flow_timeout_.forget();
  linker_.restart_all();
  punch_.on_network_change();
  join_.hurry();
}

// On the ring it is news only if it belongs beside us, as from another ring it will.
void Node::Impl::on_lan_member(const Member& member) {
  if (stopped_ || member.address == self) return;
  if (!edges_.on_ring()) return join_.on_heard(member);
  // Whoever is on our own link can send there itself.
  credit_.grant(member.address, ring::kDirectDials * (kNamedFlightBytes + ring::kCheckBytes));
  if (edges_.find(member.address) == nullptr) ring_.heard_of({member});
}

bool Node::Impl::takes_from(const Endpoint& from) {
  if (stopped_) return false;
  const auto& subnet = options_.virtual_subnet;
  if (!subnet || !subnet->contains(from.ip)) return true;
  metrics.add(Metric::kDropGarbage);
  return false;
}

void Node::Impl::later(std::function<void()> what) {
  later_.push_back(std::move(what));
  if (later_timer_.is_set()) return;
  later_timer_.after(Duration::zero(), [this] {
    auto now = std::move(later_);
    later_.clear();
    for (auto& run : now) run();
  });
}

void Node::Impl::send_link(const Address& peer, pb::Link link, Answer answer) {
  if (stopped_ || edges_.find(peer) == nullptr) return;
  link.set_number(++link_number_);
  messages_.send(peer, static_cast<std::uint8_t>(Service::kLink), view_of(link.SerializeAsString()),
                 answer);
}

// Until our neighbours have had the time to link with us, and after a move, whoever we are a leaf
// of knows the way better than the ring does.
Address Node::Impl::own_via() const {
  const bool settled =
      was_joined_ && clock.now() - joined_at_ >= ring::kAloneAfter && !whereabouts_.lately_moved();
  if (settled) return {};
  Address any;
  for (const Hop& hop : edges_.hops()) {
    if (hop.gateway) return hop.peer;
    if (hop.member) any = hop.peer;
  }
  return any;
}

void Node::Impl::on_open(Session& session) {
  const Address peer = session.peer();
  if (peer == self || stopped_) {
    return later([this, peer] { sessions_.close(peer, CloseReason::kLocal); });
  }
  Edge& edge = edges_.add(peer, clock.now());
  // What carries traffic whenever no direct path does.
  sessions_.add_path(session, Path::routed());
  relays_.on_lost(peer, false);
  circuit_requests_.on_lost(peer, false);
  edges_.set_path(edge, session, clock.now());
  count_bytes_of(peer);
  if (edge.nat == NatMapping::kUnknown) edge.nat = relays_.told_nat(peer);
  settings_.greet(peer);
  join_.on_open(session);
  if (merge_.is_expected(peer)) later([this, peer] { merge_.on_contact(peer); });
  linker_.on_open(session);
  upgrades_.on_path_changed(session);
  if (edge.role_repeats == 0) roles_.remind(edge);  // none is news, too, if either has restarted
  messages_.on_open(peer);
  note_usable(edge);
  circuit_requests_.on_path_changed(session);
  hurry_relay(peer);
  observe(peer, &session);
}

void Node::Impl::on_closed(const Address& peer, const Path&, CloseReason reason) {
  if (const Edge* found = edges_.find(peer)) {
    const Edge edge = *found;
    edges_.erase(peer);
    forwarder_.lost(peer);
    broadcasts_.lost(peer);
    if (edge.up) {
      far_.changed();
      log_info("edge down", {{"peer", peer.short_hex()},
                             {"roles", roles_text(edge.ours | edge.theirs)},
                             {"reason", reason_text(reason)}});
    }
    if (edge.is_near() && !stopped_) ring_.lost(edge, edge.direct);
    // Not where it only said that it was: it is dialled for long, and pays no more.
    if (edge.is_member() && reason == CloseReason::kDead) join_.remember({peer, {edge.proven_at}});
    messages_.on_closed(peer);
    whereabouts_.on_closed(peer);
    if (!stopped_) join_.on_closed();
    observe(peer, nullptr);
  }
  if (peer.is_zero() || stopped_) return;
  credit_.on_closed(peer);
  relays_.on_lost(peer, true);
  circuit_requests_.on_lost(peer, reason == CloseReason::kDead || reason == CloseReason::kTimeout);
  linker_.on_closed(peer);
  punch_.on_closed(peer);
  upgrades_.on_closed(peer);
}

void Node::Impl::on_path_changed(Session& session) {
  Edge* edge = edges_.find(session.peer());
  if (edge == nullptr || stopped_) return;
  const bool was_near = edge->up && edge->is_near();
  const bool was_direct = edge->direct, was_relayed = edge->relayed;
  const bool was_on_ring = edges_.on_ring();
  edges_.set_path(*edge, session, clock.now());
  note_usable(*edge);
  // All paths are gone, as when UDP ends: who is to be dialled again cannot wait for the next tick.
  if (was_on_ring && !edges_.on_ring()) join_.hurry();
  if (!edge->up) forwarder_.lost(session.peer());
  if (was_near && !edge->up) ring_.lost(*edge, was_direct);
  if (was_relayed) relays_.want(session.peer());
  linker_.on_path_changed(session);
  punch_.on_path_changed(session);
  upgrades_.on_path_changed(session);
  relays_.on_path_changed(session);
  circuit_requests_.on_path_changed(session);
  observe(session.peer(), &session);
}

void Node::Impl::on_routed(Session& session, ByteView packet) {
  if (!stopped_) forwarder_.on_routed(session.peer(), packet);
}

void Node::Impl::on_control(Session& session, ByteView piece) {
  if (!stopped_) messages_.on_piece(session.peer(), piece);
}

void Node::Impl::on_frame(Session& session, ByteView frame, std::uint8_t facts) {
  if ((facts & kFactPiece) != 0) return messages_.on_piece(session.peer(), frame);
  if (frame_handler_) frame_handler_(session, frame, facts);
}

void Node::Impl::on_reflexive(Session& session, const Endpoint& observed) {
  // The answer to a challenge: so it brings a round trip, too.
  if (Edge* edge = edges_.find(session.peer())) edges_.set_round_trip(*edge, session);
  whereabouts_.on_reflexive(session, observed);
}

void Node::Impl::on_silence_ended(const Path& path, Duration silence) {
  if (!path.is_direct() || path.is_stream()) return;
  if (!flow_timeout_.on_missed(silence, clock.now())) return;
  log_info("the NAT or firewall forgets silent flows soon",
           {{"kept_open_each_s", std::to_string(to_seconds(flow_keepalive()))}});
  ring_.changed();
}

void Node::Impl::send_routed(const Address& peer, const Address& via, ByteView packet) {
  if (!stopped_ || says_farewell_) forwarder_.send(peer, RoutedPayload::kPacket, packet, via);
}

void Node::Impl::deliver(const Address& from, std::uint8_t service, ByteView message) {
  if (service == static_cast<std::uint8_t>(Service::kLink)) return on_link(from, message);
  if (service == static_cast<std::uint8_t>(Service::kHopAcks)) {
    return forwarder_.on_acks(from, message);
  }
  if (service == static_cast<std::uint8_t>(Service::kBroadcast)) {
    return broadcasts_.on_message(from, message);
  }
  if (service == static_cast<std::uint8_t>(Service::kNat)) {
    return nat_answers_.on_errand(from, message);
  }
  if (service == static_cast<std::uint8_t>(Service::kFrame)) {
    Session* const session = sessions_.find(from);
    if (session != nullptr && !message.empty()) {
      on_frame(*session, message.subspan(1), message[0] & ~kFactPiece);
    }
    return;
  }
  const auto it = handlers_.find(service);
  if (it == handlers_.end() || !it->second) return metrics.add(Metric::kDropMalformed);
  it->second(from, message);
}

void Node::Impl::on_link(const Address& from, ByteView message) {
  pb::Link link;
  if (!link.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    return metrics.add(Metric::kDropMalformed);
  }
  Edge* edge = edges_.find(from);
  if (edge == nullptr) return;
  auto& newest = edge->newest.at(link.kind_case());
  // Overtaken by a newer one. (Settings and circuits carry numbers of their own.)
  const bool counts_all =
      link.kind_case() == pb::Link::kSettings || link.kind_case() == pb::Link::kCircuit;
  if (link.number() < newest && !counts_all) return;
  newest = link.number();
  switch (link.kind_case()) {
    case pb::Link::kNeighbours:
      return lists_.on_neighbours(from, link.neighbours());
    case pb::Link::kCandidates:
      if (Session* session = sessions_.find(from))
        whereabouts_.on_told(*session, link.candidates());
      return hurry_relay(from);
    case pb::Link::kRoles:
      return roles_.on_roles(from, link.roles());
    case pb::Link::kSettings:
      return settings_.on_state(from, link.settings());
    case pb::Link::kSummary:
      return lists_.on_summary(from, link.summary());
    case pb::Link::kCircuit:
      return on_circuit(from, link.circuit());
    case pb::Link::kOutsider:
      return merge_.on_outsider(from, link.outsider());
    case pb::Link::kPorts:
      if (Session* session = sessions_.find(from)) punch_.on_ports(*session, link.ports());
      return;
    case pb::Link::KIND_NOT_SET:
      return metrics.add(Metric::kDropMalformed);
  }
}

void Node::Impl::on_roles_changed(Edge& edge) {
  note_usable(edge);
  if (edge.usable() && edge.is_near()) lists_.tell(edge, false);
  hurry_relay(edge.peer);
}

// Whatever may have changed whether an edge carries packets, or in which roles, comes by here.
void Node::Impl::note_usable(Edge& edge) {
  const bool usable = edge.usable();
  if (usable != edge.up) {
    edge.up = usable;
    far_.changed();
    if (usable) {
      log_info("edge up",
               {{"peer", edge.peer.short_hex()}, {"roles", roles_text(edge.ours | edge.theirs)}});
      forwarder_.trust(edge.peer);
      ring_.welcome(edge.peer);
      lists_.tell(edge, true);
      join_.on_edge_usable(edge);
      whereabouts_.on_edge_usable();
    } else {
      log_info("edge down", {{"peer", edge.peer.short_hex()}, {"next", "routed"}});
    }
  }
  ring_.changed();
  note_joined();
}

void Node::Impl::note_joined() {
  const bool now = joined();
  if (now == was_joined_) return;
  was_joined_ = now;
  if (!now) return;
  joined_at_ = clock.now();
  log_info("joined", {{"node", self.short_hex()},
                      {"members", edges_.members().size()},
                      {"alone", join_.alone() ? "yes" : "no"}});
  far_.start();
  join_.on_joined();
  later([this] {
    for (const auto& fire : joined_observers_) fire();
  });
}

void Node::Impl::sweep() {
  shortcuts_.sweep();
  messages_.sweep();
  introducer_.forget_old();
  forwarder_.forget_old();
  whereabouts_.forget_old();
  broadcasts_.forget_old();
  merge_.forget_old();
  ring_.forget_old();
  relays_.forget_old();
  nat_answers_.forget_old();
  punch_.sweep();
  const auto idle_since = (clock.now() - ring::kPlainSessionIdle).time_since_epoch().count();
  for (auto& [peer, edge] : edges_.all()) {
    if (!edge.is_near() && !edge.is_leaf()) edge.list = {};  // of no use any more
    const Session* session = sessions_.find(peer);
    if (session != nullptr) edges_.set_round_trip(edge, *session);
    const auto keys = session == nullptr ? nullptr : session->keys();
    if (edge.is_edge() || keys == nullptr || edge.opened.time_since_epoch().count() > idle_since ||
        keys->last_received_ns.load(std::memory_order_relaxed) > idle_since ||
        keys->last_sent_data_ns.load(std::memory_order_relaxed) > idle_since) {
      continue;
    }
    later([this, peer = peer] { sessions_.close(peer, CloseReason::kIdle); });
  }
  sweep_timer_.after(random.jittered(ring::kSweepInterval), [this] { sweep(); });
}

void Node::Impl::observe(const Address& peer, Session* session) {
  if (session_observer_) session_observer_(peer, session);
}

}  // namespace wow
