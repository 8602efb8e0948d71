// Key exchanges that come to an end: which keys a session uses, and when it begins anew.
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "tunnel/sessions_impl.h"

namespace wow {
namespace {

constexpr Duration kRekeyRetry = 60s;
// Of keys that others may know, or when too many exchanges were under way.
constexpr Duration kRekeySoon = 500ms;
// So long a flight that was begun before may take to arrive by a slower way.
constexpr Duration kMaybeConcurrent = 1s;

KeySet key_set_of(Agreement& agreement, TimePoint now) {
  KeySet out;
  out.keys = agreement.keys;
  out.send_index = agreement.send_index;
  out.initiated = agreement.initiated;
  out.continues = agreement.continues;
  out.started = agreement.started;
  out.made = now;
  out.last_flight = std::move(agreement.last_flight);
  return out;
}

}  // namespace

bool Sessions::Impl::admits(const Agreement& a) {
  LiveSession* s = find(a.peer.address);
  if (!a.initiated && a.continues) {
    // The index must be of a session with the very peer that now has proved itself.
    const auto replaced = by_index_.find(a.replaced_index);
    if (replaced == by_index_.end() || replaced->second.session != s) return false;
  }
  if (s == nullptr) return make_room();
  if (!a.initiated || !s->is_open()) return true;
  if (a.dialled_anybody) {
    if (a.path.is_direct()) challenge(*s, *s->current, a.path);
    return false;
  }
  // Ours would only be retired again.
  KeySet ours;
  ours.initiated = true;
  ours.started = a.started;
  return ours.replaces(*s->current, parts.credentials.address(), s->peer());
}

LiveSession& Sessions::Impl::session_for(const Agreement& a) {
  auto& slot = sessions[a.peer.address];
  if (!slot) {
    slot = std::make_unique<LiveSession>(a.peer.address, parts.clock, parts.limits.paths_max);
  }
  slot->set_identity(a.peer);
  return *slot;
}

void Sessions::Impl::on_agreed(Agreement a) {
  Entry entry(*this);
  LiveSession& s = session_for(a);
  auto made = std::make_unique<KeySet>(key_set_of(a, parts.now()));
  KeySet& set = *made;
  if (!set.initiated) set.agreed = ++parts.order;
  by_index_[set.keys->receive_index] = {&s, &set};
  // The peer has begun a new life: what we knew of its whereabouts may be stale.
  const bool fresh = s.is_open() && !a.continues && !set.concurrent_with(*s.current);
  learn_paths(s, a, fresh);
  if (set.initiated) {
    set.last_flight->repeat([this, index = set.keys->receive_index] { on_unanswered(index); });
  }
  // Keys of a higher address win over those of an attempt of ours begun before this moment; and two
  // attempts of one node at one peer would leave it to chance which comes last.
  if (set.initiated || s.peer() > parts.credentials.address()) handshaker.abandon(s.peer());
  place(s, std::move(made));
  if (s.is_closed()) return;
  // Sealed under these very keys: it tells an initiator that its last flight arrived, and gives
  // both ends a round trip and the endpoint that the other sees.
  challenge(s, set, a.path);
  for (const Path& other : a.other_paths) challenge(s, set, other);
  flush_staged(s);
  for (EarlyPacket& packet : a.early) on_data(packet.bytes, packet.path);
  if (s.is_closed()) return;
  arm_alarm(s);
}

void Sessions::Impl::learn_paths(LiveSession& s, const Agreement& a, bool fresh) {
  const TimePoint now = parts.now();
  if (fresh) {
    for (PathRecord& record : s.path_set.records()) {
      if (!record.proven || record.state.path.is_routed()) continue;
      // A path heard on just now is more likely that of an exchange begun before the peer knew of
      // ours; it is asked, but not left.
      if (now - std::max(record.state.last_answer, record.last_heard) > kMaybeConcurrent)
        record.doubt();
      record.start_probing(now);
    }
  }
  for (const Path& other : a.other_paths) {
    if (other.is_routed()) s.path_set.add(other, now);
  }
  // Its flights went both ways on this path, if the peer is honest: the last one can be sent from a
  // false address by who was answered elsewhere. So on_agreed() asks, and the prober goes on.
  PathRecord& used = s.path_set.add(a.path, now);
  s.path_set.prove(used, a.round_trip, now);
  if (!a.path.is_routed() && !used.state.answered) {
    used.probing = true;
    ++used.unanswered;
    used.next_probe = now + a.round_trip + parts.limits.probe_interval;
  }
  s.path_set.choose();
  arm_prober(s);
}

void Sessions::Impl::place(LiveSession& s, std::unique_ptr<KeySet> made) {
  if (!s.current) {
    s.current = std::move(made);
    s.open(parts.now());
    return tell_keys(s, true);
  }
  const bool shared = s.current->shared;
  if (!shared && !made->replaces(*s.current, parts.credentials.address(), s.peer()))
    return retire(s, std::move(made));
  const bool peer_holds_current =
      s.current->agreed != 0 && (made->continues || made->concurrent_with(*s.current));
  if (shared || !made->initiated || !peer_holds_current) return promote(s, std::move(made));
  // Until the peer has our last flight it could not open what these keys seal.
  if (s.next) retire(s, std::exchange(s.next, nullptr));
  s.next = std::move(made);
}

void Sessions::Impl::promote(LiveSession& s, std::unique_ptr<KeySet> set) {
  const bool anew = !set->continues;
  const SessionKeys& before = *s.current->keys;
  set->keys->last_received_ns.store(before.last_received_ns.load());
  set->keys->last_sent_data_ns.store(before.last_sent_data_ns.load());
  set->keys->last_sent_frame_ns.store(before.last_sent_frame_ns.load());
  retire(s, std::exchange(s.current, std::move(set)));
  s.rekey_not_before = {};
  if (s.current->agreed != 0) forget_shared(s);
  arm_alarm(s);
  tell_keys(s, anew);
}

void Sessions::Impl::tell_keys(LiveSession& s, bool anew) {
  s.told_path = s.path_set.changes();
  s.told_linked = s.is_linked();
  s.unknown_index_hints = 0;
  if (anew) {
    parts.listener.on_open(s);
  } else {
    parts.listener.on_path_changed(s);
  }
}

void Sessions::Impl::retire(LiveSession& s, std::unique_ptr<KeySet> set) {
  set->retired = parts.now();
  set->retired_until = set->retired + parts.limits.old_keys_kept;
  if (s.old.size() >= LiveSession::kOldKeysMax) {
    forget_keys(*s.old.front());
    s.old.erase(s.old.begin());
  }
  s.old.push_back(std::move(set));
}

void Sessions::Impl::forget_keys(const KeySet& set) {
  by_index_.erase(set.keys->receive_index);
  parts.indexes.give_back(set.keys->receive_index, parts.now());
}

void Sessions::Impl::forget_shared(LiveSession& s) {
  std::erase_if(s.old, [&](const auto& set) {
    if (set->shared) forget_keys(*set);
    return set->shared;
  });
}

// Begins an exchange if it is time for one.
void Sessions::Impl::renew(LiveSession& s) {
  if (rekey_due(s) > parts.now() || s.next || handshaker.is_dialling(s.peer())) return;
  const Path path = s.path().path;
  // Where no index is named the peer takes it for a new life of ours.
  const std::uint32_t continued = s.current->shared ? 0 : s.current->send_index;
  if (path.kind == PathKind::kNone || !handshaker.dial(s.peer(), path, continued))
    s.rekey_not_before = parts.now() + kRekeySoon;
  if (!s.current->shared) return;
  // By all ways at once: who was cloned may be elsewhere, and the one in use no longer one.
  for (const PathState& other : s.paths()) {
    if (other.path != path && handshaker.is_dialling(s.peer()))
      handshaker.dial(s.peer(), other.path);
  }
}

void Sessions::Impl::renew_all() {
  handshaker.begin_all_anew();
  std::vector<LiveSession*> open;
  for (const auto& [peer, session] : sessions) {
    if (session->is_open()) open.push_back(session.get());
  }
  // Those that close meanwhile are there until the end of this call from outside.
  for (LiveSession* session : open) {
    LiveSession& s = *session;
    if (s.is_closed()) continue;
    if (s.next) s.old.push_back(std::exchange(s.next, nullptr));
    for (const auto& set : s.old) forget_keys(*set);
    s.old.clear();
    s.current->shared = true;
    s.rekey_not_before = {};
    renew(s);
    if (!s.is_closed()) arm_alarm(s);
  }
}

// A packet opened under these keys, so the peer has them.
void Sessions::Impl::on_heard_under(LiveSession& s, KeySet& set) {
  // A peer that still uses retired keys has not come to our conclusion: they stay for longer. But
  // not while it does: a copy of the peer may have the newer ones, and both must come to know.
  if (set.retired_until != TimePoint())
    set.retired_until = std::min(parts.now() + parts.limits.old_keys_kept,
                                 set.retired + parts.limits.old_keys_most);
  if (set.agreed != 0) return;
  set.agreed = ++parts.order;
  set.last_flight.reset();
  if (!set.shared) forget_shared(s);
  if (&set != s.next.get()) return;
  auto next = std::exchange(s.next, nullptr);
  if (next->replaces(*s.current, parts.credentials.address(), s.peer())) {
    promote(s, std::move(next));
  } else {
    retire(s, std::move(next));
  }
}

// The peer never showed that it has the keys of an exchange of ours.
void Sessions::Impl::on_unanswered(std::uint32_t receive_index) {
  Entry entry(*this);
  const auto found = by_index_.find(receive_index);
  if (found == by_index_.end()) return;
  LiveSession& s = *found->second.session;
  KeySet& set = *found->second.keys;
  parts.metrics.add(Metric::kHandshakesFailed);
  set.last_flight.reset();
  if (&set == s.next.get()) {
    forget_keys(set);
    s.next.reset();
  } else if (&set == s.current.get()) {
    const auto agreed = std::ranges::find_if(s.old, [](const auto& k) { return k->agreed != 0; });
    if (agreed == s.old.end()) return close(s, CloseReason::kTimeout);
    forget_keys(set);
    s.current = std::move(*agreed);
    s.old.erase(agreed);
    s.current->retired_until = {};
    if (s.current->shared) {
      s.rekey_not_before = parts.now() + kRekeySoon;
      arm_alarm(s);
    }
    tell_keys(s, false);
  }
}

void Sessions::Impl::on_given_up(const Address& peer, const Path& path, CloseReason reason) {
  Entry entry(*this);
  LiveSession* s = peer.is_zero() ? nullptr : find(peer);
  if (s == nullptr) {
    if (peer.is_zero()) parts.listener.on_closed(peer, path, reason);
    return;
  }
  if (!s->is_open()) return close(*s, reason, path);
  // New keys for an open session were not to be had. That ends nothing; silence does.
  log_debug("rekey failed", {{"peer", peer.short_hex()}});
  s->rekey_not_before = parts.now() + (s->current->shared ? kRekeySoon : kRekeyRetry);
  arm_alarm(*s);
  if (PathRecord* best = s->path_set.best()) start_probing(*s, *best);
}

void Sessions::Impl::on_late_flight(std::uint32_t receive_index, const Path& path) {
  const auto found = by_index_.find(receive_index);
  if (found == by_index_.end()) return reply_unknown_index(receive_index, path);
  // It sends again because it has heard nothing under these keys.
  const auto& [session, keys] = found->second;
  const PathRecord* record = session->path_set.find(path);
  if (record != nullptr && parts.now() - record->last_challenged >= parts.limits.probe_interval)
    challenge(*session, *keys, path);
}

}  // namespace wow
