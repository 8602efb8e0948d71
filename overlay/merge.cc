#include "overlay/merge.h"

#include <algorithm>

#include "base/log.h"
#include "nat/check_list.h"
#include "overlay/limits.h"
#include "overlay/node.h"
#include "proto/overlay.pb.h"

namespace wow {
namespace {

constexpr int kRoundsMax = 4;  // of questions, some of which may get no answer
constexpr int kDifferencesWanted = 2;
constexpr std::size_t kGatewaysMax = 3;  // asked for one merge
constexpr std::size_t kContactsMax = 16;

}  // namespace

void Merge::stop() {
  announce_.cancel();
  ask_.cancel();
}

void Merge::on_contact(const Address& peer) {
  expected_.erase(peer);
  Edge* edge = hub_.edges.find(peer);
  if (edge == nullptr || !hub_.edges.on_ring() || held_.size() >= kContactsMax) return;
  // The role makes it carry our questions; a bootstrap has it anyway.
  if ((edge->ours & kLeafBit) == 0) {
    hub_.take_role(*edge, EdgeRole::kLeaf);
    held_[peer] = hub_.clock.now() + ring::kGatewayFor;
  }
  // It takes us for a member of its ring, too, once its neighbours have linked with us.
  hub_.ask_nearest(hub_.self, EdgeRole::kNear, peer);
  ask_both({peer, own_hop(peer), 0, 0, true});
}

void Merge::compare(const std::vector<Address>& leaves) {
  for (std::size_t i = 1; i < leaves.size(); ++i) ask_both({leaves[0], leaves[i], 0, 0, false});
}

void Merge::ask_both(Comparison comparison) {
  if (comparison.first.is_zero() || comparison.second.is_zero()) return;
  Bytes random(Address::kBytes);
  hub_.random.fill(random);
  const Address target = Address::from_bytes(random);
  hub_.locate(target, comparison.first, [this, comparison, target](std::optional<Address> one) {
    hub_.locate(target, comparison.second, [this, comparison, one](std::optional<Address> other) {
      judge(comparison, one, other);
    });
  });
}

void Merge::judge(Comparison comparison, const std::optional<Address>& one,
                  const std::optional<Address>& other) {
  ++comparison.rounds;
  if (one && other && *one == *other) return;  // one ring
  if (one && other) ++comparison.differences;
  if (comparison.differences >= kDifferencesWanted) return found_apart(comparison);
  if (comparison.rounds < kRoundsMax) ask_both(comparison);
}

void Merge::found_apart(const Comparison& comparison) {
  if (comparison.ours) {
    become_gateway(comparison.first);
  } else {
    introduce(comparison.first, comparison.second);
    introduce(comparison.second, comparison.first);
  }
}

void Merge::introduce(const Address& to, const Address& whom) {
  const Edge* edge = hub_.edges.find(whom);
  const Session* session = hub_.sessions.find(whom);
  if (edge == nullptr || session == nullptr) return;
  Member member{whom, edge->endpoints};
  if (session->is_direct() && session->path().path.endpoint.can_be_dialled()) {
    member.endpoints.insert(member.endpoints.begin(), session->path().path.endpoint);
  }
  pb::Link link;
  member.write(*link.mutable_outsider()->mutable_member(), ring::kListEndpointsMax);
  hub_.send_link(to, link);
}

void Merge::on_outsider(const Address& from, const pb::Outsider& message) {
  const auto member = Member::parse(message.member());
  if (!member || member->address == hub_.self) return hub_.metrics.add(Metric::kDropMalformed);
  if (!told_.take(from, hub_.clock.now()) || expected_.size() >= kContactsMax) {
    return hub_.metrics.add(Metric::kDropRateLimited);
  }
  const Session* known = hub_.sessions.find(member->address);
  if (known != nullptr && known->is_direct()) return on_contact(member->address);
  expected_[member->address] = hub_.clock.now() + ring::kConnectLimit;
  auto endpoints = usable_candidates(member->endpoints,
                                     {hub_.options.virtual_subnet, hub_.options.allow_loopback});
  if (endpoints.size() > ring::kDirectDials) endpoints.resize(ring::kDirectDials);
  for (const Endpoint& e : endpoints) {
    hub_.lend(from, member->address, kNamedFlightBytes + ring::kCheckBytes);
    hub_.sessions.dial(member->address, Path::direct(e));
  }
}

void Merge::become_gateway(const Address& contact) {
  const TimePoint now = hub_.clock.now();
  if (now - merged_at_ < ring::kMergeQuiet) return;
  merged_at_ = now;
  log_info("another ring found", {{"contact", contact.short_hex()}});
  handlers_.open_gateway(contact);
  announce_.after(ring::kMergeSettle, [this] { handlers_.announce(); });
}

// All at once would be too much for the gateway.
void Merge::on_gateway(const Address& gateway) {
  const TimePoint now = hub_.clock.now();
  if (now - merged_at_ >= ring::kMergeQuiet) gateways_.clear();
  merged_at_ = now;
  if (gateway == hub_.self || gateways_.size() >= kGatewaysMax) return;
  if (!gateways_.insert(gateway).second) return;
  to_ask_.push_back(gateway);
  const double span = hub_.size_estimate() / ring::kMergeAsksPerSecond;
  const auto wait = std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(hub_.random.unit() * span));
  if (ask_.is_set()) return;
  ask_.after(wait, [this] {
    for (const Address& asked : std::exchange(to_ask_, {})) handlers_.ask_through(asked);
  });
}

// Somebody of our own ring: a neighbour if possible, for it cannot be the contact's.
Address Merge::own_hop(const Address& but) const {
  Address any;
  for (const auto& [peer, edge] : hub_.edges.all()) {
    if (!edge.usable() || peer == but || held_.contains(peer)) continue;
    if (edge.is_near()) return peer;
    if (edge.is_member()) any = peer;
  }
  return any;
}

void Merge::forget_old() {
  const TimePoint now = hub_.clock.now();
  told_.sweep(now);
  std::erase_if(expected_, [&](const auto& e) { return e.second <= now; });
  std::vector<Address> over;
  for (const auto& [peer, until] : held_) {
    if (until <= now) over.push_back(peer);
  }
  for (const Address& peer : over) {
    held_.erase(peer);
    if (Edge* edge = hub_.edges.find(peer)) hub_.drop_role(*edge, EdgeRole::kLeaf);
  }
}

}  // namespace wow
