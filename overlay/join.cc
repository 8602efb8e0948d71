#include "overlay/join.h"

#include <algorithm>

#include "nat/check_list.h"
#include "overlay/limits.h"
#include "overlay/node.h"

namespace wow {

Join::Join(Hub& hub, Handlers handlers)
    : hub_(hub),
      handlers_(std::move(handlers)),
      tick_(hub.clock),
      lonely_(hub.clock),
      compare_(hub.clock),
      streams_(hub.clock) {}

void Join::start() {
  for (const Endpoint& e : hub_.options.bootstraps) starts_.push_back({{}, {e}, true});
  for (const Member& m : hub_.options.remembered) {
    if (starts_.size() >= hub_.options.bootstraps.size() + ring::kRememberedMax) break;
    const auto endpoints =
        usable_candidates(m.endpoints, {hub_.options.virtual_subnet, hub_.options.allow_loopback});
    if (m.address != hub_.self && !endpoints.empty()) {
      starts_.push_back({m.address, endpoints, false});
    }
  }
  // Nobody's first bootstrap is everybody's.
  for (std::size_t i = starts_.size(); i > 1; --i) {
    std::swap(starts_[i - 1], starts_[hub_.random.below(i)]);
  }
  started_ = true;
  lonely_since_ = hub_.clock.now();
  wait_ = ring::kDialFirst;
  watch_loneliness();
  tick();
}

void Join::stop() {
  started_ = false;
  tick_.cancel();
  lonely_.cancel();
  compare_.cancel();
  streams_.cancel();
}

void Join::on_open(Session& session) {
  const auto paths = session.paths();
  bool outside = outsiders_.erase(session.peer()) > 0;
  if (outside) std::erase_if(lost_, [&](const Member& m) { return m.address == session.peer(); });
  for (Start& start : starts_) {
    const bool meant = std::any_of(paths.begin(), paths.end(), [&](const PathState& p) {
      if (!p.path.is_direct()) return false;
      const auto ends = p.path.is_stream() ? streams_to(start.endpoints) : start.endpoints;
      return std::find(ends.begin(), ends.end(), p.path.endpoint) != ends.end();
    });
    if (!meant && start.address != session.peer()) continue;
    outside = outside || (hub_.edges.on_ring() && start.address != session.peer());
    if (start.address.is_zero()) start.address = session.peer();
    if (Edge* edge = hub_.edges.find(session.peer())) {
      edge->met_at = start.endpoints;
      hub_.take_role(*edge, EdgeRole::kLeaf);
    }
  }
  if (outside) handlers_.met_outsider(session.peer());
  handlers_.state_changed();
}

void Join::on_edge_usable(const Edge& edge) {
  if ((edge.ours & kLeafBit) == 0) return;
  ask(edge.peer);
  if (hub_.edges.on_ring()) return;
  wait_ = ring::kAskLeafAgain;
  tick_.after(wait_, [this] { tick(); });
}

// Anybody can be named to us: only few, and while we have nobody.
void Join::on_referred(const Path& path, const std::vector<Endpoint>& endpoints) {
  if (!started_ || hub_.edges.on_ring()) return;
  const auto referrals = std::count_if(starts_.begin(), starts_.end(),
                                       [](const Start& start) { return start.is_referral; });
  if (has_leaf() || referrals >= static_cast<int>(ring::kReferralsMax)) return;
  std::size_t taken = 0;
  for (const Endpoint& e :
       usable_candidates(endpoints, {hub_.options.virtual_subnet, hub_.options.allow_loopback})) {
    if (is_start(e) || e == path.endpoint || ++taken > ring::kReferralsTaken) continue;
    starts_.push_back({{}, {e}, false, true});
    dial(Start(starts_.back()));
  }
}

bool Join::is_start(const Endpoint& endpoint) const {
  return std::any_of(starts_.begin(), starts_.end(), [&](const Start& start) {
    return std::ranges::find(start.endpoints, endpoint) != start.endpoints.end();
  });
}

bool Join::knows(const Address& peer, const Endpoint& endpoint) const {
  const auto is_at = [&](const auto& member) {
    const auto streams = endpoint.is_stream() ? streams_to(member.endpoints) : member.endpoints;
    return std::ranges::find(streams, endpoint) != streams.end();
  };
  // To whoever is there bootstraps are dialled, and those whom busy ones name: they pay for it.
  if (peer.is_zero()) {
    return std::ranges::any_of(starts_, [&](const Start& s) { return s.is_bootstrap && is_at(s); });
  }
  const auto is_meant = [&](const auto& member) { return member.address == peer && is_at(member); };
  return std::ranges::any_of(starts_, is_meant) || std::ranges::any_of(lost_, is_meant);
}

void Join::set_named(const std::vector<Endpoint>& endpoints) {
  if (!started_) return;
  std::erase_if(starts_, [&](const Start& start) {
    return start.is_named &&
           std::ranges::find(endpoints, start.endpoints.front()) == endpoints.end();
  });
  bool is_news = false;
  std::size_t taken = 0;
  for (const Endpoint& e : endpoints) {
    const CandidateRules rules{hub_.options.virtual_subnet, hub_.options.allow_loopback};
    if (is_start(e) || usable_candidates({e}, rules).empty()) continue;
    if (++taken > ring::kNamedMax) break;
    starts_.push_back({{}, {e}, true, false, true});
    is_news = true;
  }
  if (is_news && !hub_.edges.on_ring()) hurry();
}

void Join::on_heard(const Member& member) {
  if (!started_) return;
  const auto known = std::ranges::find(starts_, member.address, &Start::address);
  if (known != starts_.end() && connected(*known)) return;
  const auto endpoints = usable_candidates(
      member.endpoints, {hub_.options.virtual_subnet, hub_.options.allow_loopback});
  if (endpoints.empty()) return;
  const auto referrals = std::ranges::count_if(starts_, &Start::is_referral);
  if (known == starts_.end() && referrals >= static_cast<int>(ring::kReferralsMax)) return;
  Start start{member.address, endpoints, false, true};
  if (start.endpoints.size() > ring::kDirectDials) start.endpoints.resize(ring::kDirectDials);
  if (known == starts_.end()) starts_.push_back(start);
  dial(start);
}

void Join::on_closed() {
  if (!started_) return;
  if (hub_.edges.all().empty()) {
    lonely_since_ = hub_.clock.now();
    watch_loneliness();
  }
  if (!hub_.edges.on_ring()) hurry();
  handlers_.state_changed();
}

void Join::hurry() {
  if (!started_) return;
  wait_ = ring::kDialFirst;
  tick_.after(Duration::zero(), [this] { tick(); });
}

bool Join::alone() const {
  if (!started_ || !hub_.edges.all().empty()) return false;
  return expects_nobody() || hub_.clock.now() - lonely_since_ >= ring::kAloneAfter;
}

bool Join::expects_nobody() const { return starts_.empty() && !hub_.options.expects_more; }

void Join::watch_loneliness() {
  lonely_.after(expects_nobody() ? Duration::zero() : ring::kAloneAfter,
                [this] { handlers_.state_changed(); });
}

void Join::tick() {
  Duration longest = ring::kDialMax;
  if (!hub_.edges.on_ring()) {
    std::size_t dials = 0;
    for (const Start& start : starts_) {
      if (connected(start)) {
        ask(start.address);
        longest = ring::kAskLeafMax;
      } else if (dials < ring::kDialsMax) {
        dial(start);
        ++dials;
      }
    }
    for (const Member& m : lost_) {
      if (dials++ < ring::kDialsMax) dial(m);
    }
    if (hub_.options.streams && dials > 0)
      streams_.after(kTcpHeadStart, [this] { dial_streams(Carrier::kTcp); });
  } else {
    trim_leaves();
    if (hub_.clock.now() >= next_outsider_) dial_outsider();
  }
  tick_.after(hub_.random.jittered(wait_), [this] { tick(); });
  wait_ = std::min<Duration>(wait_ * 2, longest);
}

bool Join::has_leaf() const {
  return std::any_of(starts_.begin(), starts_.end(),
                     [this](const Start& start) { return connected(start); });
}

void Join::dial_streams(Carrier carrier) {
  if (hub_.edges.on_ring() || has_leaf()) return;
  const auto own = hub_.transport.local_endpoints();
  std::size_t dialled = 0;
  // The next ones have their turn with the next tick.
  if (carrier == Carrier::kTcp && starts_.size() > ring::kStreamStarts)
    std::rotate(starts_.begin(), starts_.begin() + ring::kStreamStarts, starts_.end());
  for (const Start& start : starts_) {
    const bool ours = std::any_of(own.begin(), own.end(), [&](const Endpoint& o) {
      return std::find(start.endpoints.begin(), start.endpoints.end(), o) != start.endpoints.end();
    });
    if (ours) continue;
    bool any = false;
    for (const Endpoint& e : streams_to(start.endpoints)) {
      if (e.carrier != carrier) continue;
      // Whom a busy bootstrap named, whoever that is: it pays.
      const bool named = start.is_referral && start.address.is_zero();
      if (named && !hub_.pays({}, e, ring::kStreamCheckBytes)) continue;
      any = true;
      hub_.sessions.dial(start.is_bootstrap ? Address() : start.address, Path::direct(e));
    }
    if (any && ++dialled >= ring::kStreamStarts) break;
  }
  if (carrier == Carrier::kTcp)
    streams_.after(kTlsHeadStart - kTcpHeadStart, [this] { dial_streams(Carrier::kTls); });
}

bool Join::connected(const Start& start) const {
  const Edge* edge = hub_.edges.find(start.address);
  return edge != nullptr && edge->direct;
}

void Join::dial(const Start& start) {
  dial(Member{start.is_bootstrap ? Address() : start.address, start.endpoints});
}

void Join::dial(const Member& member) {
  const auto own = hub_.transport.local_endpoints();
  for (const Endpoint& e : member.endpoints) {
    if (e.is_stream() || std::find(own.begin(), own.end(), e) != own.end()) continue;
    hub_.sessions.dial(member.address, Path::direct(e));
  }
}

// Rings that grew apart, or were founded apart, meet when one member of one dials one of the other.
void Join::dial_outsider() {
  const Duration pause = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(
      to_seconds(ring::kOutsiderDialMin) * std::max(1.0, hub_.size_estimate() / 50)));
  next_outsider_ = hub_.clock.now() + std::min<Duration>(pause, ring::kOutsiderDialMax);
  std::vector<const Start*> outside;
  for (const Start& start : starts_) {
    if (!connected(start)) outside.push_back(&start);
  }
  if (outside.empty() && lost_.empty()) return;
  const std::size_t drawn = hub_.random.below(outside.size() + lost_.size());
  if (drawn >= outside.size()) return dial_if_outside(lost_[drawn - outside.size()]);
  const Start& start = *outside[drawn];
  if (start.address.is_zero()) return dial(start);
  dial_if_outside(Member{start.address, start.endpoints});
}

