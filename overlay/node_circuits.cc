// The inside of Node where circuits are concerned: who is told what, and which peers lack a path.
#include <algorithm>

#include "overlay/near_set.h"
#include "overlay/node_core.h"
#include "proto/overlay.pb.h"

namespace wow {

Relays::Handlers Node::Impl::relays_handlers() {
  return {.lacks_path = [this](const Address& peer) { return lacks_path(peer); },
          .wanted =
              [this](const Address& peer) {
                const Edge* edge = edges_.find(peer);
                return static_cast<Roles>(linker_.wanted(peer) | (edge ? edge->ours : 0));
              },
          .neighbours_of = [this](const Address& peer) { return known_around(peer); }};
}

void Node::Impl::on_circuit(const Address& from, const pb::Circuit& message) {
  switch (message.op()) {
    case pb::Circuit::OP_OPEN:
      if (view_of(message.destination()).size() == Address::kBytes &&
          Address::from_bytes(view_of(message.destination())) == self) {
        return relays_.on_open(from, message);
      }
      return circuit_requests_.on_open(from, message);
    case pb::Circuit::OP_ACCEPT:
      if (!relays_.on_accept(from, message.id())) circuit_requests_.on_accept(from, message.id());
      return;
    case pb::Circuit::OP_CLOSE:
      if (!relays_.on_close(from, message)) circuit_requests_.on_close(from, message);
      return;
    default:
      return metrics.add(Metric::kDropMalformed);
  }
}

// Whether a near neighbour, as far as we can see, has no path that carries routed packets; or
// whoever either end has traffic for.
bool Node::Impl::lacks_path(const Address& peer) const {
  const Edge* edge = edges_.find(peer);
  if (stopped_ || (edge != nullptr && (edge->direct || edge->relayed))) return false;
  const Roles wanted = linker_.wanted(peer);
  const Roles held = edge == nullptr ? Roles{0} : static_cast<Roles>(edge->ours | edge->theirs);
  if (((wanted | held) & kShortcutBit) != 0) return true;
  if ((wanted & kNearBit) == 0 && (edge == nullptr || !edge->is_near())) return false;
  auto all = edges_.members();
  all.push_back(peer);
  const auto near = near_set(self, all, ring::kNearPerSide);
  return std::find(near.begin(), near.end(), peer) != near.end();
}

// No UDP that both ends have: known as soon as the peer has told its candidates.
bool Node::Impl::has_no_common_udp(const Edge& edge) {
  // Not merely silent: on a full machine UDP is, and searches would make that worse.
  if (sessions_.has_only_streams()) return true;
  if (edge.endpoints.empty()) return false;
  PathStory story;
  story.path = PathKind::kRouted;
  story.ours = whereabouts_.candidates();
  story.theirs = edge.endpoints;
  const WhyNot why = why_not_better(story);
  return why == WhyNot::kNoCommonFamily || why == WhyNot::kUntold;
}

// Where a NAT gives each peer another port checks open nothing, or late, and elsewhere they cannot
// even be tried: for traffic a relay is looked for at once, not when they have failed.
void Node::Impl::hurry_relay(const Address& peer) {
  const Edge* edge = edges_.find(peer);
  const Roles held = edge == nullptr ? Roles{0} : static_cast<Roles>(edge->ours | edge->theirs);
  if (((linker_.wanted(peer) | held) & kShortcutBit) == 0) return;
  const NatMapping theirs = edge == nullptr ? relays_.told_nat(peer) : edge->nat;
  if (theirs == NatMapping::kDependent || own_nat() == NatMapping::kDependent ||
      (edge != nullptr && has_no_common_udp(*edge))) {
    relays_.want(peer);
  }
}

void Node::Impl::want_shortcut(const Address& peer, ByteView word) {
  if (stopped_) return;
  shortcuts_.want(peer, word);
  hurry_relay(peer);
}

void Node::Impl::on_introduced(const Ctm& ctm) {
  const Address& peer = ctm.source.address;
  Edge* edge = edges_.find(peer);
  if (edge != nullptr && ctm.nat != NatMapping::kUnknown) edge->nat = ctm.nat;
  if (ctm.role == EdgeRole::kNear) return;  // its list is of members near us
  relays_.on_told(peer, ctm.nat, ctm.neighbours);
  hurry_relay(peer);
}

// Quickest first; whoever reads it may look for a relay among them.
std::vector<Member> Node::Impl::direct_peers() const {
  std::vector<Member> out;
  for (const auto& [peer, edge] : edges_.all()) {
    if (edge.direct && edge.is_member() && edge.round_trip > Duration::zero())
      out.push_back({peer, {}, edge.round_trip});
  }
  std::ranges::stable_sort(out, {}, &Member::round_trip);
  if (out.size() > ring::kListDescribedMax) out.resize(ring::kListDescribedMax);
  return out;
}

// Members that we have heard of, the nearest to `peer` first.
std::vector<Member> Node::Impl::known_around(const Address& peer) const {
  std::map<Address, Member> known;  // by distance
  for (const auto& [of, edge] : edges_.all()) {
    for (Member& m : edge.members()) {
      const Address away = std::min(clockwise(peer, m.address), clockwise(m.address, peer));
      known.emplace(away, std::move(m));
    }
  }
  std::vector<Member> out;
  for (auto& [away, member] : known) out.push_back(std::move(member));
  return out;
}

}  // namespace wow
