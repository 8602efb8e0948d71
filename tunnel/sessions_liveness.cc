// Silence: who is asked whether it is still there, how often, and what follows if it is not.
#include <algorithm>
#include <utility>
#include <vector>

#include "tunnel/sessions_impl.h"

namespace wow {
namespace {

// A round trip not yet measured is taken for this.
constexpr Duration kDirectGuess = 50ms;
constexpr Duration kRoutedGuess = 200ms;
constexpr int kOpeningPatience = 4;
// So late after its time a look says nothing of the peer.
constexpr Duration kLate = 50ms;
constexpr Duration kExcuseMax = 500ms;
constexpr int kExcusesMax = 16;
// Of the challenges to a peer that is there.
constexpr int kLostByChance = 1;
// A question along the ring counts for so many, and is asked so much later: each hop repeats it by
// itself, and for the dead the whole way is in vain.
constexpr int kRoutedWeight = 2;
// Alarms are not set nearer than this.
constexpr Duration kAlarmMin = 10ms;

int weight_of(const PathRecord& record) {
  return record.state.path.is_routed() ? kRoutedWeight : 1;
}

Duration round_trip_of(const PathRecord& record) {
  if (record.state.round_trip != Duration()) return record.state.round_trip;
  return record.state.path.is_direct() ? kDirectGuess : kRoutedGuess;
}

}  // namespace

void Sessions::Impl::start_probing(LiveSession& s, PathRecord& record) {
  if (record.probing || !s.is_open()) return;
  record.start_probing(parts.now());
  run_probes(s);
}

// Who looks late was kept from working, and so from reading: the answer may lie in the socket. On a
// busy machine all of a pool's nodes would else declare each other dead, and the handshakes that
// follow make it busier (Dadgar et al., "Lifeguard", DSN-W 2018, for SWIM). Not for ever: the dead
// must be found there, too.
void Sessions::Impl::excuse_what_came_late(LiveSession& s) {
  const TimePoint now = parts.now();
  for (PathRecord& record : s.path_set.records()) {
    const Duration late = now - record.next_probe;
    if (!record.probing || late < kLate || record.excused >= kExcusesMax) continue;
    ++record.excused;
    record.next_probe = now + std::min<Duration>(late, kExcuseMax);
  }
}

void Sessions::Impl::run_probes(LiveSession& s) {
  excuse_what_came_late(s);
  const TimePoint now = parts.now();
  const SessionLimits& limits = parts.limits;
  const bool busy = now - s.last_sent_data() < kTrafficLasts;
  std::vector<Path> dead;
  for (PathRecord& record : s.path_set.records()) {
    if (!record.probing || record.next_probe > now) continue;
    // A session just opened may still wait for a lost last flight; where no data goes, that does no
    // harm, even to an address that is not the peer's.
    const bool patient = record.state.path.is_direct() && !record.state.answered && !busy;
    // One that is not in use is asked twice as long: a short outage is then undone in place.
    // So is a stream, which repairs its losses itself, in longer steps.
    const bool in_use = s.path_set.best() == &record && !record.state.path.is_stream();
    const int spare = in_use ? 1 : 2;
    const int unanswered_max = limits.probes_unanswered_max * (patient ? kOpeningPatience : spare);
    if (record.unanswered >= unanswered_max) dead.push_back(record.state.path);
    if (record.unanswered >= limits.probes_until_suspect && !record.suspect) doubt_best(s, record);
  }
  // A new attempt at the peer is under way: its outcome decides.
  const bool redialling = handshaker.is_dialling(s.peer());
  for (const Path& path : dead) {
    if (redialling) {
      PathRecord& record = *s.path_set.find(path);
      record.probing = !record.state.answered;
    } else {
      s.path_set.remove(path);
    }
  }
  update_path(s);  // before anything is sent, so that no probe is routed to the peer through itself
  if (s.is_closed()) return;
  if (s.path_set.best() == nullptr) return close(s, CloseReason::kDead);
  struct Due {
    Path path;
    bool moved;
  };
  std::vector<Due> due;
  for (PathRecord& record : s.path_set.records()) {
    if (!record.probing || record.next_probe > now) continue;
    const int weight = weight_of(record);
    record.unanswered = static_cast<std::int16_t>(record.unanswered + weight);
    if (s.path_set.best() == &record) keep_sent(s, record.unanswered > weight * kLostByChance);
    const bool waits =
        record.unanswered == weight || record.unanswered >= limits.probes_until_suspect;
    record.next_probe =
        now + (waits ? round_trip_of(record) : Duration()) +
        weight * (busy ? limits.probe_interval_under_traffic : limits.probe_interval);
    due.push_back({record.state.path, record.announce_move});
  }
  arm_prober(s);
  for (const auto& [path, moved] : due) challenge(s, *s.current, path, moved);
}

void Sessions::Impl::arm_prober(LiveSession& s) {
  const PathRecord* first = nullptr;
  for (const PathRecord& record : s.path_set.records()) {
    if (record.probing && (first == nullptr || record.next_probe < first->next_probe))
      first = &record;
  }
  if (first == nullptr) return s.prober.cancel();
  if (s.prober.is_set() && s.prober.due() == first->next_probe) return;
  s.prober.after(first->next_probe - parts.now(), [this, &s] {
    Entry entry(*this);
    run_probes(s);
  });
}

// The path does not answer. If it is the one in use, the others are asked too, and those that were
// quiet for long are not trusted until they answer.
void Sessions::Impl::doubt_best(LiveSession& s, PathRecord& silent) {
  const TimePoint now = parts.now();
  silent.doubt();
  if (s.path_set.best() != &silent) return;
  for (PathRecord& record : s.path_set.records()) {
    if (&record == &silent || !record.is_usable()) continue;
    const TimePoint sign_of_life = std::max(record.state.last_answer, record.last_heard);
    if (!record.state.path.is_routed() && now - sign_of_life > PathSet::kFresh) record.doubt();
    if (!record.probing) record.start_probing(now);
  }
}

void Sessions::Impl::on_stream_closed(LiveSession& s, const Path& path) {
  PathRecord* record = s.path_set.find(path);
  if (record == nullptr) return;
  if (s.is_open() && record == s.path_set.best() && path.endpoint.can_be_dialled()) {
    doubt_best(s, *record);
    if (!record->probing) record->start_probing(parts.now());
    update_path(s);
    if (!s.is_closed()) run_probes(s);
    return;
  }
  drop_path(s, path);
}

// Uses the best path there is, and tells the listener if that changed anything for it.
void Sessions::Impl::update_path(LiveSession& s) {
  const PathRecord* was = s.path_set.best();
  const bool doubted = was != nullptr && was->suspect && was->state.path.is_relayed();
  const PathRecord left = doubted ? *was : PathRecord();
  s.path_set.choose();
  if (doubted && s.path().path != left.state.path) {
    parts.listener.on_relay_doubted(left.state.path.via);
    const TimePoint alive = std::max(left.last_heard, left.state.last_answer);
    send_again(s, SentLately::by_circuit(left.state.path.circuit),
               alive - 2 * left.state.round_trip);
  }
  if (!s.is_open()) return;
  const bool linked = s.is_linked();
  if (s.told_linked && !linked) keep_sent(s, true);
  if (s.kept_index && linked && !s.path_set.best()->probing) end_keeping(s);
  if (s.path_set.changes() == s.told_path && linked == s.told_linked) return;
  s.told_path = s.path_set.changes();
  s.told_linked = linked;
  s.unanswered_since = {};
  arm_alarm(s);
  parts.listener.on_path_changed(s);
}

// What is sent to a silent peer goes once more when it is back: else its host's TCP, which doubles
// the time to its next try each time, is silent as long again. Kept from the first challenge on;
// who answers that was not silent. Edges without frames, which are challenged all the time, would
// only slow the workers down.
void Sessions::Impl::keep_sent(LiveSession& s, bool silent) {
  if (parts.now() - s.last_sent_frame() >= kTrafficLasts) return;
  if (!s.kept_index) {
    s.kept_index = s.current->send_index;
    s.is_silent = false;
    s.kept_since = parts.now();
    each_sent_lately([&](SentLately& sent) { sent.set_silent(*s.kept_index, true); });
  }
  s.is_silent = s.is_silent || silent;
}

void Sessions::Impl::end_keeping(LiveSession& s) {
  const auto index = std::exchange(s.kept_index, std::nullopt);
  if (!index) return;
  each_sent_lately([&](SentLately& sent) { sent.set_silent(*index, false); });
  if (s.is_silent) send_again(s, SentLately::by_session(*index), s.kept_since);
}

TimePoint Sessions::Impl::rekey_due(const LiveSession& s) const {
  if (s.current->shared) return s.rekey_not_before;
  // The end that began the last exchange begins the next; the other only if that fails to happen.
  const Duration after = parts.limits.rekey_after;
  const TimePoint due = s.current->made + (s.current->initiated ? after : after + after / 8);
  return std::max(due, s.rekey_not_before);
}

void Sessions::Impl::on_alarm(LiveSession& s) {
  const TimePoint now = parts.now();
  std::erase_if(s.old, [&](const auto& set) {
    if (set->retired_until > now) return false;
    forget_keys(*set);
    return true;
  });
  s.path_set.forget_unproven(now);
  if (s.keepalive == Duration() && !s.is_direct() &&
      now - s.last_activity() >= parts.limits.idle_routed_close)
    return close(s, CloseReason::kIdle);
  PathRecord* best = s.path_set.best();
  if (s.keepalive != Duration() && best != nullptr && now - s.heard_on(*best) >= s.keepalive) {
    start_probing(s, *best);
    if (s.is_closed()) return;
  }
  renew(s);
  if (!s.is_closed()) arm_alarm(s);
}

void Sessions::Impl::arm_alarm(LiveSession& s) {
  const TimePoint now = parts.now();
  TimePoint due = rekey_due(s);
  // While one is being made, or its keys wait to be confirmed, the next is not due.
  if (due <= now) due = now + parts.limits.rekey_after;
  for (const auto& set : s.old) due = std::min(due, set->retired_until);
  const PathRecord* best = s.path_set.best();
  if (s.keepalive != Duration() && best != nullptr) {
    const TimePoint silent = s.heard_on(*best) + s.keepalive;
    due = std::min(due, best->probing || silent <= now ? now + s.keepalive : silent);
  }
  if (s.keepalive == Duration() && !s.is_direct())
    due = std::min(due, s.last_activity() + parts.limits.idle_routed_close);
  due = std::max(due, now + kAlarmMin);
  if (s.alarm.is_set() && s.alarm.due() == due) return;
  s.alarm.after(due - now, [this, &s] {
    Entry entry(*this);
    on_alarm(s);
  });
}

void Sessions::Impl::note_talk(LiveSession& s) {
  if (!std::exchange(s.talks, true)) talking_.push_back(&s);
}

void Sessions::Impl::wake_tick() {
  if (tick_.is_set()) return;
  ticked_at_ = parts.now();
  tick_.after(parts.limits.tick, [this] { on_tick(); });
}

void Sessions::Impl::on_tick() {
  Entry entry(*this);
  const TimePoint now = parts.now();
  // Workers send without being seen here.
  if (parts.limits.workers > 0) {
    for (const auto& [peer, session] : sessions) {
      note_talk(*session);
      look_after_mtu(*session);
    }
  }
  std::vector<LiveSession*> silent;
  std::erase_if(talking_, [&](LiveSession* s) {
    const PathRecord* best = s->is_open() ? s->path_set.best() : nullptr;
    const TimePoint heard = best == nullptr ? now : s->heard_on(*best);
    s->talks = s->last_sent_data() > heard;
    if (!s->talks) {
      s->unanswered_since = {};
    } else if (waits_too_long(*s, heard, now)) {
      silent.push_back(s);
    }
    return !s->talks;
  });
  ticked_at_ = now;
  const bool waiting = !talking_.empty();
  if (!waiting) talking_.shrink_to_fit();
  // Nobody waits: no tick until something is sent.
  if (waiting || parts.limits.workers > 0) {
    tick_.after(waiting ? parts.limits.tick : parts.limits.worker_tick, [this] { on_tick(); });
  }
  for (LiveSession* s : silent) {
    if (PathRecord* best = s->path_set.best()) start_probing(*s, *best);
  }
}

bool Sessions::Impl::waits_too_long(LiveSession& s, TimePoint heard, TimePoint now) const {
  if (heard >= s.unanswered_since) s.unanswered_since = {};
  // The first unanswered packet went out after the last look, or after the peer was heard.
  if (s.unanswered_since == TimePoint()) s.unanswered_since = std::max(heard, ticked_at_);
  return now - s.unanswered_since >= parts.limits.silence_under_traffic;
}

}  // namespace wow
