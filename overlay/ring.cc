#include "overlay/ring.h"

#include <algorithm>
#include <functional>
#include <set>
#include <string>

#include "nat/check_list.h"
#include "overlay/limits.h"
#include "overlay/near_set.h"
#include "proto/overlay.pb.h"

namespace wow {

Ring::Ring(Hub& hub)
    : hub_(hub),
      reconcile_(hub.clock),
      announce_(hub.clock),
      repeat_(hub.clock),
      periodic_(hub.clock),
      stabilize_(hub.clock) {}

void Ring::start() {
  periodic_.after(hub_.random.jittered(ring::kAnnounceInterval),
                  [this] { announce_periodically(); });
}

void Ring::stop() {
  for (Timer* t : {&reconcile_, &announce_, &repeat_, &periodic_, &stabilize_}) t->cancel();
}

void Ring::changed() {
  const TimePoint soon = hub_.clock.now() + ring::kReconcileDelay;
  if (!reconcile_.is_set() || reconcile_.due() > soon)
    reconcile_.after(ring::kReconcileDelay, [this] { reconcile(); });
}

void Ring::lost(const Edge& edge) {
  avoid(edge.peer);
  heard_of(edge.members);
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

void Ring::on_neighbours(const Address& from, const pb::Neighbours& message) {
  Edge* edge = hub_.edges.find(from);
  if (edge == nullptr || message.members_size() > static_cast<int>(ring::kListMembersMax)) {
    return hub_.metrics.add(Metric::kDropMalformed);
  }
  std::vector<Member> members;
  std::set<Address> listed;
  for (const auto& m : message.members()) {
    auto member = Member::parse(m);
    if (!member) return hub_.metrics.add(Metric::kDropMalformed);
    if (member->address == hub_.self || !listed.insert(member->address).second) continue;
    members.push_back(std::move(*member));
  }
  // A common neighbour that is no longer listed may be dead: data without an answer makes its
  // session look.
  for (const Member& before : edge->members) {
    Edge* common = hub_.edges.find(before.address);
    if (common != nullptr && common->usable() && (common->ours & kNearBit) != 0 &&
        !listed.contains(before.address)) {
      tell(*common, true);
    }
  }
  hub_.edges.set_members(*edge, std::move(members));
  changed();
}

// Longer each time, so that members who are only talked of cost less and less.
void Ring::avoid(const Address& peer) {
  const TimePoint now = hub_.clock.now();
  std::erase_if(avoid_, [&](const auto& a) { return a.second.until + ring::kAvoidMost <= now; });
  if (avoid_.size() >= ring::kAvoidMax && !avoid_.contains(peer)) return;
  Avoided& avoided = avoid_[peer];
  const Duration longer = ring::kAvoidFor * (1 << std::min(avoided.times++, 8));
  avoided.until = now + std::min<Duration>(longer, ring::kAvoidMost);
}

std::vector<Member> Ring::known_near(const Address& target) const {
  // Around the target, for whoever stands there; around us, for whoever routes through us.
  std::vector<Address> all = hub_.edges.members();
  std::erase(all, target);
  std::vector<Address> chosen = near_set(target, all, ring::kNearPerSide);
  for (const Address& a : near_set(hub_.self, all, ring::kNearPerSide)) {
    if (std::find(chosen.begin(), chosen.end(), a) == chosen.end()) chosen.push_back(a);
  }
  // A way back to us when we have moved, and some look-ahead for others.
  for (const auto& [peer, edge] : hub_.edges.all()) {
    const bool useful = edge.usable() && (edge.ours & (kLeafBit | kFarBit)) != 0;
    if (useful && peer != target && chosen.size() < ring::kListMembersMax &&
        std::find(chosen.begin(), chosen.end(), peer) == chosen.end()) {
      chosen.push_back(peer);
    }
  }
  std::vector<Member> out;
  for (const Address& a : chosen) {
    if (out.size() < ring::kListMembersMax) out.push_back(described(*hub_.edges.find(a)));
  }
  return out;
}

Member Ring::described(const Edge& edge) const {
  Member out{edge.peer, {}};
  if (const Session* session = hub_.sessions.find(edge.peer);
      session != nullptr && session->is_direct()) {
    out.endpoints.push_back(session->path().path.endpoint);
  }
  for (const Endpoint& e : edge.endpoints) {
    if (out.endpoints.size() < kCandidatesMax &&
        std::find(out.endpoints.begin(), out.endpoints.end(), e) == out.endpoints.end()) {
      out.endpoints.push_back(e);
    }
  }
  return out;
}

double Ring::size() const { return estimate_size(hub_.self, hub_.edges.members()); }

void Ring::reconcile() {
  const auto near = near_set(hub_.self, hub_.edges.members(), ring::kNearPerSide);
  for (const Address& a : near) {
    Edge& edge = *hub_.edges.find(a);
    if ((edge.ours & kNearBit) == 0) hub_.take_role(edge, EdgeRole::kNear);
  }
  connect_missing();
  trim();
  set_keepalives(near);
  if (near != last_near_) {
    last_near_ = near;
    if (!announce_.is_set()) {
      announce_.after(ring::kAnnounceDelay, [this] { announce(false, false); });
    }
    repeat_.after(ring::kAnnounceRepeat, [this] { announce(false, true); });
    if (!stabilize_.is_set()) stabilize_soon();
  }
}

// Who may belong into our near set, as far as we have heard.
std::map<Address, Member> Ring::candidates() const {
  const TimePoint now = hub_.clock.now();
  std::map<Address, Member> known;
  for (const auto& [peer, hint] : hints_) {
    if (hint.until > now) known[peer] = hint.member;
  }
  for (const auto& [peer, edge] : hub_.edges.all()) {
    if (!edge.usable()) continue;
    for (const Member& m : edge.members) known[m.address] = m;
  }
  for (const auto& [peer, avoided] : avoid_) {
    if (avoided.until > now) known.erase(peer);
  }
  // When many die at once, most of whom we have heard are dead: the next are tried meanwhile.
  for (const auto& [peer, since] : tried_) {
    if (now - since >= ring::kPatience) known.erase(peer);
  }
  for (const Address& a : hub_.edges.members()) known[a] = {a, {}};
  return known;
}

void Ring::connect_missing() {
  const TimePoint now = hub_.clock.now();
  std::erase_if(tried_, [&](const auto& t) { return now - t.second > ring::kConnectLimit; });
  auto known = candidates();
  std::vector<Address> addresses;
  for (const auto& [peer, member] : known) addresses.push_back(peer);
  bool waiting = false;
  for (const Address& a : near_set(hub_.self, addresses, ring::kNearPerSide)) {
    const Edge* edge = hub_.edges.find(a);
    if (edge != nullptr && edge->direct && (edge->ours & kNearBit) != 0) continue;
    tried_.try_emplace(a, now);
    waiting = true;
    hub_.connect(known[a], EdgeRole::kNear);
  }
  if (waiting && !reconcile_.is_set()) reconcile_.after(ring::kPatience, [this] { reconcile(); });
}

void Ring::trim() {
  const auto members = hub_.edges.members();
  for (auto& [peer, edge] : hub_.edges.all()) {
    if ((edge.ours & kNearBit) == 0) continue;
    auto with_it = members;
    with_it.push_back(peer);
    const auto near = near_set(hub_.self, with_it, ring::kNearPerSide);
    if (std::find(near.begin(), near.end(), peer) != near.end()) continue;
    tell(edge, true);
    hub_.drop_role(edge, EdgeRole::kNear);
  }
}

void Ring::set_keepalives(const std::vector<Address>& near) {
  std::set<Address> adjacent;
  for (const Address& a : near_set(hub_.self, near, 1)) adjacent.insert(a);
  for (auto& [peer, edge] : hub_.edges.all()) {
    Duration wanted{};
    if (edge.is_edge()) wanted = ring::kKeepaliveEdge;
    if (adjacent.contains(peer)) {
      wanted = hub_.self > peer ? ring::kKeepaliveAdjacent : ring::kKeepaliveAdjacentOther;
    }
    Session* session = hub_.sessions.find(peer);
    if (wanted == edge.keepalive || session == nullptr) continue;
    edge.keepalive = wanted;
    hub_.sessions.set_keepalive(*session, wanted);
  }
}

void Ring::announce(bool far_too, bool even_unchanged) {
  for (auto& [peer, edge] : hub_.edges.all()) {
    if (edge.is_near() || (far_too && ((edge.ours | edge.theirs) & kFarBit) != 0))
      tell(edge, even_unchanged);
  }
}

// Each gets its own list: those near it by what we know, and those near us.
void Ring::tell(Edge& edge, bool even_unchanged) {
  pb::Link link;
  pb::Neighbours& list = *link.mutable_neighbours();
  for (const Member& m : known_near(edge.peer)) {
    m.write(*list.add_members(), ring::kListEndpointsMax);
  }
  const std::size_t hash = std::hash<std::string>()(list.SerializeAsString());
  if (hash == edge.last_list && !even_unchanged) return;
  edge.last_list = hash;
  hub_.send_link(edge.peer, link);
}

void Ring::announce_periodically() {
  announce(++rounds_ % ring::kAnnounceAllEvery == 0, true);
  periodic_.after(hub_.random.jittered(ring::kAnnounceInterval),
                  [this] { announce_periodically(); });
}

void Ring::stabilize_soon() {
  stabilize_wait_ = ring::kStabilizeFirst;
  stabilize_.after(hub_.random.jittered(Duration(20ms)), [this] { stabilize(); });
}

// Whoever is nearest to us but does not know us learns of us (and we of it).
void Ring::stabilize() {
  const auto members = hub_.edges.members();
  if (!members.empty()) {
    hub_.ask_nearest(hub_.self, EdgeRole::kNear, members[hub_.random.below(members.size())]);
  }
  stabilize_.after(hub_.random.jittered(stabilize_wait_), [this] { stabilize(); });
  stabilize_wait_ = std::min<Duration>(stabilize_wait_ * 2, ring::kStabilizeMax);
}

}  // namespace wow
