#include "overlay/edge_table.h"

#include <algorithm>

namespace wow {

std::string_view to_string(EdgeRole role) {
  switch (role) {
    case EdgeRole::kNone:
      return "none";
    case EdgeRole::kLeaf:
      return "leaf";
    case EdgeRole::kNear:
      return "near";
    case EdgeRole::kFar:
      return "far";
    case EdgeRole::kShortcut:
      return "shortcut";
    case EdgeRole::kRelay:
      return "relay";
  }
  return "unknown";
}

Edge& EdgeTable::add(const Address& peer, TimePoint now) {
  Edge& edge = edges_[peer];
  edge.peer = peer;
  edge.keepalive = {};
  edge.list_sent = 0;
  edge.role_repeats = 0;
  edge.newest = {};
  edge.opened = now;
  ++changes_;
  hops_stale_ = true;
  return edge;
}

void EdgeTable::erase(const Address& peer) {
  edges_.erase(peer);
  placed_ = placed_ && !edges_.empty();
  ++changes_;
  hops_stale_ = true;
}

Edge* EdgeTable::find(const Address& peer) {
  const auto it = edges_.find(peer);
  return it == edges_.end() ? nullptr : &it->second;
}

const Edge* EdgeTable::find(const Address& peer) const {
  return const_cast<EdgeTable*>(this)->find(peer);
}

void EdgeTable::set_ours(Edge& edge, Roles roles) {
  edge.ours = roles;
  ++changes_;
  hops_stale_ = true;
}

void EdgeTable::set_theirs(Edge& edge, Roles roles) {
  edge.theirs = roles;
  ++changes_;
  hops_stale_ = true;
}

void EdgeTable::set_path(Edge& edge, const Session& session, TimePoint now) {
  edge.path_since = now;
  edge.direct = session.is_direct();
  edge.relayed = session.is_relayed();
  edge.round_trip = session.path().round_trip;
  note_proven(edge, session);
  ++changes_;
  hops_stale_ = true;
}

void EdgeTable::note_proven(Edge& edge, const Session& session) {
  const PathState& state = session.path();
  const bool proven = state.path.is_direct() && state.answered;
  if (proven && state.path.endpoint.can_be_dialled()) edge.proven_at = state.path.endpoint;
}

void EdgeTable::set_round_trip(Edge& edge, const Session& session) {
  note_proven(edge, session);
  const Duration now = session.path().round_trip;
  if (now == edge.round_trip) return;
  edge.round_trip = now;
  hops_stale_ = true;
}

void EdgeTable::set_knows(Edge& edge, std::vector<Address> knows) {
  edge.knows = std::move(knows);
  edge.knows.shrink_to_fit();
  hops_stale_ = true;
}

std::span<const Hop> EdgeTable::hops() const {
  if (hops_stale_) {
    hops_.clear();
    hops_.reserve(edges_.size());  // and no more: there is one of these on each node
    for (const auto& [peer, edge] : edges_) {
      if (!edge.usable()) continue;
      hops_.push_back(
          {peer, edge.is_member(), (edge.ours & kLeafBit) != 0, edge.knows, edge.round_trip});
    }
    hops_stale_ = false;
  }
  return hops_;
}

std::vector<Address> EdgeTable::members() const {
  std::vector<Address> out;
  for (const auto& [peer, edge] : edges_) {
    if (!edge.usable()) continue;
    const bool ring = ((edge.ours | edge.theirs) & kRingBits) != 0;
    if (ring || (placed_ && edge.is_member())) out.push_back(peer);
  }
  return out;
}

std::size_t EdgeTable::count_ours(Roles roles) const {
  return std::count_if(edges_.begin(), edges_.end(),
                       [&](const auto& entry) { return (entry.second.ours & roles) != 0; });
}

std::size_t EdgeTable::count_theirs(Roles roles) const {
  return std::count_if(edges_.begin(), edges_.end(),
                       [&](const auto& entry) { return (entry.second.theirs & roles) != 0; });
}

bool EdgeTable::on_ring() const {
  return std::any_of(edges_.begin(), edges_.end(), [](const auto& entry) {
    return entry.second.usable() && entry.second.is_near();
  });
}

}  // namespace wow
