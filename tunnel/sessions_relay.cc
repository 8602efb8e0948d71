// Circuits: packets of ours that leave and come through a relay, and packets that we pass on for
// others. Never an answer of our own, and one packet out for one packet in: nothing to amplify.
#include <algorithm>

#include "tunnel/sessions_impl.h"

namespace wow {
namespace {

// Only over a validated direct path: a circuit never runs inside a circuit or along the ring.
const Endpoint* direct_way(const LiveSession* s) {
  return s != nullptr && s->is_direct() ? &s->path().path.endpoint : nullptr;
}

// The peer may use another of its paths than we do.
bool is_from(const LiveSession* s, const Endpoint& from) {
  if (s == nullptr || !s->is_open()) return false;
  return std::ranges::any_of(s->path_set.records(), [&](const PathRecord& r) {
    return r.proven && r.state.path == Path::direct(from);
  });
}

}  // namespace

// What still comes through one that was closed is heard, but shows no way back.
Path Sessions::Impl::path_of(const CircuitLeg& leg, std::uint32_t id) {
  return leg.is_retired() ? Path::routed() : Path::relayed(leg.peer, id);
}

void Sessions::Impl::send_relayed(const Path& path, ByteView packet, bool dont_fragment) {
  CircuitLeg* leg = circuits.find(path.circuit);
  const Endpoint* to = direct_way(find(path.via));
  if (leg == nullptr || !leg->ends_here() || leg->is_retired() || leg->peer != path.via ||
      to == nullptr)
    return parts.metrics.add(Metric::kDropNoRoute);
  leg->last_used = parts.now();
  std::array<std::uint8_t, RelayHeader::kBytes> head;
  RelayHeader{0, path.circuit, dont_fragment}.write(head.data());
  const Datagram datagram{*to, head, packet, 0, 0, dont_fragment};
  parts.transport.send({&datagram, 1});
}

void Sessions::Impl::on_relayed(MutableBytes packet, const Endpoint& from) {
  const auto header = RelayHeader::parse(packet);
  if (!header) return parts.metrics.add(Metric::kDropGarbage);
  CircuitLeg* leg = circuits.find(header->circuit);
  if (leg == nullptr || !is_from(find(leg->peer), from))
    return parts.metrics.add(Metric::kDropCircuit);
  if (!leg->ends_here()) return pass_on(packet, *header, *leg);
  if (header->hops > RelayHeader::kHopsMax) return parts.metrics.add(Metric::kDropHopLimit);
  leg->last_used = parts.now();
  leg->relays = header->hops;
  const Path path = path_of(*leg, header->circuit);
  const Handshaker::Sender sender{leg->far_end, leg->peer};
  on_packet(packet.subspan(RelayHeader::kBytes), path, sender);
}

void Sessions::Impl::pass_on(MutableBytes packet, RelayHeader header, CircuitLeg& leg) {
  if (++header.hops > RelayHeader::kHopsMax) return parts.metrics.add(Metric::kDropHopLimit);
  const CircuitLeg* onward = circuits.find(leg.onward);
  const Endpoint* to = onward == nullptr ? nullptr : direct_way(find(onward->peer));
  if (to == nullptr) return parts.metrics.add(Metric::kDropNoRoute);
  if (!circuits.pass(leg, parts.now())) return parts.metrics.add(Metric::kDropRateLimited);
  header.circuit = leg.onward;
  header.write(packet.data());
  const Datagram datagram{*to, packet, {}, 0, 0, header.whole};
  parts.transport.send({&datagram, 1});
  parts.metrics.add(Metric::kCircuitForwarded);
}

void Sessions::Impl::doubt_path(LiveSession& s, const Path& path) {
  PathRecord* record = s.is_open() ? s.path_set.find(path) : nullptr;
  if (record == nullptr || record->suspect) return;
  record->doubt();
  if (record->proven && !record->probing) record->start_probing(parts.now());
  update_path(s);
  if (!s.is_closed()) arm_prober(s);
}

void Sessions::Impl::drop_path(LiveSession& s, const Path& path) {
  const PathRecord* record = s.path_set.find(path);
  if (record == nullptr) return;
  const Duration round_trip = record->state.round_trip;
  const bool in_use = record == s.path_set.best();
  s.path_set.forget(path);
  arm_prober(s);
  update_path(s);
  // What was on its way when the relay closed the circuit.
  if (in_use && path.is_relayed())
    send_again(s, SentLately::by_circuit(path.circuit), parts.now() - 2 * round_trip);
}

// The same packets: what did arrive is a replay there.
void Sessions::Impl::send_again(LiveSession& s, SentLately::Key lost, TimePoint since) {
  if (!s.is_open() || send_depth_ >= kSendDepthMax) return;
  const TimePoint from = std::max(since, parts.now() - kAgainWithin);
  const Path path = s.path().path;
  if (path.kind == PathKind::kNone) return;
  ++send_depth_;
  each_sent_lately([&](SentLately& sent) {
    for (const Bytes& packet : sent.take(lost, from.time_since_epoch().count())) {
      parts.metrics.add(Metric::kSentAgain);
      parts.send(s.peer(), path, packet);
    }
  });
  --send_depth_;
}

}  // namespace wow
