#include "overlay/whereabouts.h"

#include <algorithm>
#include <utility>

#include "nat/check_list.h"
#include "nat/families.h"
#include "overlay/limits.h"
#include "overlay/node.h"
#include "proto/overlay.pb.h"

namespace wow {
namespace {

constexpr std::size_t kStreamsTold = 3;

// Of each address the first.
void keep_one_per_address(std::vector<Endpoint>& endpoints) {
  std::vector<Endpoint> kept;
  for (const Endpoint& e : endpoints) {
    if (std::ranges::find(kept, e.ip, &Endpoint::ip) == kept.end()) kept.push_back(e);
  }
  endpoints = std::move(kept);
}

}  // namespace

std::vector<Endpoint> Whereabouts::candidates() const {
  const CandidateRules rules{hub_.options.virtual_subnet, hub_.options.allow_loopback};
  std::vector<Endpoint> all = hub_.transport.local_endpoints();
  auto reflexive = votes_.endpoints(all, hub_.clock.now());
  if (mapped_) {
    std::erase(reflexive, *mapped_);
    reflexive.insert(reflexive.begin(), *mapped_);
  }
  // With another port for each peer any of them says as much as all, and each that is told costs
  // whoever checks it an entry of his NAT.
  if (mapping() == NatMapping::kDependent) keep_one_per_address(reflexive);
  const std::vector<Endpoint> streams = this->streams(all, !reflexive.empty());
  std::erase_if(all, [](const Endpoint& e) { return e.is_stream(); });
  // However many addresses a host has, what it looks like from outside must be among the few.
  const std::size_t room = kCandidatesMax - std::min(reflexive.size(), kCandidatesMax);
  all = usable_candidates(interleave_families(all), rules);
  const std::size_t kept = room - std::min(streams.size(), room);
  if (all.size() > kept) all.resize(kept);
  all.insert(all.end(), reflexive.begin(), reflexive.end());
  all.insert(all.end(), streams.begin(), streams.end());
  return usable_candidates(all, rules);
}

// Behind a NAT nobody can open a stream to our own address. To what the NAT makes of the port that
// our streams leave from whoever opens one from there at the same time can (RFC 5382, 4.2), if it
// is the same for everybody.
std::vector<Endpoint> Whereabouts::streams(const std::vector<Endpoint>& own,
                                           bool translated) const {
  const TimePoint now = hub_.clock.now();
  const auto seen = stream_votes_.endpoints(own, now);
  std::vector<Endpoint> out;
  for (const Endpoint& e : own) {
    if (e.is_stream() && !((translated || !seen.empty()) && e.ip.is_private())) out.push_back(e);
  }
  if (stream_votes_.mapping(own, now) != NatMapping::kDependent)
    out.insert(out.end(), seen.begin(), seen.end());
  if (out.size() > kStreamsTold) out.resize(kStreamsTold);
  return out;
}

NatMapping Whereabouts::mapping() const {
  return votes_.mapping(hub_.transport.local_endpoints(), hub_.clock.now());
}

void Whereabouts::on_reflexive(Session& session, const Endpoint& observed) {
  const Path path = session.path().path;
  ReflexiveVotes& votes = observed.is_stream() ? stream_votes_ : votes_;
  if (votes.vote(session.peer(), path.endpoint, observed, hub_.clock.now())) tell_if_changed();
}

void Whereabouts::set_mapped(const std::optional<Endpoint>& endpoint) {
  if (mapped_ == endpoint) return;
  mapped_ = endpoint;
  tell_if_changed();
}

void Whereabouts::tell_if_changed() {
  auto now = candidates();
  const auto before = std::exchange(last_, now);
  // Each peer's own port is no news for the others.
  const bool by_address = mapping() == NatMapping::kDependent;
  const bool same = by_address ? std::ranges::equal(now, before, {}, &Endpoint::ip, &Endpoint::ip)
                               : now == before;
  const NatMapping nat = mapping(), nat_before = std::exchange(last_nat_, nat);
  if (same && nat == nat_before) return;
  for (const auto& [peer, edge] : hub_.edges.all()) {
    if (!edge.direct && handlers_.is_linking(peer)) tell(peer, false);
  }
}

void Whereabouts::on_network_change() {
  votes_.forget_all();
  stream_votes_.forget_all();
  last_.clear();
  moved_ = true;
  moved_at_ = hub_.clock.now();
  announce_wait_ = ring::kAnnounceDelay;
  hub_.sessions.suspect_direct_paths();
  announce_.after(announce_wait_, [this] { announce_move(); });
}

void Whereabouts::on_edge_usable() {
  if (lately_moved()) announce_.after(Duration::zero(), [this] { announce_move(); });
}

bool Whereabouts::lately_moved() const {
  return moved_ && hub_.clock.now() - moved_at_ < ring::kMovedFor;
}

void Whereabouts::announce_move() {
  for (const auto& [peer, edge] : hub_.edges.all()) {
    if (!edge.direct) tell(peer, true);
  }
  if (!lately_moved()) return;
  announce_wait_ *= 2;
  announce_.after(announce_wait_, [this] { announce_move(); });
}

void Whereabouts::forget_old() {
  const TimePoint now = hub_.clock.now();
  rates_.sweep(now);
  std::erase_if(told_, [&](const auto& t) { return now - t.second >= ring::kCandidatesPause; });
}

void Whereabouts::tell(const Address& peer, bool moved, bool answer) {
  pb::Link link;
  pb::Candidates& message = *link.mutable_candidates();
  for (const Endpoint& e : candidates()) message.add_endpoints(to_string(e.bytes()));
  message.set_moved(moved);
  message.set_answer(answer);
  message.set_nat(static_cast<pb::NatPorts>(mapping()));
  const Address via = hub_.own_via();
  if (!via.is_zero()) message.set_via(to_string(via.bytes()));
  told_[peer] = hub_.clock.now();
  hub_.send_link(peer, link);
}

void Whereabouts::on_told(Session& from, const pb::Candidates& message) {
  const Address peer = from.peer();
  if (!rates_.take(peer, hub_.clock.now())) return hub_.metrics.add(Metric::kDropRateLimited);
  std::vector<Endpoint> endpoints;
  for (const auto& bytes : message.endpoints()) {
    const auto endpoint = Endpoint::from_bytes(view_of(bytes));
    if (!endpoint || endpoints.size() >= kCandidatesMax) {
      return hub_.metrics.add(Metric::kDropMalformed);
    }
    endpoints.push_back(*endpoint);
  }
  if (Edge* edge = hub_.edges.find(peer); edge != nullptr && pb::NatPorts_IsValid(message.nat()))
    edge->nat = static_cast<NatMapping>(message.nat());
  if (const auto via = Address::parse(view_of(message.via()))) handlers_.via(peer, *via);
  // A path that was found after the move is no suspect: the peer would not tell us on it.
  if (message.moved()) hub_.sessions.suspect_direct_paths(from);
  handlers_.candidates(peer, endpoints);
  const auto told = told_.find(peer);
  const bool lately =
      told != told_.end() && hub_.clock.now() - told->second < ring::kCandidatesPause;
  if (!message.answer() && !lately && !from.is_direct()) tell(peer, false, true);
}

}  // namespace wow
