#include "tunnel/live_session.h"

#include <algorithm>

namespace wow {
namespace {

TimePoint time_of(const std::atomic<std::int64_t>& ns) {
  return TimePoint(Duration(ns.load(std::memory_order_relaxed)));
}

}  // namespace

bool KeySet::replaces(const KeySet& before, const Address& self, const Address& peer) const {
  if (!concurrent_with(before)) return true;
  if (initiated == before.initiated) return started > before.started;
  return (initiated ? self : peer) > (initiated ? peer : self);
}

LiveSession::LiveSession(const Address& peer, Clock& clock, std::size_t paths_max)
    : path_set(paths_max), alarm(clock), prober(clock), peer_(peer) {}

const PathState& LiveSession::path() const {
  static const PathState none;
  const PathRecord* best = path_set.best();
  return best == nullptr ? none : best->state;
}

std::vector<PathState> LiveSession::paths() const {
  std::vector<PathState> out;
  for (const PathRecord& record : path_set.records()) out.push_back(record.state);
  return out;
}

bool LiveSession::is_direct() const {
  const PathRecord* best = path_set.best();
  return is_open() && best != nullptr && best->state.path.is_direct() && best->state.validated;
}

void LiveSession::open(TimePoint now) {
  state_ = SessionState::kOpen;
  opened_at_ = now;
}

bool LiveSession::is_relayed() const {
  const PathRecord* best = path_set.best();
  return is_open() && best != nullptr && best->state.path.is_relayed() && best->state.validated;
}

TimePoint LiveSession::heard_on(const PathRecord& record) const {
  TimePoint out = record.last_heard;
  if (!record.state.path.is_direct() || &record != path_set.best()) return out;
  // Workers know of no path but the one in use.
  each_key_set(
      [&](const KeySet& set) { out = std::max(out, time_of(set.keys->last_received_ns)); });
  return out;
}

TimePoint LiveSession::last_sent_data() const {
  TimePoint out{};
  each_key_set(
      [&](const KeySet& set) { out = std::max(out, time_of(set.keys->last_sent_data_ns)); });
  return out;
}

TimePoint LiveSession::last_sent_frame() const {
  TimePoint out{};
  each_key_set(
      [&](const KeySet& set) { out = std::max(out, time_of(set.keys->last_sent_frame_ns)); });
  return out;
}

std::size_t LiveSession::datagram_max() const {
  const bool known = mtu_search && mtu_search->mtu.path() == path().path;
  return known ? mtu_search->mtu.datagram_max() : 0;
}

TimePoint LiveSession::last_activity() const {
  TimePoint out = last_sent_data();
  for (const PathRecord& record : path_set.records()) out = std::max(out, heard_on(record));
  return out;
}

}  // namespace wow