// To ask the ring costs a third of a key exchange; whom it leads to is on it.
void Join::dial_if_outside(const Member& member) {
  hub_.locate(member.address, {}, [this, member](const std::optional<Address>& nearest) {
    if (nearest == member.address) return;
    outsiders_.insert(member.address);
    dial(member);
  });
}

void Join::remember(Member lost) {
  lost.endpoints =
      usable_candidates(lost.endpoints, {hub_.options.virtual_subnet, hub_.options.allow_loopback});
  if (lost.endpoints.empty() || lost.address.is_zero()) return;
  if (lost.endpoints.size() > ring::kListEndpointsMax)
    lost.endpoints.resize(ring::kListEndpointsMax);
  std::erase_if(lost_, [&](const Member& m) { return m.address == lost.address; });
  lost_.push_back(std::move(lost));
  if (lost_.size() > ring::kOutsidersMax) lost_.erase(lost_.begin());
}

// Two bootstraps may stand on two rings: who came through both is the first to notice.
void Join::on_joined() {
  compare_.after(ring::kAloneAfter, [this] { compare_leaves(); });
}

void Join::compare_leaves() {
  std::vector<Address> leaves;
  for (const Start& start : starts_) {
    const Edge* edge = hub_.edges.find(start.address);
    if (edge != nullptr && edge->usable() && (edge->ours & kLeafBit) != 0 &&
        std::find(leaves.begin(), leaves.end(), start.address) == leaves.end()) {
      leaves.push_back(start.address);
    }
  }
  handlers_.joined_through(leaves);
}

void Join::ask(const Address& leaf) {
  const Edge* edge = hub_.edges.find(leaf);
  if (edge != nullptr && edge->usable()) hub_.ask_nearest(hub_.self, EdgeRole::kNear, leaf);
}

// On the ring, a few bootstraps are kept: public nodes, to which a way is found at once after a
// move. The others have done their service.
void Join::trim_leaves() {
  for (const Start& start : starts_) {
    Edge* edge = start.is_referral ? hub_.edges.find(start.address) : nullptr;
    if (edge != nullptr && (edge->ours & kLeafBit) != 0) hub_.drop_role(*edge, EdgeRole::kLeaf);
  }
  std::erase_if(starts_, [](const Start& start) { return start.is_referral; });
  std::size_t kept = 0;
  for (const Start& start : starts_) {
    Edge* edge = hub_.edges.find(start.address);
    if (edge == nullptr || (edge->ours & kLeafBit) == 0) continue;
    const bool keep = start.is_bootstrap && kept < ring::kLeavesKept;
    if (keep) {
      ++kept;
    } else {
      hub_.drop_role(*edge, EdgeRole::kLeaf);
    }
  }
}

}  // namespace wow
