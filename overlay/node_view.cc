// What a node shows of itself: its edges, members worth remembering, whom it knows near a place,
// and whom a newcomer may ask instead. Changes nothing.
#include <algorithm>

#include "nat/check_list.h"
#include "overlay/node_core.h"

namespace wow {

std::vector<EdgeInfo> Node::Impl::edges_info() {
  std::vector<EdgeInfo> out;
  PathStory story;
  story.ours = whereabouts_.candidates();
  story.our_nat = whereabouts_.mapping();
  story.udp_silent_here = sessions_.udp_is_silent();
  for (const auto& [peer, edge] : edges_.all()) {
    const Session* session = sessions_.find(peer);
    if (session == nullptr) continue;
    EdgeInfo info;
    info.peer = peer;
    for (const auto role : kAllRoles) {
      if (((edge.ours | edge.theirs) & role_bit(role)) != 0) info.roles.push_back(role);
    }
    info.path = session->path().path;
    info.round_trip = session->path().round_trip;
    info.loss = session->path().loss;
    info.datagram_max = session->datagram_max();
    info.open_for = clock.now() - edge.opened;
    if (const auto keys = session->keys()) {
      info.bytes_in = keys->bytes_in.load(std::memory_order_relaxed);
      info.bytes_out = keys->bytes_out.load(std::memory_order_relaxed);
    }
    info.stream = session->is_direct() && info.path.is_stream();
    info.direct = session->is_direct() && !info.stream;
    info.relayed = session->is_relayed();
    info.path_for = clock.now() - edge.path_since;
    if (!info.direct) {
      const auto tries = linker_.tries(peer);
      story.path = info.path.kind == PathKind::kDirect ? PathKind::kNone : info.path.kind;
      story.theirs = edge.endpoints;
      story.theirs.insert(story.theirs.end(), edge.met_at.begin(), edge.met_at.end());
      story.their_nat = edge.nat;
      story.rounds = tries.rounds;
      story.checking = tries.checking;
      info.why_not = why_not_better(story);
      info.tries = tries.rounds + (tries.checking ? 1 : 0);
    }
    out.push_back(std::move(info));
  }
  return out;
}

std::vector<Member> Node::Impl::remember() const {
  std::vector<Member> out;
  std::map<Address, Member> known;
  for (const auto& [peer, edge] : edges_.all()) {
    for (const Member& m : edge.members()) known[m.address] = m;
  }
  for (const auto& [peer, edge] : edges_.all()) {
    if (edge.usable()) known[peer] = lists_.described(edge);
  }
  for (auto& [peer, member] : known) {
    member.endpoints =
        usable_candidates(member.endpoints, {options_.virtual_subnet, options_.allow_loopback});
    if (out.size() < ring::kRememberedMax && !member.endpoints.empty()) {
      out.push_back(std::move(member));
    }
  }
  return out;
}

std::vector<Address> Node::Impl::nearest_known(const Address& target, std::size_t count) const {
  auto all = edges_.members();
  all.push_back(self);
  std::sort(all.begin(), all.end(),
            [&](const Address& a, const Address& b) { return nearer(a, b, target); });
  if (all.size() > count) all.resize(count);
  return all;
}

std::vector<Endpoint> Node::Impl::referrals() {
  std::vector<Endpoint> out;
  for (const auto& [peer, edge] : edges_.all()) {
    const Session* session = sessions_.find(peer);
    if (session == nullptr || !edge.usable() || !session->is_direct()) continue;
    const Endpoint& endpoint = session->path().path.endpoint;
    if (endpoint.can_be_dialled()) out.push_back(endpoint);
  }
  for (std::size_t i = 0; i < std::min(out.size(), Sessions::kReferralsMax); ++i) {
    std::swap(out[i], out[i + random.below(out.size() - i)]);
  }
  if (out.size() > Sessions::kReferralsMax) out.resize(Sessions::kReferralsMax);
  return out;
}

}  // namespace wow
