#include "overlay/ring.h"

#include <algorithm>
#include <set>
#include <utility>

#include "overlay/limits.h"
#include "overlay/near_set.h"

namespace wow {

Ring::Ring(Hub& hub, Lists& lists, std::function<void()> settled)
    : hub_(hub),
      lists_(lists),
      on_settled_(std::move(settled)),
      reconcile_(hub.clock),
      stabilize_(hub.clock) {}

void Ring::stop() {
  reconcile_.cancel();
  stabilize_.cancel();
}

void Ring::changed() {
  const TimePoint soon = hub_.clock.now() + ring::kReconcileDelay;
  if (!reconcile_.is_set() || reconcile_.due() > soon)
    reconcile_.after(ring::kReconcileDelay, [this] { reconcile(); });
}

void Ring::lost(const Edge& edge, bool was_direct) {
  if (was_direct) lost_at_ = hub_.clock.now();
  avoid(edge.peer);
  heard_of(edge.members());
  stabilize_soon();
  changed();
}

void Ring::heard_of(const std::vector<Member>& members) {
  const TimePoint now = hub_.clock.now();
  std::erase_if(hints_, [&](const auto& entry) { return entry.second.until <= now; });
  for (const Member& m : members) {
    if (m.address == hub_.self || hints_.size() >= ring::kHintsMax) continue;
    hints_[m.address] = {m, now + ring::kHintLife};
  }
  changed();
}

void Ring::forget_old() {
  const TimePoint now = hub_.clock.now();
  std::erase_if(hints_, [&](const auto& entry) { return entry.second.until <= now; });
  std::erase_if(avoid_, [&](const auto& a) { return a.second.until + ring::kAvoidMost <= now; });
}

// Longer each time, so that members who are only talked of cost less and less. (What is told while
// it is avoided is of the same failure: its relay, its path, its session.)
void Ring::avoid(const Address& peer) {
  const TimePoint now = hub_.clock.now();
  std::erase_if(avoid_, [&](const auto& a) { return a.second.until + ring::kAvoidMost <= now; });
  if (avoid_.size() >= ring::kAvoidMax && !avoid_.contains(peer)) return;
  Avoided& avoided = avoid_[peer];
  if (avoided.until > now) return;
  const Duration longer = ring::kAvoidFor * (1 << std::min(avoided.times++, 8));
  avoided.until = now + std::min<Duration>(longer, ring::kAvoidMost);
}

double Ring::size() const { return estimate_size(hub_.self, hub_.edges.members()); }

void Ring::reconcile() {
  const auto near = near_set(hub_.self, hub_.edges.members(), ring::kNearPerSide);
  for (const Address& a : near) {
    Edge& edge = *hub_.edges.find(a);
    if ((edge.ours & kNearBit) == 0) hub_.take_role(edge, EdgeRole::kNear);
  }
  connect_missing(near);
  settle(near);
  trim(near);
  set_keepalives(near);
  if (near != last_near_) {
    last_near_ = near;
    lists_.near_changed();
    if (!stabilize_.is_set()) stabilize_soon();
  }
}

// With the first near edge we are on the ring, but may see only one side of it, and the other would
// be answered for by us.
void Ring::settle(const std::vector<Address>& near) {
  if (!hub_.edges.on_ring()) {
    settled_ = false;
    on_ring_since_.reset();
    return;
  }
  if (settled_) return;
  const TimePoint now = hub_.clock.now();
  if (!on_ring_since_) on_ring_since_ = now;
  settled_ = is_counted_on(near) || now - *on_ring_since_ >= ring::kSettleLimit;
  if (settled_) return on_settled_();
  if (!reconcile_.is_set()) reconcile_.after(ring::kPatience, [this] { reconcile(); });
}

bool Ring::is_counted_on(const std::vector<Address>& near) const {
  const auto adjacent = near_set(hub_.self, candidates(near), 1);
  return std::ranges::all_of(adjacent, [&](const Address& a) {
    const Edge* edge = hub_.edges.find(a);
    return edge != nullptr && edge->usable() && (edge->theirs & kNearBit) != 0;
  });
}

// Who may belong into our near set, as far as we have heard. Whoever is further away than the third
// neighbour on each side cannot.
std::vector<Address> Ring::candidates(const std::vector<Address>& near) const {
  const TimePoint now = hub_.clock.now();
  const bool full = near.size() == 2 * ring::kNearPerSide;
  std::vector<Address> out = near;
  std::sort(out.begin(), out.end(), [&](const Address& a, const Address& b) {
    return clockwise(hub_.self, a) < clockwise(hub_.self, b);
  });
  // Of the arc, clockwise.
  const Address first = full ? out[ring::kNearPerSide] : Address();
  const Address last = full ? out[ring::kNearPerSide - 1] : Address();
  const auto consider = [&](const Address& a) {
    if (a == hub_.self) return;
    if (full && !between(a, first, last)) return;
    const auto avoided = avoid_.find(a);
    if (avoided != avoid_.end() && avoided->second.until > now) return;
    // When many die at once, most of whom we have heard are dead: the next are tried meanwhile.
    const auto tried = tried_.find(a);
    const bool waited = tried != tried_.end() && now - tried->second >= ring::kPatience;
    if (waited && !is_linked(a)) return;
    out.push_back(a);
  };
  for (const auto& [peer, hint] : hints_) {
    if (hint.until > now) consider(peer);
  }
  for (const auto& [peer, edge] : hub_.edges.all()) {
    if (!edge.usable()) continue;
    for (const Address& a : edge.knows) consider(a);
  }
  return out;
}

// Whether there is a path to it that can carry routed packets, in a role or in none.
bool Ring::is_linked(const Address& peer) const {
  const Edge* edge = hub_.edges.find(peer);
  return edge != nullptr && (edge->direct || edge->relayed);
}

// With where it can be reached, if anybody said.
Member Ring::known(const Address& peer) const {
  const auto hint = hints_.find(peer);
  if (hint != hints_.end()) return hint->second.member;
  for (const auto& [of, edge] : hub_.edges.all()) {
    if (!edge.usable() || edge.list.empty()) continue;
    if (std::find(edge.knows.begin(), edge.knows.end(), peer) == edge.knows.end()) continue;
    for (Member& m : edge.members()) {
      if (m.address == peer) return std::move(m);
    }
  }
  return {peer, {}};
}

// After a neighbour died: as many as should have shaken hands by now and have not. The more, the
// likelier many have died at once, and most of whom we have heard are dead. (Where a pool starts
// behind NATs many are slow to link and relays come and go: each more takes entries of both NATs.)
std::size_t Ring::tried_more() const {
  const TimePoint now = hub_.clock.now();
  if (!lost_at_ || now - *lost_at_ >= ring::kConnectLimit) return 0;
  const std::size_t unanswered = std::ranges::count_if(tried_, [&](const auto& tried) {
    return hub_.edges.find(tried.first) == nullptr && now - tried.second >= ring::kPatience;
  });
  return std::min(unanswered, ring::kTriedMore);
}

void Ring::connect_missing(const std::vector<Address>& near) {
  const TimePoint now = hub_.clock.now();
  std::erase_if(tried_, [&](const auto& t) { return now - t.second > ring::kConnectLimit; });
  bool waiting = false;
  const std::size_t per_side = ring::kNearPerSide + tried_more();
  for (const Address& a : near_set(hub_.self, candidates(near), per_side)) {
    const Edge* edge = hub_.edges.find(a);
    if (edge != nullptr && edge->usable() && (edge->ours & kNearBit) != 0) continue;
    tried_.try_emplace(a, now);
    waiting = true;
    hub_.connect(known(a), EdgeRole::kNear);
  }
  if (waiting && !reconcile_.is_set()) reconcile_.after(ring::kPatience, [this] { reconcile(); });
}

// Who is not near any more is let go once it knows somebody between us: nobody is forgotten before
// having been introduced (linearization).
void Ring::trim(const std::vector<Address>& near) {
  const bool news = std::exchange(told_extra_, hub_.edges.changes()) != hub_.edges.changes();
  std::size_t extra = 0;
  for (auto& [peer, edge] : hub_.edges.all()) {
    if ((edge.ours & kNearBit) == 0 || !edge.usable()) continue;
    // It may have become a member by this very role, and so not be in `near` yet.
    if (is_among_nearest(hub_.self, near, peer, ring::kNearPerSide)) continue;
    if (!is_introduced(edge) && ++extra <= ring::kNearExtraMax) {
      if (news) lists_.tell(edge, false);
      continue;
    }
    hub_.drop_role(edge, EdgeRole::kNear);
  }
}

// Whether it says that it knows one of our neighbours which is nearer to it than we are, on our
// side.
bool Ring::is_introduced(const Edge& edge) const {
  const bool after = clockwise(hub_.self, edge.peer) < clockwise(edge.peer, hub_.self);
  return std::any_of(edge.knows.begin(), edge.knows.end(), [&](const Address& a) {
    return a != edge.peer &&
           (after ? between(a, hub_.self, edge.peer) : between(a, edge.peer, hub_.self));
  });
}

void Ring::set_keepalives(const std::vector<Address>& near) {
  std::set<Address> adjacent;
  for (const Address& a : near_set(hub_.self, near, 1)) adjacent.insert(a);
  for (auto& [peer, edge] : hub_.edges.all()) {
    Session* session = hub_.sessions.find(peer);
    if (session == nullptr) continue;
    Duration wanted{};
    const bool first = hub_.self > peer;
    if (edge.is_edge()) wanted = first ? ring::kKeepaliveEdge : ring::kKeepaliveEdgeOther;
    if (adjacent.contains(peer)) {
      // Who challenges counts from when the answer came: so much later the other hears it again.
      wanted = first ? ring::kKeepaliveAdjacent
                     : ring::kKeepaliveAdjacentOther + session->path().round_trip;
    }
    const Duration flow = hub_.flow_keepalive();
    if (edge.is_edge() && flow != Duration::zero()) wanted = std::min(wanted, flow);
    if (wanted == edge.keepalive) continue;
    edge.keepalive = wanted;
    hub_.sessions.set_keepalive(*session, wanted);
  }
}

void Ring::stabilize_soon() {
  stabilize_wait_ = ring::kStabilizeFirst;
  stabilize_.after(hub_.random.jittered(Duration(20ms)), [this] { stabilize(); });
}

// Whoever is nearest to us but does not know us learns of us (and we of it).
void Ring::stabilize() {
  const auto members = hub_.edges.members();
  if (!members.empty()) {
    const bool settled = stabilize_wait_ >= ring::kStabilizeMax;
    hub_.ask_nearest(hub_.self, EdgeRole::kNear, members[hub_.random.below(members.size())],
                     settled);
  }
  stabilize_.after(hub_.random.jittered(stabilize_wait_), [this] { stabilize(); });
  stabilize_wait_ = std::min<Duration>(stabilize_wait_ * 2, ring::kStabilizeMax);
}

}  // namespace wow
