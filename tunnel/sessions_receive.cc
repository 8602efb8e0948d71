// Packets in: opened, accounted to their path, answered or handed up.
#include <optional>
#include <utility>

#include "tunnel/sessions_impl.h"

namespace wow {
namespace {

constexpr int kHintsUntilRedial = 2;
// RFC 9000, 9.3.3: a path that the peer has left; looked after once it has been silent this long.
constexpr Duration kLeftBehind = 1s;
// Longer than traffic pauses, and a flow may be forgotten meanwhile.
constexpr Duration kLongSilence = 3s;

// What the peer looks like from here: of a stream that it opened, where that came from.
std::optional<Endpoint> seen_at(const Path& path) {
  if (!path.is_direct()) return std::nullopt;
  Endpoint seen = path.endpoint;
  if (!path.is_stream()) return seen;
  if (seen.carrier != Carrier::kAccepted) return std::nullopt;
  seen.carrier = Carrier::kTcp;
  return seen;
}

}  // namespace

void Sessions::Impl::on_packet(MutableBytes packet, const Path& path,
                               const Handshaker::Sender& sender) {
  const auto type = packet_type(packet);
  if (type == PacketType::kData) return on_data(packet, path);
  if (type == PacketType::kHandshake) return handshaker.on_packet(packet, path, sender);
  const auto unknown = UnknownIndex::parse(packet);
  if (unknown && path.is_direct()) return on_unknown_index(unknown->index, path.endpoint);
  parts.metrics.add(Metric::kDropGarbage);
}

void Sessions::Impl::on_data(MutableBytes packet, const Path& path) {
  const auto header = DataHeader::parse(packet);
  if (!header) return parts.metrics.add(Metric::kDropGarbage);
  const auto found = by_index_.find(header->receiver_index);
  if (found == by_index_.end()) {
    if (handshaker.keep_early(header->receiver_index, packet, path)) return;
    parts.metrics.add(Metric::kDropUnknownIndex);
    return reply_unknown_index(header->receiver_index, path);
  }
  const auto [session, keys] = found->second;
  OpenFailure why;
  const auto plain = keys->keys->opener->open(packet, &why);
  if (!plain) {
    return parts.metrics.add(why == OpenFailure::kReplayed    ? Metric::kDropReplayed
                             : why == OpenFailure::kMalformed ? Metric::kDropMalformed
                                                              : Metric::kDropForged);
  }
  keys->keys->bytes_in.fetch_add(packet.size(), std::memory_order_relaxed);
  deliver(*session, *keys, *plain, path);
}

void Sessions::Impl::on_opened(std::uint32_t receive_index, ByteView plain, const Endpoint& from,
                               std::uint32_t circuit) {
  const auto found = by_index_.find(receive_index);
  if (found == by_index_.end() || plain.empty()) return;
  const auto [session, keys] = found->second;
  if (circuit == 0) return deliver(*session, *keys, plain, Path::direct(from));
  // Agreed to when the worker opened it; it may have ended since.
  const CircuitLeg* leg = circuits.find(circuit);
  if (leg == nullptr || !leg->ends_here()) return parts.metrics.add(Metric::kDropCircuit);
  deliver(*session, *keys, plain, path_of(*leg, circuit));
}

void Sessions::Impl::deliver(LiveSession& s, KeySet& keys, ByteView plain, const Path& path) {
  on_heard_under(s, keys);
  if (s.is_closed()) return;
  const auto kind = static_cast<DataKind>(plain[0] & kDataKindMask);
  const auto facts = static_cast<std::uint8_t>(plain[0] & ~kDataKindMask);
  const ByteView payload = plain.subspan(1);
  note_heard(s, keys, path, kind != DataKind::kPath);
  if (s.is_closed()) return;
  switch (kind) {
    case DataKind::kFrame:
      return parts.listener.on_frame(s, payload, facts);
    case DataKind::kRouted:
      return parts.listener.on_routed(s, payload);
    case DataKind::kControl:
      return parts.listener.on_control(s, payload);
    case DataKind::kPath:
      return on_path_message(s, keys, payload, path);
  }
  parts.metrics.add(Metric::kDropMalformed);
}

void Sessions::Impl::note_heard(LiveSession& s, KeySet& keys, const Path& path, bool is_data) {
  const TimePoint now = parts.now();
  s.unknown_index_hints = 0;
  PathRecord* record = s.path_set.find(path);
  const bool is_new = record == nullptr;
  if (is_new) record = &s.path_set.add(path, now);
  record->last_heard = now;
  PathRecord* best = s.path_set.best();
  if (best == record) {
    keys.keys->last_received_ns.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  } else if (!path.is_routed()) {
    // From a new endpoint: both it and the one in use must answer now. One challenge for each
    // packet at most, so that a false source address amplifies nothing.
    if (!record->proven && is_data &&
        now - record->last_challenged >= parts.limits.probe_interval) {
      challenge(s, *s.current, path);
      best = s.path_set.best();
    }
    // Traffic on different proven paths to and fro: the lower address gives in.
    if (is_data && parts.credentials.address() < s.peer()) s.path_set.follow(path);
  }
  if (best != nullptr && best->state.path != path && !best->state.path.is_routed()) {
    const Duration silent = now - s.heard_on(*best);
    if (!path.is_direct() && silent > kLongSilence && best->left_after == Duration::zero())
      best->left_after = silent;
    if (is_new || silent > kLeftBehind) start_probing(s, *best);
  }
  update_path(s);
}

void Sessions::Impl::on_path_message(LiveSession& s, KeySet& keys, ByteView payload,
                                     const Path& path) {
  const auto message = PathMessage::parse(payload);
  if (!message) return parts.metrics.add(Metric::kDropMalformed);
  switch (message->op) {
    case PathMessage::Op::kChallenge:
      return on_challenge(s, keys, *message, path);
    case PathMessage::Op::kResponse:
      return on_response(s, *message);
    case PathMessage::Op::kClose:
      // Under retired keys it is the farewell of a life that the peer has left behind.
      if (keys.retired_until == TimePoint()) close(s, CloseReason::kPeerClosed);
  }
}

void Sessions::Impl::on_challenge(LiveSession& s, KeySet& keys, const PathMessage& message,
                                  const Path& path) {
  const TimePoint now = parts.now();
  PathMessage response;
  response.op = PathMessage::Op::kResponse;
  response.token = message.token;
  if (const auto seen = seen_at(path)) response.observed = seen->bytes();
  transmit(s, keys, path, static_cast<std::uint8_t>(DataKind::kPath), response.write());
  if (path.is_routed()) return;
  if ((message.flags & PathMessage::kMoved) != 0) {
    for (PathRecord& record : s.path_set.records()) {
      // What answered within the last moments has answered from where the peer is now.
      if (!record.state.path.is_direct() || !record.proven || record.state.path == path ||
          now - record.state.last_answer < kLeftBehind)
        continue;
      record.doubt();
      if (!record.probing) record.start_probing(now);
    }
    arm_prober(s);
    update_path(s);
    if (s.is_closed()) return;
  }
  // RFC 8445, 7.3.1.4: a triggered check, so that one exchange proves the path to both ends.
  const PathRecord* record = s.path_set.find(path);
  if (record != nullptr && !record->state.validated &&
      now - record->last_challenged >= parts.limits.probe_interval)
    challenge(s, keys, path);
}

void Sessions::Impl::on_response(LiveSession& s, const PathMessage& message) {
  const TimePoint now = parts.now();
  if (s.mtu_search) {
    if (const auto took = s.mtu_search->mtu.on_answer(message.token, now))
      return on_mtu_answer(s, *took);
  }
  const auto answer = s.path_set.answered(message.token, now);
  if (!answer) return;
  PathRecord& record = s.path_set.add(answer->path, now);
  record.state.answered = true;
  const Duration silence = std::exchange(record.left_after, Duration::zero());
  s.path_set.prove(record, answer->round_trip, now);
  arm_prober(s);
  update_path(s);
  if (s.is_closed()) return;
  if (silence != Duration::zero()) parts.listener.on_silence_ended(answer->path, silence);
  if (message.observed.empty() || !answer->path.is_direct()) return;
  const auto observed = Endpoint::from_bytes(message.observed);
  if (observed && observed->carrier == answer->path.endpoint.carrier)
    parts.listener.on_reflexive(s, *observed);
}

void Sessions::Impl::reply_unknown_index(std::uint32_t index, const Path& path) {
  if (!path.is_direct()) return;
  if (!unknown_index_replies_.pass(parts.now())) return parts.metrics.add(Metric::kDropRateLimited);
  parts.send(Address(), path, UnknownIndex{index}.write());
}

// Anybody on the way can say so; it is a reason to ask, never to believe. A peer that was killed
// and runs again is found so within two round trips.
void Sessions::Impl::on_unknown_index(std::uint32_t index, const Endpoint& from) {
  if (!unknown_index_hints_.pass(parts.now())) return parts.metrics.add(Metric::kDropRateLimited);
  const Path path = Path::direct(from);
  for (const auto& [peer, session] : sessions) {
    LiveSession& s = *session;
    if (!s.is_open() || s.current->send_index != index) continue;
    PathRecord* record = s.path_set.find(path);
    if (record == nullptr && s.path_set.is_challenged(path)) record = s.path_set.best();
    if (record == nullptr) return;
    // Before the peer was heard once, this may be how it refuses us: asking anew would not help.
    if (s.unknown_index_hints++ < kHintsUntilRedial || s.current->agreed == 0 ||
        handshaker.is_dialling(s.peer()))
      return start_probing(s, *record);
    handshaker.dial(s.peer(), path, s.current->send_index);
    return;
  }
}

}  // namespace wow
