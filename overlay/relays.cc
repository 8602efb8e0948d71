#include "overlay/relays.h"

#include <algorithm>

#include "base/log.h"
#include "overlay/circuit_messages.h"
#include "proto/overlay.pb.h"

namespace wow {
namespace {

bool is_open(const Session* session) {
  return session != nullptr && session->state() == SessionState::kOpen;
}

// Whoever is asked may link with the peer on purpose, or we with the relay.
bool links(Relays::Way way) {
  return way == Relays::Way::kLinks || way == Relays::Way::kTwoLinks ||
         way == Relays::Way::kNewLinks;
}

}  // namespace

void Relays::stop() {
  timer_.cancel();
  searches_.clear();
  asks_.clear();
  told_.clear();
}

void Relays::wake(Duration in) {
  const TimePoint at = hub_.clock.now() + in;
  if (!timer_.is_set() || timer_.due() > at) timer_.after(in, [this] { tick(); });
}

void Relays::tick() {
  const TimePoint now = hub_.clock.now();
  if (hub_.sessions.circuits().forget_retired(now)) wake(CircuitTable::kLinger);
  repeat_asks();
  std::vector<Address> peers;
  for (const auto& [peer, search] : searches_) peers.push_back(peer);
  for (const Address& peer : peers) {
    const auto it = searches_.find(peer);
    if (it != searches_.end()) step(peer, it->second);
  }
  if (now - swept_ >= ring::kRelaySweep) sweep();
  if (!asks_.empty()) {
    wake(ring::kRelayTick);
  } else if (!searches_.empty()) {
    TimePoint next = now + ring::kRelaySweep;
    for (const auto& [peer, search] : searches_) next = std::min(next, search.next);
    wake(std::max<Duration>(next - now, ring::kRelayTick));
  } else if (!ends_.empty()) {
    wake(ring::kRelaySweep);
  }
}

void Relays::want(const Address& peer) {
  if (searches_.contains(peer) || !handlers_.lacks_path(peer)) return;
  if (searches_.size() >= ring::kSearchesMax) return hub_.metrics.add(Metric::kDropQueueFull);
  // Both ends want one, and one is enough: who has traffic for the other begins.
  const Edge* edge = hub_.edges.find(peer);
  const bool ours = (handlers_.wanted(peer) & kShortcutBit) != 0;
  const bool theirs = edge != nullptr && (edge->theirs & kShortcutBit) != 0;
  const bool first = ours == theirs ? !(hub_.self < peer) : ours;
  const Duration turn = first ? Duration::zero() : ring::kRelayTurn;
  searches_[peer].next = hub_.clock.now() + turn;
  wake(turn);
}

void Relays::step(const Address& peer, Search& search) {
  if (!handlers_.lacks_path(peer)) return end_search(peer);
  if (search.next > hub_.clock.now()) return;
  while (outstanding(peer) < asks_at_once(peer, search.way)) {
    RelayWay way;
    if (search.tried.size() < ring::kAsksPerRound) {
      way = search.way == Way::kKnowsBoth ? next_known(peer, search)
                                          : RelayWay{next_relay(peer, search), {}, {}};
    }
    if (way.first.is_zero()) {
      if (outstanding(peer) == 0) next_way(peer, search);
      return;
    }
    search.tried.insert(way.first);
    ask(peer, way, search.way, false);
  }
}

void Relays::forget_old() {
  std::erase_if(told_, [now = hub_.clock.now()](const auto& t) { return t.second.until <= now; });
}

void Relays::on_told(const Address& peer, NatMapping nat, const std::vector<Member>& direct_peers) {
  const TimePoint now = hub_.clock.now();
  forget_old();
  if (told_.size() >= ring::kToldMax && !told_.contains(peer)) {
    told_.erase(std::ranges::min_element(told_, {}, [](const auto& t) { return t.second.until; }));
  }
  told_[peer] = {direct_peers, nat, now + ring::kToldLife};
}

NatMapping Relays::told_nat(const Address& peer) const {
  const auto told = told_.find(peer);
  return told == told_.end() ? NatMapping::kUnknown : told->second.nat;
}

// By what is known of everybody's direct paths.
std::vector<RelayWay> Relays::known_ways(const Address& peer) const {
  std::vector<RelayLink> links;
  std::map<Address, Duration> spared;
  const auto add = [&](const Address& from, const std::vector<Member>& members) {
    for (const Member& m : members) links.push_back({from, m.address, m.round_trip});
  };
  for (const auto& [relay, edge] : hub_.edges.all()) {
    if (relay == peer) {
      add(peer, edge.members());
      continue;
    }
    if (!edge.direct) continue;
    links.push_back({hub_.self, relay, edge.round_trip});
    add(relay, edge.members());
    spared[relay] =
        edge.load * ring::kRelayPerLoad + (edge.is_leaf() ? ring::kRelaySpared : Duration::zero());
  }
  for (const auto& [relay, until] : lossy_) spared[relay] += ring::kRelayPerLossy;
  const auto told = told_.find(peer);
  if (told != told_.end()) add(peer, told->second.direct_peers);
  return relay_ways(hub_.self, peer, links, spared);
}

bool Relays::has_end(const Address& relay, const Address& peer) const {
  return std::ranges::any_of(
      ends_, [&](const auto& e) { return e.second.relay == relay && e.second.far_end == peer; });
}

// Each relay that links with the peer takes an entry of its NAT, unless that has one for all.
std::size_t Relays::asks_at_once(const Address& peer, Way way) const {
  const Edge* edge = hub_.edges.find(peer);
  const NatMapping nat = edge == nullptr ? told_nat(peer) : edge->nat;
  return links(way) && may_depend(nat) ? 1 : ring::kAsksAtOnce;
}

// Whoever already has a circuit for us, and yet the peer lacks a path, does not pass packets on.
RelayWay Relays::next_known(const Address& peer, const Search& search) const {
  const auto fits = [&](const Address& relay) {
    return relay != peer && !search.tried.contains(relay) && !has_end(relay, peer);
  };
  const auto ways = known_ways(peer);
  for (const RelayWay& way : ways) {
    if (fits(way.first)) return way;
  }
  if (!ways.empty()) return {};
  // Nobody is known to reach it, as while a pool starts: most have been at one of our bootstraps.
  for (const auto& [relay, edge] : hub_.edges.all()) {
    if (edge.direct && (edge.ours & kLeafBit) != 0 && fits(relay)) return {relay, {}, {}};
  }
  return {};
}

void Relays::next_way(const Address& peer, Search& search) {
  search.tried.clear();
  // A peer that was never heard may be dead: others are not set on it before a second look.
  // (Traffic for the dead is common: for that others are not at all.)
  const bool near = (handlers_.wanted(peer) & kNearBit) != 0;
  const bool unheard =
      !is_open(hub_.sessions.find(peer)) && (!near || search.pause == ring::kSearchAgain);
  do {
    search.way = static_cast<Way>(static_cast<int>(search.way) + 1);
  } while (unheard && search.way != Way::kEnd && links(search.way));
  search.next = hub_.clock.now();
  if (search.way == Way::kNewLinks) {
    link_on_purpose(peer, search);
    search.next += ring::kOpenLinkWait;
  } else if (search.way == Way::kEnd) {
    search.way = Way::kKnowsBoth;
    search.next += hub_.random.jittered(search.pause);
    search.pause = std::min<Duration>(search.pause * 2, ring::kSearchAgainMax);
  }
  wake(std::max<Duration>(search.next - hub_.clock.now(), Duration(1ms)));
}

// Not by what is known: of those that we have a direct path to; the nearer to the peer, the
// likelier it has one, too. Bootstraps last: they are everybody's.
Address Relays::next_relay(const Address& peer, const Search& search) const {
  const bool by_chance = search.way == Way::kNewLinks;
  const Edge* best = nullptr;
  for (const auto& [relay, edge] : hub_.edges.all()) {
    if (!edge.direct || relay == peer || search.tried.contains(relay) || has_end(relay, peer))
      continue;
    if (search.named.contains(relay)) return relay;
    if (by_chance && (edge.ours | edge.theirs) != 0) continue;  // asked before
    if (best == nullptr || edge.is_leaf() < best->is_leaf() ||
        (edge.is_leaf() == best->is_leaf() && nearer(relay, best->peer, peer)))
      best = &edge;
  }
  return best == nullptr ? Address() : best->peer;
}

// Nobody whom we know can reach the peer: somebody near it may, and we may reach that one.
void Relays::link_on_purpose(const Address& peer, const Search& search) {
  std::size_t links = 0;
  std::vector<Member> members;
  for (const Address& a : search.named) members.push_back({a, {}});
  for (Member& m : handlers_.neighbours_of(peer)) members.push_back(std::move(m));
  for (const Member& m : members) {
    const Edge* edge = hub_.edges.find(m.address);
    if (m.address == peer || m.address == hub_.self || (edge != nullptr && edge->direct)) continue;
    if (links++ >= ring::kAsksAtOnce) return;
    hub_.connect(m, EdgeRole::kNone);
  }
}

bool Relays::ask(const Address& peer, const RelayWay& through, Way way, bool rival) {
  if (!hub_.sessions.circuits().has_room(through.first, true)) return false;
  std::uint32_t id = 0;
  do {
    id = hub_.sessions.circuits().draw(hub_.random);
  } while (asks_.contains(id));
  const TimePoint now = hub_.clock.now();
  const bool takes_longer = way != Way::kKnowsBoth;
  Ask& ask = asks_[id];
  ask = {.peer = peer,
         .relay = through.first,
         .second = through.second,
         .way = way,
         .until = now + (takes_longer ? ring::kOpenLinkLimit : ring::kOpenLimit),
         .repeat = now + ring::kOpenRepeat,
         .rival = rival};
  send_open(id, ask);
  wake(ring::kRelayTick);
  return true;
}

void Relays::send_open(std::uint32_t id, const Ask& ask) {
  const bool two = ask.way == Way::kTwo || ask.way == Way::kTwoLinks || !ask.second.is_zero();
  send_circuit_open(hub_, ask.relay,
                    {id, hub_.self, ask.peer, two ? 2u : 1u, links(ask.way), ask.second});
}

void Relays::repeat_asks() {
  const TimePoint now = hub_.clock.now();
  std::vector<std::uint32_t> over;
  for (auto& [id, ask] : asks_) {
    const bool proven = ask.accepted && !ask.rival && !handlers_.lacks_path(ask.peer);
    if (proven || now >= ask.until) {
      over.push_back(id);
    } else if (now >= ask.repeat) {
      repeat(id, ask);
    }
  }
  for (const std::uint32_t id : over) {
    const auto it = asks_.find(id);
    if (it == asks_.end()) continue;
    const Ask ask = it->second;
    asks_.erase(it);
    if (!ask.accepted) send_circuit(hub_, ask.relay, pb::Circuit::OP_CLOSE, id);
    // Agreed to, and yet nothing comes through. (A rival that is no better goes when it was unused
    // for a while.)
    if (ask.accepted && !ask.rival && handlers_.lacks_path(ask.peer)) remove(id, true);
  }
}

void Relays::repeat(std::uint32_t id, Ask& ask) {
  ask.repeat = hub_.clock.now() + ring::kOpenRepeat;
  if (!ask.accepted) return send_open(id, ask);
  // A handshake repeats itself.
  if (is_open(hub_.sessions.find(ask.peer)))
    hub_.sessions.dial(ask.peer, Path::relayed(ask.relay, id));
}

bool Relays::on_accept(const Address& from, std::uint32_t id) {
  const auto it = asks_.find(id);
  if (it == asks_.end() || it->second.relay != from) return false;
  Ask& ask = it->second;
  if (ask.accepted) return true;
  const bool another = std::any_of(asks_.begin(), asks_.end(), [&](const auto& a) {
    return a.second.peer == ask.peer && a.second.accepted;
  });
  const bool wanted = ask.rival || handlers_.lacks_path(ask.peer);
  if (another || !wanted || !take(id, from, ask.peer, true)) {
    asks_.erase(it);
    send_circuit(hub_, from, pb::Circuit::OP_CLOSE, id);
    return true;
  }
  ends_[id].second = ask.second;
  const TimePoint now = hub_.clock.now();
  ask.accepted = true;
  ask.repeat = now + ring::kOpenRepeat;
  ask.until = now + ring::kOpenLinkLimit;
  log_debug("circuit", {{"peer", ask.peer.short_hex()}, {"relay", from.short_hex()}});
  hub_.sessions.dial(ask.peer, Path::relayed(from, id));
  return true;
}

bool Relays::on_close(const Address& from, const pb::Circuit& message) {
  const std::uint32_t id = message.id();
  const auto asked = asks_.find(id);
  if (asked != asks_.end() && asked->second.relay == from) {
    const bool accepted = asked->second.accepted;
    const auto search = searches_.find(asked->second.peer);
    const auto named = Address::parse(view_of(message.relay()));
    if (named && search != searches_.end() && search->second.named.size() < ring::kAsksAtOnce) {
      search->second.named.insert(*named);
    }
    asks_.erase(asked);
    wake(Duration(1ms));
    if (!accepted) return true;
  }
  const auto end = ends_.find(id);
  if (end == ends_.end() || end->second.relay != from) return false;
  remove(id, false);
  return true;
}

// Whoever relays could say so of anybody: a circuit proves nothing but that packets pass. Who may
// open a session is decided by its key exchange.
bool Relays::consents(const Address& from, const pb::Circuit& message) const {
  const auto source = Address::parse(view_of(message.source()));
  if (!source || *source == hub_.self || *source == from) return false;
  std::size_t theirs = 0, strangers = 0;
  for (const auto& [id, end] : ends_) {
    theirs += end.far_end == *source ? 1 : 0;
    strangers += hub_.sessions.find(end.far_end) == nullptr ? 1 : 0;
  }
  const bool known = hub_.sessions.find(*source) != nullptr;
  return theirs < ring::kCircuitsPerFarEnd && (known || strangers < ring::kStrangerEnds);
}

void Relays::on_open(const Address& from, const pb::Circuit& message) {
  const std::uint32_t id = message.id();
  if (!opens_.take(from, hub_.clock.now())) return hub_.metrics.add(Metric::kDropRateLimited);
  const auto known = ends_.find(id);
  const bool repeated = known != ends_.end() && known->second.relay == from;
  if (!repeated) {
    if (asks_.contains(id) || !consents(from, message) ||
        !take(id, from, Address::from_bytes(view_of(message.source())), false)) {
      hub_.metrics.add(Metric::kCircuitRefused);
      return send_circuit(hub_, from, pb::Circuit::OP_CLOSE, id);
    }
    // Theirs is under way; ours waits.
    const auto search = searches_.find(ends_[id].far_end);
    if (search != searches_.end()) {
      search->second.next = std::max(search->second.next, hub_.clock.now() + ring::kRelayAfter);
    }
  }
  send_circuit(hub_, from, pb::Circuit::OP_ACCEPT, id);
}

bool Relays::take(std::uint32_t id, const Address& relay, const Address& far_end, bool ours) {
  Edge* edge = hub_.edges.find(relay);
  const TimePoint now = hub_.clock.now();
  if (edge == nullptr || !edge->direct) return false;
  if (!hub_.sessions.circuits().add_end(id, relay, far_end, now)) return false;
  if (ends_.empty()) swept_ = now;
  ends_[id] = {.relay = relay,
               .far_end = far_end,
               .ours = ours,
               .used = now,
               .compare = now + ring::kRelayCompare};
  hub_.take_role(*edge, EdgeRole::kRelay);
  wake(ring::kRelaySweep);
  return true;
}

void Relays::remove(std::uint32_t id, bool ours) {
  const auto it = ends_.find(id);
  if (it == ends_.end()) return;
  const End end = it->second;
  ends_.erase(it);
  if (ours) send_circuit(hub_, end.relay, pb::Circuit::OP_CLOSE, id);
  hub_.sessions.circuits().retire(id, hub_.clock.now());
  wake(CircuitTable::kLinger);
  const bool needed = std::any_of(ends_.begin(), ends_.end(),
                                  [&](const auto& e) { return e.second.relay == end.relay; });
  Edge* edge = hub_.edges.find(end.relay);
  if (edge != nullptr && !needed) hub_.drop_role(*edge, EdgeRole::kRelay);
  if (Session* session = hub_.sessions.find(end.far_end))
    hub_.sessions.drop_path(*session, Path::relayed(end.relay, id));
}

// The way to a relay is in doubt, and so is everything behind it. It is asked again, but not waited
// for.
void Relays::on_path_changed(const Session& session) {
  if (session.is_direct()) return;
  std::vector<std::pair<std::uint32_t, Address>> behind;
  for (const auto& [id, end] : ends_) {
    if (end.relay == session.peer()) behind.emplace_back(id, end.far_end);
  }
  for (const auto& [id, far_end] : behind) {
    if (Session* s = hub_.sessions.find(far_end))
      hub_.sessions.doubt_relayed_path(*s, Path::relayed(session.peer(), id));
  }
}

void Relays::on_lost(const Address& peer, bool session_too) {
  std::erase_if(asks_, [&](const auto& a) { return a.second.relay == peer; });
  std::vector<std::uint32_t> gone;
  for (const auto& [id, end] : ends_) {
    if (end.relay == peer || (session_too && end.far_end == peer)) gone.push_back(id);
  }
  for (const std::uint32_t id : gone) remove(id, true);
}

SecondRelay Relays::second_relay(std::uint32_t circuit) const {
  const auto end = ends_.find(circuit);
  const CircuitLeg* leg = hub_.sessions.circuits().find(circuit);
  if (end == ends_.end() || leg == nullptr || leg->relays < 2) return {};
  SecondRelay out{true, end->second.second, {}};
  if (const Edge* first = hub_.edges.find(end->second.relay)) {
    for (const Member& m : first->members()) {
      if (m.address == out.node) out.beyond = m.round_trip;
    }
  }
  return out;
}

std::size_t Relays::outstanding(const Address& peer) const {
  return std::count_if(asks_.begin(), asks_.end(),
                       [&](const auto& a) { return a.second.peer == peer; });
}

void Relays::end_search(const Address& peer) {
  searches_.erase(peer);
  std::vector<std::uint32_t> unneeded;
  for (const auto& [id, ask] : asks_) {
    if (ask.peer == peer && !ask.accepted) unneeded.push_back(id);
  }
  for (const std::uint32_t id : unneeded) {
    send_circuit(hub_, asks_[id].relay, pb::Circuit::OP_CLOSE, id);
    asks_.erase(id);
  }
}

// Whether another way seems to be clearly better: then its circuit is made beside this one, and the
// session moves over when its measured round trip is (PathSet); this one goes when it is unused.
void Relays::compare(const Session& session, End& end) {
  const TimePoint now = hub_.clock.now();
  end.pause = std::min<Duration>(end.pause * 2, ring::kRelayCompareMax);
  end.compare = now + end.pause;
  if (!session.is_relayed() || outstanding(end.far_end) > 0) return;
  const Edge* relay = hub_.edges.find(end.relay);
  const Duration busy = (relay == nullptr ? 0 : relay->load) * ring::kRelayPerLoad;
  const Duration lossy = session.path().is_lossy() ? ring::kRelayPerLossy : Duration::zero();
  const Duration used = session.path().round_trip + kRelayCost + busy + lossy;
  for (const RelayWay& way : known_ways(end.far_end)) {
    if (has_end(way.first, end.far_end)) continue;
    if (way.cost + ring::kRelayGain + used / 4 < used) ask(end.far_end, way, Way::kKnowsBoth, true);
    return;
  }
}

// Since it was quickest, or was found to be slow before: somebody loads it.
bool Relays::has_slowed(const Session& session, End& end) {
  const Duration now = session.path().round_trip;
  const bool slowed = end.round_trip > Duration() && now > 2 * end.round_trip + ring::kRelayGain;
  if (slowed || end.round_trip == Duration() || now < end.round_trip) end.round_trip = now;
  return slowed;
}

// Each relay is left for this once in a while: it may be our own line that loses.
bool Relays::has_become_lossy(const Session& session, const Address& relay) {
  if (!session.path().is_lossy() || lossy_.size() >= ring::kRelaysLossyMax) return false;
  return lossy_.try_emplace(relay, hub_.clock.now() + ring::kRelayLossyFor).second;
}

// What neither end has a role for and nobody speaks on would keep the edges to its relay alive for
// nothing, and their entries in our NAT.
bool Relays::serves(const Session& session) const {
  const Edge* edge = hub_.edges.find(session.peer());
  return (edge != nullptr && edge->is_edge()) ||
         hub_.clock.now() - session.last_activity() < ring::kRelayUnused;
}

void Relays::sweep() {
  const TimePoint now = hub_.clock.now();
  swept_ = now;
  opens_.sweep(now);
  std::erase_if(lossy_, [now](const auto& l) { return l.second <= now; });
  std::vector<std::uint32_t> unused;
  for (auto& [id, end] : ends_) {
    const Session* session = hub_.sessions.find(end.far_end);
    if (is_open(session) && session->path().path == Path::relayed(end.relay, id) &&
        serves(*session)) {
      end.used = now;
      const bool worse = has_slowed(*session, end) || has_become_lossy(*session, end.relay);
      if (worse) end.pause = ring::kRelayCompare;
      if (end.ours && (worse || end.compare <= now)) compare(*session, end);
    }
    if (now - end.used >= ring::kRelayUnused) unused.push_back(id);
  }
  for (const std::uint32_t id : unused) remove(id, true);
}

}  // namespace wow
