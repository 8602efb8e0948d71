#include "overlay/introducer.h"

#include <algorithm>

#include "overlay/named_credit.h"
#include "overlay/near_set.h"

namespace wow {

void Introducer::ask(const Address& peer, EdgeRole role) {
  Request request;
  request.exact = true;
  request.role = role;
  request.target = peer;
  request.until = hub_.clock.now() + ring::kRequestLife;
  const Bytes ctm = build(remember(request), request);
  forwarder_.send(peer, RoutedPayload::kCtm, ctm);
}

void Introducer::ask_nearest(const Address& target, EdgeRole role, const Address& first_hop,
                             bool only_strangers) {
  Request request;
  request.only_strangers = only_strangers;
  request.role = role;
  request.target = target;
  request.first_hop = first_hop;
  request.until = hub_.clock.now() + ring::kRequestLife;
  const std::uint64_t id = remember(request);
  if (!forwarder_.send_nearest(target, first_hop, build(id, request))) requests_.erase(id);
}

void Introducer::ask_through(const Address& gateway) {
  Request request;
  request.role = EdgeRole::kNear;
  request.target = hub_.self;
  request.gateway = gateway;
  request.until = hub_.clock.now() + ring::kRequestLife;
  forwarder_.send_through(gateway, hub_.self, build(remember(request), request));
}

void Introducer::locate(const Address& target, const Address& first_hop, Located done) {
  Request request;
  request.locate = true;
  request.first_hop = first_hop;
  request.target = target;
  request.until = hub_.clock.now() + ring::kLocateLimit;
  request.done = std::move(done);
  const std::uint64_t id = remember(std::move(request));
  const auto it = requests_.find(id);
  if (it != requests_.end()) repeat_locate(id, it->second);
}

// Best effort hops lose packets; the question is asked again until somebody answers.
void Introducer::repeat_locate(std::uint64_t id, Request& request) {
  request.repeat = hub_.clock.now() + ring::kLocateRepeat;
  if (forwarder_.send_nearest(request.target, request.first_hop, build(id, request))) return;
  hub_.later([this, id] { finish(id, hub_.self); });
}

std::uint64_t Introducer::remember(Request request) {
  if (requests_.size() >= ring::kRequestsMax) {
    const auto oldest = std::min_element(
        requests_.begin(), requests_.end(),
        [](const auto& a, const auto& b) { return a.second.until < b.second.until; });
    const std::uint64_t id = oldest->first;
    hub_.metrics.add(Metric::kDropQueueFull);
    finish(id, std::nullopt);
  }
  const std::uint64_t id = hub_.random.u64();
  requests_[id] = std::move(request);
  if (!sweep_.is_set()) sweep_.after(ring::kLocateRepeat / 2, [this] { sweep(); });
  return id;
}

Bytes Introducer::build(std::uint64_t id, const Request& request) {
  Ctm ctm;
  ctm.id = id;
  ctm.locate = request.locate;
  ctm.only_strangers = request.only_strangers;
  ctm.role = request.role;
  ctm.trace = request.hops != 0;
  ctm.nat = hub_.own_nat();
  if (request.exact && request.role == EdgeRole::kShortcut) {
    ctm.neighbours = handlers_.direct_peers();
    ctm.word = handlers_.word(request.target);
  }
  ctm.source = hub_.own_member();
  ctm.via = hub_.own_via();
  // Whoever asks for its place may stand where nobody looks for it: the way that the question went
  // leads back.
  if (ctm.via.is_zero()) ctm.via = request.first_hop;
  if (!request.gateway.is_zero()) ctm.via = request.gateway;
  ctm.target = request.target;
  return sign_ctm(std::move(ctm), hub_.credentials, hub_.clock.wall());
}

std::optional<Ctm> Introducer::take(ByteView payload, const Address& ingress) {
  const auto ctm = open_ctm(payload, hub_.credentials, hub_.metrics);
  if (!ctm || ctm->source.address == hub_.self) return std::nullopt;
  // Its bytes, which came as the neighbour's, pay for what is sent to where it says.
  const auto pay = [&] {
    hub_.lend(ingress, ctm->source.address, NamedCredit::kFactor * payload.size());
  };
  if (ctm->reply) {
    pay();
    on_reply(*ctm);
    return std::nullopt;
  }
  const TimePoint now = hub_.clock.now();
  const SignedTimes::Mark mark{ctm->sent_at, ctm->id};
  if (memory_.age(ctm->source.address, mark, now) != SignedTimes::Age::kNew) {
    hub_.metrics.add(Metric::kDropReplayed);
    return std::nullopt;
  }
  memory_.remember(ctm->source.address, mark, now);
  if (!rates_.take(ctm->source.address, now) || !handlers_.accepts(ctm->role)) {
    hub_.metrics.add(Metric::kDropRateLimited);
    return std::nullopt;
  }
  pay();
  return ctm;
}

void Introducer::on_ctm(ByteView payload, const Address& ingress) {
  const auto ctm = take(payload, ingress);
  if (!ctm) return;
  if (ctm->trace) return on_trace(*ctm, std::nullopt);
  if (ctm->locate && !hub_.joined() && pass_on(*ctm, payload)) return;
  on_request(*ctm);
  pass_across(*ctm, payload);
}

// A newcomer has edges to some of those around it before it has them to all: it is not known to be
// the nearest yet. Whoever else is near knows who it would be without us. (Two newcomers that hand
// it to each other see it twice, and the second time is a replay.)
bool Introducer::pass_on(const Ctm& ctm, ByteView payload) {
  if (ctm.target == hub_.self) return false;
  auto others = hub_.edges.members();
  std::erase(others, ctm.source.address);
  const auto best = std::ranges::min_element(
      others, [&](const Address& a, const Address& b) { return nearer(a, b, ctm.target); });
  return best != others.end() && forwarder_.send_nearest(ctm.target, *best, payload);
}

// Whoever asks for its place stands between us and somebody else, who learns of it now and not when
// our answer has come: both link with it at the same time. (Brunet hands such a request to the
// nearest on either side, too.)
void Introducer::pass_across(const Ctm& ctm, ByteView payload) {
  const Address& source = ctm.source.address;
  if (ctm.role != EdgeRole::kNear || ctm.locate || ctm.target != source) return;
  const Edge* edge = hub_.edges.find(source);
  if (edge != nullptr && edge->usable() && edge->is_near()) return;  // it is no newcomer
  auto members = hub_.edges.members();
  members.push_back(hub_.self);
  const auto both = near_set(source, members, 1);  // the nearer one first
  if (both.size() < 2 || both.front() != hub_.self) return;
  const auto& known = hub_.edges.find(both.back())->knows;
  if (std::ranges::find(known, source) == known.end())
    forwarder_.send(both.back(), RoutedPayload::kCtm, payload);
}

void Introducer::on_expired(ByteView payload, const TraceNext& next) {
  const auto ctm = take(payload);
  if (!ctm) return;
  if (!ctm->trace) return hub_.metrics.add(Metric::kDropHopLimit);
  on_trace(*ctm, next);
}

// One answer for a signed question, to whoever signed it and no longer than it: nobody else is sent
// anything.
void Introducer::on_trace(const Ctm& ctm, const std::optional<TraceNext>& next) {
  forwarder_.set_via(ctm.source.address, ctm.via);
  Ctm reply;
  reply.id = ctm.id;
  reply.reply = reply.locate = reply.trace = true;
  reply.source.address = hub_.self;
  reply.target = ctm.target;
  reply.next = next;
  forwarder_.send(ctm.source.address, RoutedPayload::kCtm,
                  sign_ctm(std::move(reply), hub_.credentials, hub_.clock.wall()));
}

void Introducer::trace(const Address& target, std::uint8_t hops, TracedDone done) {
  Request request;
  request.locate = true;
  request.hops = hops;
  request.target = target;
  request.until = hub_.clock.now() + ring::kTraceLimit;
  request.traced = std::move(done);
  const std::uint64_t id = remember(std::move(request));
  repeat(id, requests_.at(id));
}

void Introducer::repeat(std::uint64_t id, Request& request) {
  if (request.hops == 0) return repeat_locate(id, request);
  request.sent = hub_.clock.now();
  request.repeat = request.sent + ring::kTraceRepeat;
  forwarder_.send_probe(request.target, request.hops, build(id, request));
}

void Introducer::on_request(const Ctm& ctm) {
  const Address& source = ctm.source.address;
  const Edge* edge = hub_.edges.find(source);
  if (ctm.only_strangers && edge != nullptr && edge->usable() && edge->is_near()) return;
  forwarder_.set_via(source, ctm.via);
  Ctm reply;
  reply.id = ctm.id;
  reply.reply = true;
  reply.locate = ctm.locate;
  reply.role = ctm.role;
  reply.source = hub_.own_member();
  reply.via = hub_.own_via();
  reply.target = ctm.target;
  reply.nat = hub_.own_nat();
  if (ctm.role == EdgeRole::kNear) {
    reply.neighbours = handlers_.neighbours(source);
  } else if (!ctm.locate) {
    reply.neighbours = handlers_.direct_peers();
  }
  forwarder_.send(source, RoutedPayload::kCtm,
                  sign_ctm(std::move(reply), hub_.credentials, hub_.clock.wall()));
  if (!ctm.locate) handlers_.asked(ctm);
}

void Introducer::on_reply(const Ctm& ctm) {
  const auto it = requests_.find(ctm.id);
  if (it == requests_.end()) return;
  const Request request = it->second;
  if (request.exact && request.target != ctm.source.address) return;
  if (request.hops != 0) {
    if (!ctm.trace || ctm.target != request.target) return;
    return finish_trace(ctm.id,
                        Traced{ctm.source.address, hub_.clock.now() - request.sent, ctm.next});
  }
  if (request.locate) return finish(ctm.id, ctm.source.address);
  requests_.erase(it);
  forwarder_.set_via(ctm.source.address, request.gateway.is_zero() ? ctm.via : request.gateway);
  if (request.exact) {
    handlers_.answered(ctm);
  } else {
    handlers_.found(ctm.source, request.role);
  }
  if (request.role == EdgeRole::kNear) handlers_.heard_of(ctm.neighbours);
}

void Introducer::finish_trace(std::uint64_t id, const std::optional<Traced>& answer) {
  const TracedDone done = std::move(requests_.at(id).traced);
  requests_.erase(id);
  hub_.later([done, answer] { done(answer); });
}

void Introducer::finish(std::uint64_t id, std::optional<Address> found) {
  const auto it = requests_.find(id);
  if (it == requests_.end()) return;
  if (it->second.traced) return finish_trace(id, std::nullopt);
  const Located done = std::move(it->second.done);
  requests_.erase(it);
  if (done) hub_.later([done, found] { done(found); });
}

void Introducer::forget_old() {
  rates_.sweep(hub_.clock.now());
  memory_.sweep(hub_.clock.now());
}

void Introducer::sweep() {
  const TimePoint now = hub_.clock.now();
  std::vector<std::uint64_t> over, again;
  for (const auto& [id, request] : requests_) {
    if (request.until <= now) {
      over.push_back(id);
    } else if (request.locate && request.repeat <= now) {
      again.push_back(id);
    }
  }
  for (const auto id : over) finish(id, std::nullopt);
  for (const auto id : again) repeat(id, requests_.at(id));
  if (!requests_.empty()) sweep_.after(ring::kLocateRepeat / 2, [this] { sweep(); });
}

}  // namespace wow
