#include "tunnel/sessions.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "tunnel/sessions_impl.h"

namespace wow {
namespace {

// By what a packet is kept, if it is.
std::optional<SentLately::Key> key_to_keep(const LiveSession& s, const Path& path,
                                           std::uint8_t kind) {
  const auto what = static_cast<DataKind>(kind & kDataKindMask);
  const bool is_frame = what == DataKind::kFrame;
  // What nobody repeats of himself.
  if (path.is_relayed() && (is_frame || what == DataKind::kControl))
    return SentLately::by_circuit(path.circuit);
  // Services wait longer than a silence may last; and edges without a frame are many.
  if (s.kept_index && is_frame) return SentLately::by_session(*s.kept_index);
  return std::nullopt;
}

}  // namespace

Sessions::Impl::Impl(Credentials& credentials, Clock& clock, Random& random, Transport& transport,
                     MetricSlot& metrics, Listener& listener, const SessionLimits& limits)
    : parts(credentials, clock, random, transport, metrics, listener, limits),
      handshaker(parts, *this),
      unknown_index_replies_(parts.limits.unknown_index_replies_per_second),
      unknown_index_hints_(parts.limits.unknown_index_replies_per_second),
      tick_(parts.clock) {
  assert(parts.limits.workers < kLanesMax && parts.limits.paths_max > 1);
  parts.send_relayed = [this](const Path& path, ByteView packet, bool dont_fragment) {
    send_relayed(path, packet, dont_fragment);
  };
  if (parts.limits.workers > 0) wake_tick();
}

LiveSession* Sessions::Impl::find(const Address& peer) {
  const auto found = sessions.find(peer);
  return found == sessions.end() ? nullptr : found->second.get();
}

void Sessions::Impl::dial(const Address& peer, const Path& path) {
  // Whoever answers: that is no question to ask the ring.
  const bool askable = path.is_direct() || (path.kind != PathKind::kNone && !peer.is_zero());
  if (!askable || peer == parts.credentials.address()) return;
  LiveSession* known = peer.is_zero() ? nullptr : find(peer);
  if (known != nullptr && known->is_open()) {
    if (path.is_routed()) return add_path(*known, path);
    return challenge(*known, *known->current, path);
  }
  if (known == nullptr && !peer.is_zero()) {
    if (!make_room()) return parts.metrics.add(Metric::kDropQueueFull);
    sessions.emplace(peer,
                     std::make_unique<LiveSession>(peer, parts.clock, parts.limits.paths_max));
  }
  if (!handshaker.dial(peer, path) && known == nullptr) sessions.erase(peer);
}

// The session that is missed least, if any is idle; edges have a keepalive.
LiveSession* Sessions::Impl::longest_idle() const {
  LiveSession* out = nullptr;
  TimePoint longest = parts.now() - parts.limits.idle_gives_way;
  for (const auto& [peer, session] : sessions) {
    if (!session->is_open() || session->keepalive != Duration()) continue;
    const TimePoint active = std::max(session->opened_at(), session->last_activity());
    if (active > longest) continue;
    longest = active;
    out = session.get();
  }
  return out;
}

// A member can make itself any number of keys: what they leave behind must not shut us.
bool Sessions::Impl::make_room() {
  if (is_roomy()) return true;
  if (LiveSession* idle = longest_idle()) close(*idle, CloseReason::kIdle);
  return is_roomy();
}

void Sessions::Impl::probe(LiveSession& s, const Endpoint& endpoint, bool moved) {
  if (s.is_open()) challenge(s, *s.current, Path::direct(endpoint), moved);
}

void Sessions::Impl::add_path(LiveSession& s, const Path& path) {
  s.path_set.add(path, parts.now());
  update_path(s);
}

void Sessions::Impl::suspect_direct_paths(LiveSession& s, bool we_moved) {
  if (!s.is_open()) return;
  const TimePoint now = parts.now();
  for (PathRecord& record : s.path_set.records()) {
    // A circuit of ours leads over a direct path to its relay.
    const bool hit = record.state.path.is_direct() || (we_moved && record.state.path.is_relayed());
    if (!hit || !record.proven) continue;
    record.doubt();
    record.announce_move = we_moved && record.state.path.is_direct();
    record.start_probing(now);
  }
  update_path(s);
  if (!s.is_closed()) run_probes(s);
}

bool Sessions::Impl::send(const Address& peer, DataKind kind, ByteView payload, std::uint8_t facts,
                          Answer answer) {
  LiveSession* s = find(peer);
  if (s == nullptr) return false;
  const auto byte = static_cast<std::uint8_t>(static_cast<std::uint8_t>(kind) | facts);
  if (s->is_open()) {
    send_data(*s, byte, payload, answer);
    return true;
  }
  stage(*s, byte, payload);
  return true;
}

void Sessions::Impl::send_data(LiveSession& s, std::uint8_t kind, ByteView payload, Answer answer) {
  const Path path = s.path().path;
  if (path.kind == PathKind::kNone) return parts.metrics.add(Metric::kDropNoRoute);
  if (answer == Answer::kNone) return transmit(s, *s.current, path, kind, payload);
  s.current->keys->last_sent_data_ns.store(parts.now().time_since_epoch().count(),
                                           std::memory_order_relaxed);
  if ((kind & kDataKindMask) == static_cast<std::uint8_t>(DataKind::kFrame)) {
    s.current->keys->last_sent_frame_ns.store(parts.now().time_since_epoch().count(),
                                              std::memory_order_relaxed);
    s.current->keys->phases.used(parts.now().time_since_epoch().count());
    look_after_mtu(s);
  }
  note_talk(s);
  wake_tick();
  transmit(s, *s.current, path, kind, payload);
}

void Sessions::Impl::stage(LiveSession& s, std::uint8_t kind, ByteView payload) {
  std::size_t bytes = payload.size(), kept = 0;
  // From the newest back: as many as there is room for beside this one.
  while (kept < s.staged.size() && kept + 1 < parts.limits.staged_packets_max) {
    bytes += s.staged[s.staged.size() - 1 - kept].payload.size();
    if (bytes > parts.limits.staged_bytes_max) break;
    ++kept;
  }
  const std::size_t over = s.staged.size() - kept;
  if (over > 0) parts.metrics.add(Metric::kDropQueueFull, over);
  s.staged.erase(s.staged.begin(), s.staged.begin() + static_cast<std::ptrdiff_t>(over));
  s.staged.push_back({kind, to_bytes(payload)});
}

void Sessions::Impl::flush_staged(LiveSession& s) {
  for (const LiveSession::Staged& staged : std::exchange(s.staged, {})) {
    if (s.is_open()) send_data(s, staged.kind, staged.payload, Answer::kExpected);
  }
}

// Of frames, workers count more than we see.
void Sessions::Impl::count_direct(std::uint8_t kind, std::size_t bytes) {
  switch (static_cast<DataKind>(kind & kDataKindMask)) {
    case DataKind::kRouted:
      return parts.metrics.add(Metric::kBytesOfRouting, bytes);
    case DataKind::kControl:
      return parts.metrics.add(Metric::kBytesOfServices, bytes);
    case DataKind::kPath:
      return parts.metrics.add(Metric::kBytesOfPaths, bytes);
    case DataKind::kFrame:
      return;
  }
}

// With `padded_to` it is a datagram of that size, which must not be fragmented.
void Sessions::Impl::transmit(LiveSession& s, KeySet& keys, const Path& path, std::uint8_t kind,
                              ByteView payload, std::size_t padded_to) {
  if (send_depth_ >= kSendDepthMax) return parts.metrics.add(Metric::kDropNoRoute);
  // The thread's, not ours: a simulator has as many of us as it has nodes.
  thread_local PacketPool buffers;
  PacketBuffer buffer = buffers.take();
  const std::size_t bytes =
      std::max(payload.size(), padded_to - std::min(padded_to, kDataOverheadBytes));
  if (bytes < buffer.room().size()) {
    buffer.resize(1 + bytes);
    buffer.data()[0] = kind;
    std::copy(payload.begin(), payload.end(), buffer.data() + 1);
    std::fill(buffer.data() + 1 + payload.size(), buffer.data() + 1 + bytes, std::uint8_t{0});
    Sealer& sealer = keys.keys->lanes[0];
    sealer.set_salt(parts.random.u32());
    if (sealer.seal(buffer)) {
      keys.keys->bytes_out.fetch_add(buffer.size(), std::memory_order_relaxed);
      if (path.is_direct()) count_direct(kind, buffer.size());
      if (const auto key = key_to_keep(s, path, kind))
        sent_lately_.add(*key, buffer.view(), parts.now().time_since_epoch().count());
      ++send_depth_;
      parts.send(s.peer(), path, buffer.view(), padded_to != 0);
      --send_depth_;
    }
  }
  buffers.give_back(std::move(buffer));
}

void Sessions::Impl::challenge(LiveSession& s, KeySet& keys, const Path& path, bool moved) {
  PathMessage message;
  message.flags = moved ? PathMessage::kMoved : 0;
  message.token = s.path_set.challenge(path, parts.random, parts.now());
  if (path.is_direct()) parts.metrics.add(Metric::kPathChecks);
  transmit(s, keys, path, static_cast<std::uint8_t>(DataKind::kPath), message.write());
}

void Sessions::Impl::set_keepalive(LiveSession& s, Duration interval) {
  s.keepalive = interval;
  if (s.is_open()) arm_alarm(s);
}

void Sessions::Impl::close(LiveSession& s, CloseReason reason, const Path& tried) {
  if (s.is_closed()) return;
  const bool deaf = reason == CloseReason::kDead || reason == CloseReason::kPeerClosed ||
                    reason == CloseReason::kTimeout;
  const Path path = s.path().path;
  if (s.is_open() && !deaf && path.kind != PathKind::kNone) {
    PathMessage message;
    message.op = PathMessage::Op::kClose;
    transmit(s, *s.current, path, static_cast<std::uint8_t>(DataKind::kPath), message.write());
  }
  s.set_closed();
  s.alarm.cancel();
  s.prober.cancel();
  s.mtu_search.reset();
  end_keeping(s);
  s.each_key_set([&](KeySet& set) {
    set.last_flight.reset();
    forget_keys(set);
  });
  const Address peer = s.peer();
  handshaker.abandon(peer);
  if (s.talks) std::erase(talking_, &s);
  const auto node = sessions.extract(peer);
  graveyard_.push_back(std::move(node.mapped()));
  parts.listener.on_closed(peer, path.kind == PathKind::kNone ? tried : path, reason);
}

Sessions::Sessions(Credentials& credentials, Clock& clock, Random& random, Transport& transport,
                   MetricSlot& metrics, Listener& listener, SessionLimits limits)
    : impl_(std::make_unique<Impl>(credentials, clock, random, transport, metrics, listener,
                                   limits)) {}

Sessions::~Sessions() = default;

namespace {
// Every Session that leaves this folder is one of ours.
LiveSession& live(Session& session) { return static_cast<LiveSession&>(session); }
}  // namespace

void Sessions::dial(const Address& peer, const Path& path) {
  Impl::Entry entry(*impl_);
  impl_->dial(peer, path);
}

void Sessions::probe(Session& session, const Endpoint& endpoint, bool moved) {
  Impl::Entry entry(*impl_);
  impl_->probe(live(session), endpoint, moved);
}

void Sessions::add_path(Session& session, const Path& path) {
  Impl::Entry entry(*impl_);
  impl_->add_path(live(session), path);
}

void Sessions::suspect_direct_paths() {
  Impl::Entry entry(*impl_);
  std::vector<Address> peers;
  for (const auto& [peer, session] : impl_->sessions) peers.push_back(peer);
  for (const Address& peer : peers) {
    if (LiveSession* s = impl_->find(peer)) impl_->suspect_direct_paths(*s, true);
  }
}

void Sessions::suspect_direct_paths(Session& session) {
  Impl::Entry entry(*impl_);
  impl_->suspect_direct_paths(live(session), false);
}

bool Sessions::send(const Address& peer, DataKind kind, ByteView payload, std::uint8_t facts,
                    Answer answer) {
  Impl::Entry entry(*impl_);
  return impl_->send(peer, kind, payload, facts, answer);
}

void Sessions::set_keepalive(Session& session, Duration interval) {
  Impl::Entry entry(*impl_);
  impl_->set_keepalive(live(session), interval);
}

void Sessions::close(const Address& peer, CloseReason reason) {
  Impl::Entry entry(*impl_);
  if (LiveSession* s = impl_->find(peer)) impl_->close(*s, reason);
}

void Sessions::doubt_relayed_path(Session& session, const Path& path) {
  Impl::Entry entry(*impl_);
  impl_->doubt_path(live(session), path);
}

void Sessions::drop_path(Session& session, const Path& path) {
  Impl::Entry entry(*impl_);
  impl_->drop_path(live(session), path);
}

void Sessions::set_sent_lately(std::vector<SentLately*> workers) {
  impl_->sent_by_workers = std::move(workers);
}

CircuitTable& Sessions::circuits() { return impl_->circuits; }

void Sessions::renew_all() {
  Impl::Entry entry(*impl_);
  impl_->renew_all();
}

void Sessions::drop_unwelcome() {
  Impl::Entry entry(*impl_);
  std::vector<Address> peers;
  for (const auto& [peer, session] : impl_->sessions) {
    if (session->is_open() && !impl_->parts.credentials.welcome(session->identity()))
      peers.push_back(peer);
  }
  for (const Address& peer : peers) close(peer, CloseReason::kRevoked);
}

void Sessions::on_datagram(MutableBytes packet, const Endpoint& from) {
  Impl::Entry entry(*impl_);
  if (packet_type(packet) == PacketType::kRelay) return impl_->on_relayed(packet, from);
  impl_->on_packet(packet, Path::direct(from), {});
}

void Sessions::on_routed_packet(const Address& source, const Address& via, MutableBytes packet,
                                const Address& ingress) {
  Impl::Entry entry(*impl_);
  impl_->on_packet(packet, Path::routed(via), {source, ingress});
}

void Sessions::on_opened(std::uint32_t receive_index, ByteView plain, const Endpoint& from,
                         std::uint32_t circuit) {
  Impl::Entry entry(*impl_);
  impl_->on_opened(receive_index, plain, from, circuit);
}

void Sessions::on_stream_closed(const Endpoint& far) {
  Impl::Entry entry(*impl_);
  const Path path = Path::direct(far);
  std::vector<Address> peers;
  for (const auto& [peer, session] : impl_->sessions) {
    if (session->path_set.find(path) != nullptr) peers.push_back(peer);
  }
  for (const Address& peer : peers) {
    if (LiveSession* s = impl_->find(peer)) impl_->on_stream_closed(*s, path);
  }
}

bool Sessions::udp_is_silent() const {
  constexpr Duration kSilent = 500ms;
  const TimePoint now = impl_->parts.now();
  bool by_stream = false, by_udp = false, doubted = false;
  for (const auto& [peer, session] : impl_->sessions) {
    for (const PathRecord& record : session->path_set.records()) {
      if (!record.proven || !record.state.path.is_direct()) continue;
      if (record.state.path.is_stream()) {
        by_stream = by_stream || !record.suspect;
        continue;
      }
      if (now - session->heard_on(record) < kSilent) return false;
      (record.suspect ? doubted : by_udp) = true;
    }
  }
  return doubted || (by_stream && !by_udp);
}

bool Sessions::has_only_streams() const {
  bool by_stream = false;
  for (const auto& [peer, session] : impl_->sessions) {
    for (const PathRecord& record : session->path_set.records()) {
      if (!record.proven || !record.state.path.is_direct()) continue;
      if (!record.state.path.is_stream()) return false;
      by_stream = true;
    }
  }
  return by_stream;
}

std::unordered_set<Endpoint, EndpointHash> Sessions::streams() const {
  std::unordered_set<Endpoint, EndpointHash> out;
  for (const auto& [peer, session] : impl_->sessions) {
    for (const PathRecord& record : session->path_set.records()) {
      if (record.proven && record.state.path.is_stream()) out.insert(record.state.path.endpoint);
    }
  }
  return out;
}

Session* Sessions::find(const Address& peer) { return impl_->find(peer); }
std::size_t Sessions::size() const { return impl_->sessions.size(); }

void Sessions::for_each(const std::function<void(Session&)>& visit) {
  Impl::Entry entry(*impl_);
  for (const auto& [peer, session] : impl_->sessions) visit(*session);
}

std::size_t Sessions::handshakes_under_way() const { return impl_->handshaker.under_way(); }

}  // namespace wow
