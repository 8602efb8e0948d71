#include "overlay/linker.h"

#include <algorithm>

#include "overlay/limits.h"
#include "overlay/node.h"

namespace wow {
namespace {

EdgeRole first_role(Roles roles) {
  for (const auto role : {EdgeRole::kNear, EdgeRole::kFar, EdgeRole::kShortcut, EdgeRole::kLeaf}) {
    if ((roles & role_bit(role)) != 0) return role;
  }
  return EdgeRole::kNone;
}

bool is_open(const Session* session) {
  return session != nullptr && session->state() == SessionState::kOpen;
}

bool has_private(const std::vector<Endpoint>& candidates) {
  return std::ranges::any_of(candidates, [](const Endpoint& e) { return e.ip.is_private(); });
}

bool same_addresses(const std::vector<Endpoint>& a, const std::vector<Endpoint>& b) {
  return std::ranges::equal(a, b, {}, &Endpoint::ip, &Endpoint::ip);
}

}  // namespace

void Linker::connect(const Member& peer, EdgeRole role) {
  if (peer.address == hub_.self) return;
  Session* session = hub_.sessions.find(peer.address);
  if (is_open(session)) {
    if (Edge* edge = hub_.edges.find(peer.address)) hub_.take_role(*edge, role);
    if (session->is_direct()) return;
  }
  const auto known = attempts_.find(peer.address);
  if (known != attempts_.end() && known->second->ours) {
    known->second->roles |= role_bit(role);
    return;
  }
  Attempt* attempt = begin(peer.address, peer.endpoints, true);
  if (attempt == nullptr) return;
  attempt->roles |= role_bit(role);
  attempt->ours = true;
  attempt->started = hub_.clock.now();
  ask(peer.address, *attempt);
  dial_directly(peer.address, usable(peer.endpoints), peer.named_by);
  wake(peer.address, hub_.clock.now());
}

void Linker::answer(const Member& peer) { on_candidates(peer.address, peer.endpoints); }

void Linker::on_candidates(const Address& peer, const std::vector<Endpoint>& endpoints) {
  const Session* session = hub_.sessions.find(peer);
  bool checked = false;
  if (Edge* edge = hub_.edges.find(peer)) {
    auto told = usable(endpoints);
    checked = is_open(session) && same_addresses(told, edge->endpoints) && is_hopeless(*edge) &&
              hub_.clock.now() < edge->no_checks_before;
    edge->endpoints = std::move(told);
  }
  if (checked || (is_open(session) && session->is_direct())) return;
  Attempt* attempt = begin(peer, endpoints, false);
  if (attempt == nullptr) return;
  if (attempt->ours) dial_directly(peer, usable(endpoints));
  wake(peer, hub_.clock.now());
}

void Linker::on_open(Session& session) {
  const Address peer = session.peer();
  const auto it = attempts_.find(peer);
  // Whichever CTM was lost, the session now tells both where to find the other.
  const bool by_udp = session.is_direct() && !session.path().path.is_stream();
  if (!by_udp) handlers_.tell_candidates(peer, false);
  if (it == attempts_.end()) return;
  if (Edge* edge = hub_.edges.find(peer)) {
    // Should UDP end, its streams are in here.
    if (hub_.options.streams && edge->endpoints.empty()) edge->endpoints = it->second->told;
    for (const auto role : kAllRoles) {
      if ((it->second->roles & role_bit(role)) != 0) hub_.take_role(*edge, role);
    }
  }
  if (session.is_direct()) return end(peer, false);
  wake(peer, hub_.clock.now());
}

void Linker::on_path_changed(Session& session) {
  const Address peer = session.peer();
  if (session.is_direct()) return end(peer, false);
  const Edge* edge = hub_.edges.find(peer);
  if (attempts_.contains(peer) || edge == nullptr) return;
  // The direct path was lost: both ends look for another while traffic is routed.
  if (begin(peer, candidates_of(*edge), edge->ours != 0) == nullptr) return;
  handlers_.tell_candidates(peer, false);
  wake(peer, hub_.clock.now());
}

void Linker::on_closed(const Address& peer) {
  const auto it = attempts_.find(peer);
  if (it == attempts_.end()) return;
  const bool over = hub_.clock.now() - it->second->started >= ring::kConnectLimit - 2s;
  if (!it->second->ours || over) return end(peer, true);
  wake(peer, hub_.clock.now() + ring::kAskFirst);
}

void Linker::restart_all() {
  for (const auto& [peer, edge] : hub_.edges.all()) {
    if (edge.direct) continue;
    attempts_.erase(peer);
    if (begin(peer, candidates_of(edge), edge.ours != 0) == nullptr) return;
    wake(peer, hub_.clock.now());
  }
}

Linker::Attempt* Linker::begin(const Address& peer, const std::vector<Endpoint>& candidates,
                               bool ours) {
  const auto known = attempts_.find(peer);
  if (known != attempts_.end()) {
    known->second->checks.add(with_guesses(usable(candidates)), hub_.clock.now());
    return known->second.get();
  }
  if (!make_room(ours)) {
    hub_.metrics.add(Metric::kDropQueueFull);
    return nullptr;
  }
  auto& attempt = attempts_[peer];
  const auto told = usable(candidates);
  attempt = std::make_unique<Attempt>(hub_.clock, told, with_guesses(told), without_udp());
  attempt->ours = ours;
  attempt->started = hub_.clock.now();
  return attempt.get();
}

// A request to link costs its sender but a fresh key. So those of others take half of the room at
// most, and the oldest of them goes for a newer one or for one of ours.
bool Linker::make_room(bool ours) {
  std::size_t others = 0;
  auto oldest = attempts_.end();
  for (auto it = attempts_.begin(); it != attempts_.end(); ++it) {
    if (it->second->ours) continue;
    ++others;
    if (oldest == attempts_.end() || it->second->started < oldest->second->started) oldest = it;
  }
  const bool full = attempts_.size() >= ring::kLinksMax;
  if (!full && (ours || others < ring::kLinksMax / 2)) return true;
  if (oldest == attempts_.end()) return false;
  attempts_.erase(oldest);
  hub_.metrics.add(Metric::kDropQueueFull);
  return true;
}

void Linker::ask(const Address& peer, Attempt& attempt) {
  attempt.ask_again =
      hub_.clock.now() + hub_.random.jittered(ring::kAskFirst * (1 << std::min(attempt.asked, 3)));
  ++attempt.asked;
  handlers_.ask(peer, first_role(attempt.roles));
  if (hub_.sessions.find(peer) == nullptr) hub_.sessions.dial(peer, Path::routed());
}

Linker::Tries Linker::tries(const Address& peer) const {
  const auto it = attempts_.find(peer);
  if (it == attempts_.end()) return {};
  return {it->second->rounds, !it->second->resting};
}

Roles Linker::wanted(const Address& peer) const {
  const auto it = attempts_.find(peer);
  return it != attempts_.end() && it->second->ours ? it->second->roles : Roles{0};
}

// The same exchange on another path: where no NAT is in the way it ends a round trip of the ring
// earlier, and costs the ring nothing. Not more endpoints than may hear checks from us, and paid
// for by whoever named them, each repetition too.
void Linker::dial_directly(const Address& peer, const std::vector<Endpoint>& candidates,
                           const Address& named_by) {
  const Session* session = hub_.sessions.find(peer);
  if (session == nullptr || is_open(session)) return;
  // Through two NATs of which ours shows each peer another port it would be luck, and lists do not
  // say who is behind one. Each try takes an entry of ours.
  const NatMapping nat = hub_.own_nat();
  if (nat == NatMapping::kDependent) return;
  if (nat == NatMapping::kUnknown && has_private(candidates)) return;
  std::size_t dialled = 0;
  for (const Endpoint& e : candidates) {
    if (e.is_stream()) continue;
    if (++dialled > ring::kDirectDials || !checks_.take({}, hub_.clock.now())) return;
    hub_.lend(named_by, peer, kNamedFlightBytes + ring::kCheckBytes);
    hub_.sessions.dial(peer, Path::direct(e));
  }
}

void Linker::step(const Address& peer) {
  const auto it = attempts_.find(peer);
  if (it == attempts_.end()) return;
  Session* session = hub_.sessions.find(peer);
  if (hub_.clock.now() - it->second->started >= ring::kRelayAfter) handlers_.stuck(peer);
  if (!is_open(session)) return step_unopened(peer, *it->second);
  if (session->is_direct()) return end(peer, false);
  step_open(*session, *it->second);
}

void Linker::step_unopened(const Address& peer, Attempt& attempt) {
  const TimePoint now = hub_.clock.now(), limit = attempt.started + ring::kConnectLimit;
  // That a stranger did not come tells nothing about it.
  if (now >= limit) return end(peer, attempt.ours);
  if (!attempt.ours) return wake(peer, limit);
  if (attempt.ask_again > now) return wake(peer, std::min(attempt.ask_again, limit));
  ask(peer, attempt);
  wake(peer, now + ring::kAskFirst);
}

void Linker::step_open(Session& session, Attempt& attempt) {
  const TimePoint now = hub_.clock.now();
  const Address peer = session.peer();
  Edge* edge = hub_.edges.find(peer);
  if (edge != nullptr && may_depend(edge->nat)) attempt.checks.keep_one_per_address();
  if (edge != nullptr && waits_for_news(*edge, session))
    return wake(peer, session.opened_at() + ring::kToldSoon);
  const auto due = attempt.checks.next_due();
  const bool is_due = due && *due <= now;
  if (is_due && !attempt.permitted) attempt.permitted = edge == nullptr || may_check(*edge);
  // Ports are guessed when the usual checks should have been answered, or are known to be of no
  // use.
  const bool known = edge != nullptr && !is_doubtful(*edge);
  if (attempt.permitted ? attempt.checks.all_repeated() : known) handlers_.unlinked(peer);
  if (is_due && !attempt.permitted) {
    handlers_.stuck(peer);
    return next_round(peer, attempt);
  }
  if (is_due) {
    // All peers together name only so many endpoints that hear from us (which may be victims).
    if (!checks_.take({}, now)) return wake(peer, now + hub_.random.jittered(ring::kCheckPause));
    // What the peer has not paid for yet is due again later, as if it had been lost.
    const Endpoint to = *attempt.checks.next(now);
    if (hub_.pays(peer, to, to.is_stream() ? ring::kStreamCheckBytes : ring::kCheckBytes))
      hub_.sessions.probe(session, to, handlers_.lately_moved());
    return wake(peer, now + kCheckPace);
  }
  if (due) return wake(peer, *due);
  next_round(peer, attempt);
}

// All candidates were tried in vain. An edge that we want is tried again, for ever but ever more
// rarely; anything else stays routed after some rounds.
void Linker::next_round(const Address& peer, Attempt& attempt) {
  Edge* edge = hub_.edges.find(peer);
  const bool wanted = edge != nullptr && (edge->ours & (kNearBit | kFarBit | kShortcutBit)) != 0;
  if (edge == nullptr || !attempt.ours || (!wanted && attempt.rounds >= ring::kRecheckRounds)) {
    return end(peer, false);
  }
  const TimePoint now = hub_.clock.now();
  if (!attempt.resting) {
    const Duration pause = std::min<Duration>(
        ring::kRecheckFirst * (1 << std::min(attempt.rounds++, 5)), ring::kRecheckMax);
    attempt.resting = true;
    attempt.ask_again = now + hub_.random.jittered(pause);
  }
  if (attempt.ask_again > now) return wake(peer, attempt.ask_again);
  attempt.resting = false;
  attempt.permitted = false;
  handlers_.ask(peer, first_role(edge->ours));
  attempt.checks.add(with_guesses(candidates_of(*edge)), now);
  wake(peer, now + ring::kAskFirst);
}

// What its NAT does comes with its candidates, as soon as it has heard of the session; what ours
// does we know when a second peer has seen us, and the peer is told. Either wakes the attempt.
bool Linker::waits_for_news(const Edge& edge, const Session& session) const {
  return is_doubtful(edge) && is_hopeless(edge) &&
         hub_.clock.now() - session.opened_at() < ring::kToldSoon;
}

bool Linker::is_doubtful(const Edge& edge) const {
  return edge.nat == NatMapping::kUnknown || hub_.own_nat() == NatMapping::kUnknown;
}

bool Linker::is_hopeless(const Edge& edge) const {
  return may_depend(edge.nat) && may_depend(hub_.own_nat());
}

// Where both NATs choose a port for each peer, checks open something only if one of them lets in
// everybody, and what the first ones did not open the next hardly will. Each takes an entry of
// both, of which a home router has few for a host that meets hundreds when its pool starts.
bool Linker::may_check(Edge& edge) {
  if (!is_hopeless(edge)) return true;
  const TimePoint now = hub_.clock.now();
  if (now < edge.no_checks_before || !hopeless_.take({}, now)) return false;
  edge.no_checks_before = now + hub_.random.jittered(ring::kRecheckHopeless);
  return true;
}

void Linker::wake(const Address& peer, TimePoint at) {
  // A dial that failed at once has ended the attempt.
  const auto it = attempts_.find(peer);
  if (it == attempts_.end()) return;
  it->second->timer.after(std::max<Duration>(at - hub_.clock.now(), Duration::zero()),
                          [this, peer] { step(peer); });
}

void Linker::end(const Address& peer, bool failed) {
  if (attempts_.erase(peer) > 0 && failed) handlers_.given_up(peer);
}

std::vector<Endpoint> Linker::usable(const std::vector<Endpoint>& endpoints) const {
  auto out =
      usable_candidates(endpoints, {hub_.options.virtual_subnet, hub_.options.allow_loopback});
  if (!hub_.options.streams) std::erase_if(out, [](const Endpoint& e) { return e.is_stream(); });
  // Two homes may use the same private addresses: there we would find ourselves.
  const auto own = hub_.transport.local_endpoints();
  std::erase_if(out, [&](const Endpoint& e) { return std::ranges::find(own, e) != own.end(); });
  return out;
}

bool Linker::without_udp() const { return hub_.options.streams && hub_.sessions.udp_is_silent(); }

// A peer behind a NAT that has UDP knows not what its NAT makes of the port of its streams. That
// has the number of its UDP port, which its own address (told first) says, and many NATs keep it.
// It dials us at the same time.
std::vector<Endpoint> Linker::with_guesses(std::vector<Endpoint> told) const {
  if (!without_udp() || std::ranges::any_of(told, &Endpoint::is_stream)) return told;
  std::vector<Endpoint> guesses;
  for (const Endpoint& e : told) {
    if (!e.ip.is_private() && guesses.size() < kStreamsTried)
      guesses.push_back({e.ip, told.front().port, Carrier::kTcp});
  }
  told.insert(told.end(), guesses.begin(), guesses.end());
  return told;
}

// A bootstrap that we met on a direct path has told us nothing: where it listens is guessed.
std::vector<Endpoint> Linker::candidates_of(const Edge& edge) const {
  auto out = edge.endpoints;
  if (!hub_.options.streams || (edge.ours & kLeafBit) == 0) return out;
  const auto known = out.empty() ? edge.met_at : out;
  if (out.empty()) out = known;
  for (const Endpoint& e : streams_to(known)) {
    if (std::ranges::find(out, e) == out.end()) out.push_back(e);
  }
  return out;
}

}  // namespace wow
