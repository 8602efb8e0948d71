#include "overlay/forwarder.h"

#include <algorithm>

namespace wow {

Forwarder::Forwarder(Hub& hub, Handlers handlers)
    : hub_(hub),
      handlers_(std::move(handlers)),
      acks_(hub,
            [this](HopAcks::Packet packet) {
              route(packet.header, packet.payload, packet.came_from, packet.tried);
            }),
      gateway_(hub.clock) {}

void Forwarder::send(const Address& to, RoutedPayload kind, ByteView payload, const Address& via) {
  RoutedHeader header;
  header.payload = kind;
  header.destination = to;
  header.source = hub_.self;
  const Edge* edge = hub_.edges.find(to);
  const Address way = !via.is_zero() ? via : via_to(to);
  if (way.is_zero() || way == hub_.self || way == to || (edge != nullptr && edge->usable()) ||
      acks_.is_doubted(way)) {
    route(header, payload, {});
    return;
  }
  Bytes inner(RoutedHeader::kBytes);
  header.write(inner.data());
  inner.insert(inner.end(), payload.begin(), payload.end());
  RoutedHeader outer;
  outer.payload = RoutedPayload::kNested;
  outer.destination = way;
  outer.source = hub_.self;
  route(outer, inner, {});
}

bool Forwarder::send_nearest(const Address& target, const Address& first_hop, ByteView ctm) {
  RoutedHeader header;
  header.mode = RouteMode::kNearest;
  header.payload = RoutedPayload::kCtm;
  header.destination = target;
  header.source = hub_.self;
  if (!first_hop.is_zero()) {
    forward(header, ctm, first_hop, false);
    return true;
  }
  return route(header, ctm, {});
}

void Forwarder::send_probe(const Address& to, std::uint8_t limit, ByteView ctm) {
  RoutedHeader header;
  header.limit = limit;
  header.payload = RoutedPayload::kCtm;
  header.destination = to;
  header.source = hub_.self;
  route(header, ctm, {});
}

TraceNext Forwarder::why_next(const RoutedHeader& header, const Address& came_from) const {
  const Route route = route_of(header, came_from);
  if (route.kind != Route::Kind::kForward) return {};
  const Edge* edge = hub_.edges.find(route.next);
  const bool leads_in =
      came_from.is_zero() && !hub_.edges.on_ring() && route.next != header.destination;
  return {route.next,
          leads_in ? HopReason::kLeaf : why_this_hop(hub_.edges.hops(), header.destination, route),
          edge != nullptr && edge->relayed};
}

void Forwarder::send_through(const Address& gateway, const Address& target, ByteView ctm) {
  RoutedHeader inner;
  inner.mode = RouteMode::kNearest;
  inner.payload = RoutedPayload::kCtm;
  inner.destination = target;
  inner.source = hub_.self;
  Bytes packet(RoutedHeader::kBytes);
  inner.write(packet.data());
  packet.insert(packet.end(), ctm.begin(), ctm.end());
  RoutedHeader outer;
  outer.payload = RoutedPayload::kNested;
  outer.destination = gateway;
  outer.source = hub_.self;
  route(outer, packet, {});
}

void Forwarder::on_routed(const Address& from, ByteView packet) {
  auto header = RoutedHeader::parse(packet);
  if (!header) return hub_.metrics.add(Metric::kDropMalformed);
  if (header->number) acks_.acknowledge(from, *header->number);
  header->limit = std::min(header->limit, RoutedHeader::kHopLimit);
  header->hops = static_cast<std::uint8_t>(std::min(header->hops + 1, 255));
  if (header->hops > header->limit) return hub_.metrics.add(Metric::kDropHopLimit);
  if (header->payload == RoutedPayload::kCtm && !ctm_rates_.take(from, hub_.clock.now())) {
    return hub_.metrics.add(Metric::kDropRateLimited);
  }
  // Whoever sends its own packets through us is our leaf at least, even if it has not told yet.
  if (Edge* edge = hub_.edges.find(from);
      edge != nullptr && header->source == from && !edge->is_edge()) {
    hub_.edges.set_theirs(*edge, kLeafBit);
  }
  const std::size_t header_bytes = header->size();
  header->number.reset();
  if (header->hops == header->limit && header->payload == RoutedPayload::kCtm &&
      header->mode == RouteMode::kExact && header->destination != hub_.self) {
    return handlers_.expired(packet.subspan(header_bytes), why_next(*header, from));
  }
  route(*header, packet.subspan(header_bytes), from);
}

void Forwarder::set_via(const Address& peer, const Address& via) {
  if (via.is_zero() || via == peer) {
    vias_.erase(peer);
    return;
  }
  vias_[peer] = {via, hub_.clock.now() + ring::kViaLife};
  if (vias_.size() > ring::kViasMax) {
    vias_.erase(std::min_element(vias_.begin(), vias_.end(), [](const auto& a, const auto& b) {
      return a.second.until < b.second.until;
    }));
  }
}

void Forwarder::forget_old() {
  const TimePoint now = hub_.clock.now();
  ctm_rates_.sweep(now);
  std::erase_if(vias_, [&](const auto& v) { return v.second.until <= now; });
  gateway_.forget_old();
}

Address Forwarder::via_to(const Address& peer) {
  const auto it = vias_.find(peer);
  if (it == vias_.end()) return {};
  if (it->second.until > hub_.clock.now()) return it->second.via;
  vias_.erase(it);
  return {};
}

// False only for a packet of our own, in nearest mode, that would be for ourselves.
bool Forwarder::route(const RoutedHeader& header, ByteView payload, const Address& came_from,
                      const std::vector<Address>& tried) {
  const bool own = came_from.is_zero();
  const Route next = route_of(header, came_from, tried);
  switch (next.kind) {
    case Route::Kind::kForward:
      if (!own) hub_.metrics.add(Metric::kRoutedForwarded);
      forward(header, payload, next.next, next.uphill,
              acks_.expect(next.next, header, payload, came_from, tried));
      return true;
    case Route::Kind::kDeliver:
      if (own) return false;
      deliver(header, payload, came_from);
      return true;
    case Route::Kind::kNowhere:
      hub_.metrics.add(Metric::kDropNoRoute);
      return true;
  }
  return true;
}

Route Forwarder::route_of(const RoutedHeader& header, const Address& came_from,
                          const std::vector<Address>& tried) const {
  const bool own = came_from.is_zero();
  const bool around = own && header.payload == RoutedPayload::kPacket;
  // Who is not on the ring stands nowhere from which to be greedy: its leaf edge leads there.
  if (own && !hub_.edges.on_ring()) {
    const Address first = first_leaf(header.destination, around, tried);
    if (!first.is_zero()) return {Route::Kind::kForward, first, false};
  }
  RouteQuery query;
  query.self = hub_.self;
  query.destination = header.destination;
  query.source = header.source;
  query.came_from = came_from;
  query.mode = header.mode;
  query.uphill_used = header.uphill;
  query.around = around;
  query.hurry = header.hops >= ring::kPatientHops;
  if (const Edge* edge = hub_.edges.find(header.destination)) {
    query.destination_knows = edge->knows;
  }
  const auto silent = acks_.silent();
  query.tried = tried;
  query.silent = silent;
  const Route next = next_hop(hub_.edges.hops(), query);
  if (next.kind == Route::Kind::kForward || (tried.empty() && silent.empty())) return next;
  // Rather once more through who was silent than nowhere, or to the wrong node for the nearest one.
  query.tried = query.silent = {};
  return next_hop(hub_.edges.hops(), query);
}

void Forwarder::forward(RoutedHeader header, ByteView payload, const Address& next, bool uphill,
                        std::optional<std::uint16_t> number) {
  header.uphill = header.uphill || uphill;
  header.number = number;
  Bytes packet(header.size() + payload.size());
  header.write(packet.data());
  std::copy(payload.begin(), payload.end(), packet.begin() + header.size());
  hub_.sessions.send(next, DataKind::kRouted, packet);
}

void Forwarder::deliver(const RoutedHeader& header, ByteView payload, const Address& came_from) {
  if (header.source == hub_.self) return hub_.metrics.add(Metric::kDropMalformed);
  const bool exact = header.mode == RouteMode::kExact;
  if (header.payload == RoutedPayload::kCtm) {
    handlers_.ctm(payload, came_from);
  } else if (exact && header.payload == RoutedPayload::kPacket) {
    Bytes packet = to_bytes(payload);
    handlers_.packet(header.source, came_from, packet);
  } else if (exact && header.payload == RoutedPayload::kNested) {
    unwrap(payload, came_from);
  } else {
    hub_.metrics.add(Metric::kDropMalformed);
  }
}

void Forwarder::unwrap(ByteView packet, const Address& came_from) {
  auto inner = RoutedHeader::parse(packet);
  // One nesting only, and from here the way must be short: no packet can be kept alive by wrapping.
  const bool into_other_ring =
      inner && inner->mode == RouteMode::kNearest && inner->payload == RoutedPayload::kCtm;
  if (!inner || inner->payload == RoutedPayload::kNested || inner->number ||
      (inner->mode != RouteMode::kExact && !into_other_ring)) {
    return hub_.metrics.add(Metric::kDropMalformed);
  }
  inner->limit = std::min(inner->limit, RoutedHeader::kHopLimit);
  const ByteView payload = packet.subspan(RoutedHeader::kBytes);
  if (gateway_.is_open()) return unwrap_as_gateway(*inner, payload, came_from);
  if (into_other_ring) return hub_.metrics.add(Metric::kDropNoRoute);
  route(*inner, payload, came_from);
}

// Between two rings: by the way that the other end's packets came from.
void Forwarder::unwrap_as_gateway(const RoutedHeader& inner, ByteView payload,
                                  const Address& came_from) {
  gateway_.note_way_to(inner.source, came_from);
  if (inner.mode == RouteMode::kNearest) return forward(inner, payload, gateway_.contact(), false);
  const Address back = gateway_.way_to(inner.destination);
  const Edge* edge = hub_.edges.find(back);
  if (hub_.edges.find(inner.destination) == nullptr && edge != nullptr && edge->usable()) {
    return forward(inner, payload, back, false);
  }
  route(inner, payload, came_from);
}

// The leaf edge of ours that stands nearest to the destination; zero if the destination is a peer.
Address Forwarder::first_leaf(const Address& destination, bool around,
                              const std::vector<Address>& tried) const {
  Address best;
  for (const Hop& hop : hub_.edges.hops()) {
    if (hop.peer == destination && around) continue;
    if (hop.peer == destination) return {};
    if (std::find(tried.begin(), tried.end(), hop.peer) != tried.end()) continue;
    if (hop.gateway && (best.is_zero() || nearer(hop.peer, best, destination))) best = hop.peer;
  }
  return best;
}

}  // namespace wow
