#include "overlay/circuit_requests.h"

#include <algorithm>

namespace wow {
namespace {

bool is_direct(const Hub& hub, const Address& peer) {
  const Edge* edge = hub.edges.find(peer);
  return edge != nullptr && edge->direct;
}

}  // namespace

void CircuitRequests::stop() {
  timer_.cancel();
  requests_.clear();
  draining_ = false;
}

void CircuitRequests::wake(Duration in) {
  const TimePoint at = hub_.clock.now() + in;
  if (!timer_.is_set() || timer_.due() > at) timer_.after(in, [this] { tick(); });
}

void CircuitRequests::tick() {
  const TimePoint now = hub_.clock.now();
  if (hub_.sessions.circuits().forget_retired(now)) wake(CircuitTable::kLinger);
  std::vector<std::uint32_t> due;
  for (const auto& [id, request] : requests_) {
    if (now >= request.until || now >= request.next) due.push_back(id);
  }
  for (const std::uint32_t id : due) {
    const auto it = requests_.find(id);
    if (it == requests_.end()) continue;
    if (now < it->second.until) {
      step(it);
      continue;
    }
    if (it->second.linking && it->second.to.is_zero()) avoid_linking(it->second.open.destination);
    fail(it);
  }
  if (now - swept_ >= ring::kRelaySweep) forget_old();
  if (!requests_.empty()) {
    wake(ring::kRelayTick);
  } else if (hub_.sessions.circuits().passed_on() > 0 || !unlinkable_.empty()) {
    wake(ring::kRelaySweep);
  }
}

void CircuitRequests::avoid_linking(const Address& peer) {
  if (unlinkable_.size() >= ring::kUnlinkableMax) return;
  unlinkable_[peer] = hub_.clock.now() + ring::kUnlinkable;
  wake(ring::kRelaySweep);
}

void CircuitRequests::forget_old() {
  const TimePoint now = hub_.clock.now();
  swept_ = now;
  opens_.sweep(now);
  links_.sweep(now);
  std::erase_if(unlinkable_, [&](const auto& u) { return u.second <= now; });
  for (const std::uint32_t id : hub_.sessions.circuits().idle(now)) {
    const CircuitLeg* leg = hub_.sessions.circuits().find(id);
    if (leg != nullptr && !leg->ends_here()) end_circuit(id);
  }
}

// With who might know better: whoever passes our own packets on, or who was named to us.
void CircuitRequests::refuse(const Address& from, const CircuitOpen& open, const Address& named) {
  hub_.metrics.add(Metric::kCircuitRefused);
  const Session* session = hub_.sessions.find(open.destination);
  const bool relayed = session != nullptr && session->is_relayed();
  const Address relay = relayed ? session->path().path.via : named;
  send_circuit(hub_, from, pb::Circuit::OP_CLOSE, open.id, relay == from ? Address() : relay);
}

bool CircuitRequests::parse(const Address& from, const pb::Circuit& message, CircuitOpen* open) {
  const auto source = Address::parse(view_of(message.source()));
  const auto destination = Address::parse(view_of(message.destination()));
  if (!source || !destination || message.id() == 0 || message.relays() < 1 ||
      message.relays() > RelayHeader::kHopsMax || *source == *destination || *source == hub_.self ||
      *destination == from) {
    hub_.metrics.add(Metric::kDropMalformed);
    return false;
  }
  *open = {message.id(),   *source,
           *destination,   message.relays(),
           message.link(), Address::parse(view_of(message.relay())).value_or(Address())};
  return true;
}

bool CircuitRequests::admit(const Address& from, const CircuitOpen& open) {
  const auto theirs = std::count_if(requests_.begin(), requests_.end(),
                                    [&](const auto& r) { return r.second.from == from; });
  const bool room = !draining_ && requests_.size() < ring::kRequestedMax &&
                    theirs < static_cast<std::ptrdiff_t>(ring::kRequestedPerPeer) &&
                    hub_.sessions.circuits().has_room(from, false);
  return room && is_direct(hub_, from) && hub_.sessions.circuits().find(open.id) == nullptr &&
         by_onward({}, open.id) == requests_.end();
}

void CircuitRequests::on_open(const Address& from, const pb::Circuit& message) {
  if (!opens_.take(from, hub_.clock.now())) return hub_.metrics.add(Metric::kDropRateLimited);
  CircuitOpen open;
  if (!parse(from, message, &open)) return;
  const CircuitLeg* agreed = hub_.sessions.circuits().find(open.id);
  if (agreed != nullptr && agreed->peer == from && !agreed->ends_here() && !agreed->is_retired()) {
    return send_circuit(hub_, from, pb::Circuit::OP_ACCEPT, open.id);
  }
  const auto known = requests_.find(open.id);
  if (known != requests_.end()) {
    Request& request = known->second;
    if (request.from != from) return refuse(from, open);
    if (!request.to.is_zero()) pass_on(request, request.to, request.to == open.destination ? 0 : 1);
    return;
  }
  if (!admit(from, open)) return refuse(from, open);
  Request request;
  request.from = from;
  request.open = open;
  request.named = open.through;
  request.until =
      hub_.clock.now() + (open.link || open.relays > 1 ? ring::kOpenLinkWait : ring::kOpenLimit);
  request.next = request.until;
  step(requests_.emplace(open.id, std::move(request)).first);
  wake(ring::kRelayTick);
}

// Onward: straight to the far end, or once it is linked; or through a second relay.
void CircuitRequests::step(Requests::iterator it) {
  Request& request = it->second;
  const CircuitOpen& open = request.open;
  if (request.to.is_zero() && is_direct(hub_, open.destination)) {
    request.next = request.until;
    return pass_on(request, open.destination, 0);
  }
  if (open.relays > 1) return try_second(it);
  if (request.to.is_zero()) wait_for_link(it);
}

void CircuitRequests::wait_for_link(Requests::iterator it) {
  Request& request = it->second;
  if (request.linking) return;
  const TimePoint now = hub_.clock.now();
  const auto failed = unlinkable_.find(request.open.destination);
  const bool hopeless = failed != unlinkable_.end() && failed->second > now;
  if (!request.open.link || hopeless) return fail(it);
  if (!links_.take(request.from, now)) {
    hub_.metrics.add(Metric::kDropRateLimited);
    return fail(it);
  }
  request.linking = true;
  hub_.connect({request.open.destination, {}}, EdgeRole::kNone);
}

void CircuitRequests::try_second(Requests::iterator it) {
  Request& request = it->second;
  if (!request.to.is_zero()) {
    if (hub_.clock.now() < request.next) return;
    send_circuit(hub_, request.to, pb::Circuit::OP_CLOSE, request.onward_id);
  }
  const Address second = next_second(request);
  if (second.is_zero()) return fail(it);
  request.seconds.insert(second);
  request.next = hub_.clock.now() + ring::kSecondRelayWait;
  request.onward_id = 0;
  pass_on(request, second, 1);
}

// Those that know the far end, the nearest first; who may link with it on purpose is drawn, so that
// another attempt meets others.
Address CircuitRequests::next_second(const Request& request) const {
  if (request.seconds.size() >= ring::kSecondRelaysMax) return {};
  const Address& target = request.open.destination;
  std::vector<Address> all;
  Address nearest;
  for (const auto& [peer, edge] : hub_.edges.all()) {
    if (!edge.direct || peer == request.from || peer == request.open.source || peer == target ||
        request.seconds.contains(peer))
      continue;
    if (peer == request.named) return peer;
    const bool knows = std::find(edge.knows.begin(), edge.knows.end(), target) != edge.knows.end();
    if (knows && (nearest.is_zero() || nearer(peer, nearest, target))) nearest = peer;
    all.push_back(peer);
  }
  if (!request.open.link || all.empty()) return nearest;
  return all[hub_.random.below(all.size())];
}

void CircuitRequests::pass_on(Request& request, const Address& to, unsigned relays) {
  request.to = to;
  while (request.onward_id == 0) {
    const std::uint32_t id = hub_.sessions.circuits().draw(hub_.random);
    if (!requests_.contains(id) && by_onward({}, id) == requests_.end()) request.onward_id = id;
  }
  const CircuitOpen& open = request.open;
  send_circuit_open(hub_, to,
                    {request.onward_id, open.source, open.destination, relays, open.link, {}});
}

// The request that we passed on under this number; to whomever, if `from` is zero.
CircuitRequests::Requests::iterator CircuitRequests::by_onward(const Address& from,
                                                               std::uint32_t id) {
  return std::find_if(requests_.begin(), requests_.end(), [&](const auto& r) {
    return r.second.onward_id == id && (from.is_zero() || r.second.to == from);
  });
}

void CircuitRequests::on_accept(const Address& from, std::uint32_t id) {
  const auto it = by_onward(from, id);
  if (it == requests_.end()) {
    // A repeated answer, or one that comes too late.
    const CircuitLeg* agreed = hub_.sessions.circuits().find(id);
    if (agreed == nullptr) send_circuit(hub_, from, pb::Circuit::OP_CLOSE, id);
    return;
  }
  const Request request = std::move(it->second);
  requests_.erase(it);
  const std::uint32_t back = request.open.id;
  if (!is_direct(hub_, from) || !is_direct(hub_, request.from) ||
      !hub_.sessions.circuits().add_passed_on(back, request.from, id, from, hub_.clock.now())) {
    send_circuit(hub_, from, pb::Circuit::OP_CLOSE, id);
    return refuse(request.from, request.open);
  }
  send_circuit(hub_, request.from, pb::Circuit::OP_ACCEPT, back);
}

void CircuitRequests::on_close(const Address& from, const pb::Circuit& message) {
  const std::uint32_t id = message.id();
  const auto asked = requests_.find(id);
  if (asked != requests_.end() && asked->second.from == from) {
    if (!asked->second.to.is_zero())
      send_circuit(hub_, asked->second.to, pb::Circuit::OP_CLOSE, asked->second.onward_id);
    requests_.erase(asked);
    return;
  }
  const auto refused = by_onward(from, id);
  if (refused != requests_.end()) {
    Request& request = refused->second;
    request.to = {};
    request.onward_id = 0;
    if (const auto named = Address::parse(view_of(message.relay()))) request.named = *named;
    if (request.open.relays > 1 && !request.seconds.empty()) return try_second(refused);
    return fail(refused);
  }
  const CircuitLeg* leg = hub_.sessions.circuits().find(id);
  if (leg == nullptr || leg->ends_here() || leg->peer != from) return;
  const std::uint32_t onward = leg->onward;
  const Address other = hub_.sessions.circuits().find(onward)->peer;
  hub_.sessions.circuits().retire(id, hub_.clock.now());
  wake(CircuitTable::kLinger);
  send_circuit(hub_, other, pb::Circuit::OP_CLOSE, onward);
}

bool CircuitRequests::drain() {
  draining_ = true;
  const auto all = hub_.sessions.circuits().passed_on_legs();
  for (const std::uint32_t id : all)
    send_circuit(hub_, hub_.sessions.circuits().find(id)->peer, pb::Circuit::OP_CLOSE, id);
  return !all.empty();
}

void CircuitRequests::on_path_changed(const Session& session) {
  const Address peer = session.peer();
  if (!session.is_direct()) return;
  const bool awaited = std::any_of(requests_.begin(), requests_.end(), [&](const auto& r) {
    return r.second.to.is_zero() && r.second.open.destination == peer;
  });
  if (!awaited) return;
  for (auto& [id, request] : requests_) {
    if (request.to.is_zero() && request.open.destination == peer) request.next = hub_.clock.now();
  }
  wake(Duration::zero());
}

void CircuitRequests::on_lost(const Address& peer, bool dead) {
  if (dead) {
    avoid_linking(peer);
  } else if (hub_.sessions.find(peer) != nullptr) {
    unlinkable_.erase(peer);  // it lives again
  }
  std::vector<std::uint32_t> hit;
  for (const auto& [id, request] : requests_) {
    if (request.from == peer || request.to == peer) hit.push_back(id);
  }
  for (const std::uint32_t id : hit) fail(requests_.find(id));
  for (const std::uint32_t id : hub_.sessions.circuits().with_peer(peer)) {
    const CircuitLeg* leg = hub_.sessions.circuits().find(id);
    if (leg != nullptr && !leg->ends_here()) end_circuit(id);
  }
}

void CircuitRequests::fail(Requests::iterator it) {
  const Request request = std::move(it->second);
  requests_.erase(it);
  if (!request.to.is_zero())
    send_circuit(hub_, request.to, pb::Circuit::OP_CLOSE, request.onward_id);
  refuse(request.from, request.open, request.named);
}

void CircuitRequests::end_circuit(std::uint32_t id) {
  CircuitTable& table = hub_.sessions.circuits();
  const CircuitLeg leg = *table.find(id);
  const CircuitLeg onward = *table.find(leg.onward);
  table.erase(id);
  send_circuit(hub_, leg.peer, pb::Circuit::OP_CLOSE, id);
  send_circuit(hub_, onward.peer, pb::Circuit::OP_CLOSE, leg.onward);
}

}  // namespace wow
