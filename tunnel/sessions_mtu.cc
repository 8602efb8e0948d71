// What the paths in use carry is asked while frames go out on them.
#include "tunnel/sessions_impl.h"

namespace wow {
namespace {

constexpr Duration kSearchMin = 10ms;

}  // namespace

void Sessions::Impl::look_after_mtu(LiveSession& s) {
  if (parts.limits.datagram_wanted == 0 || !s.is_linked()) return;
  if (s.mtu_search && s.mtu_search->timer.is_set()) {
    if (s.mtu_search->mtu.path() == s.path().path) return;
  }
  search_mtu(s);
}

void Sessions::Impl::search_mtu(LiveSession& s) {
  const TimePoint now = parts.now();
  if (!s.is_linked() || now - s.last_sent_frame() >= kTrafficLasts) return;
  const PathState& path = s.path();
  if (!s.mtu_search || s.mtu_search->mtu.path() != path.path) {
    s.mtu_search =
        std::make_unique<MtuSearch>(path.path, parts.limits.datagram_wanted, parts.clock);
  }
  MtuSearch& search = *s.mtu_search;
  count_lost(s);
  const auto probes = search.mtu.due(now, path.round_trip, parts.random);
  search.timer.after(std::max<Duration>(search.mtu.next() - now, kSearchMin), [this, &s] {
    Entry entry(*this);
    search_mtu(s);
  });
  for (const PathMtu::Probe& probe : probes) {
    PathMessage message;
    message.token = probe.token;
    transmit(s, *s.current, search.mtu.path(), static_cast<std::uint8_t>(DataKind::kPath),
             message.write(), probe.size);
  }
  tell_mtu(s);
}

// While frames go out nothing else measures the path: its load and loss are what a better one is
// looked for by.
void Sessions::Impl::count_lost(LiveSession& s) {
  PathRecord* record = s.path_set.find(s.mtu_search->mtu.path());
  if (record == nullptr) return;
  const std::size_t lost = s.mtu_search->mtu.take_lost(parts.now());
  for (std::size_t i = 0; i < lost; ++i) PathSet::note_loss(*record, true);
}

void Sessions::Impl::on_mtu_answer(LiveSession& s, Duration round_trip) {
  PathRecord* record = s.path_set.find(s.mtu_search->mtu.path());
  if (record != nullptr && record->state.validated) {
    s.path_set.prove(*record, round_trip, parts.now());
    PathSet::note_loss(*record, false);
    arm_prober(s);
  }
  tell_mtu(s);
  update_path(s);
}

void Sessions::Impl::tell_mtu(LiveSession& s) {
  if (s.mtu_search->told == s.mtu_search->mtu.datagram_max()) return;
  s.mtu_search->told = s.mtu_search->mtu.datagram_max();
  parts.listener.on_path_changed(s);
}

}  // namespace wow
