#include "tunnel/circuit_table.h"

namespace wow {

std::uint32_t CircuitTable::draw(Random& random) const {
  for (;;) {
    const std::uint32_t id = random.u32();
    if (id != 0 && !legs_.contains(id)) return id;
  }
}

bool CircuitTable::has_room(const Address& peer, bool ends_here) const {
  const auto legs = legs_of_peer_.find(peer);
  if (legs != legs_of_peer_.end() && legs->second >= kLegsPerPeerMax) return false;
  return ends_here ? ends_ < kEndsMax : leg_rate_ > 0 && passed_on() < kPassedOnMax;
}

bool CircuitTable::add_end(std::uint32_t id, const Address& relay, const Address& far_end,
                           TimePoint now) {
  if (id == 0 || legs_.contains(id) || !has_room(relay, true)) return false;
  CircuitLeg& leg = legs_[id];
  leg.peer = relay;
  leg.far_end = far_end;
  leg.last_used = now;
  ++ends_;
  ++legs_of_peer_[relay];
  return true;
}

bool CircuitTable::add_passed_on(std::uint32_t id, const Address& peer, std::uint32_t onward_id,
                                 const Address& onward_peer, TimePoint now) {
  const bool fresh = id != 0 && onward_id != 0 && id != onward_id && !legs_.contains(id) &&
                     !legs_.contains(onward_id);
  // There and back again over one leg would serve nobody but who wants to keep a packet going.
  if (!fresh || peer == onward_peer) return false;
  if (!has_room(peer, false) || !has_room(onward_peer, false)) return false;
  CircuitLeg& in = legs_[id];
  in.peer = peer;
  in.onward = onward_id;
  in.last_used = now;
  CircuitLeg& out = legs_[onward_id];
  out.peer = onward_peer;
  out.onward = id;
  in.rate = out.rate = RateLimit(leg_rate_);
  out.last_used = now;
  ++legs_of_peer_[peer];
  ++legs_of_peer_[onward_peer];
  return true;
}

CircuitLeg* CircuitTable::find(std::uint32_t id) {
  const auto it = legs_.find(id);
  return it == legs_.end() ? nullptr : &it->second;
}

void CircuitTable::erase(std::uint32_t id) {
  const auto it = legs_.find(id);
  if (it == legs_.end()) return;
  const std::uint32_t onward = it->second.onward;
  if (onward == 0) --ends_;
  for (const std::uint32_t leg : {id, onward}) {
    const auto found = legs_.find(leg);
    if (found == legs_.end()) continue;
    const auto legs = legs_of_peer_.find(found->second.peer);
    if (--legs->second == 0) legs_of_peer_.erase(legs);
    legs_.erase(found);
  }
}

void CircuitTable::retire(std::uint32_t id, TimePoint now) {
  CircuitLeg* leg = find(id);
  if (leg == nullptr || leg->is_retired()) return;
  leg->retired_until = now + kLinger;
  if (CircuitLeg* onward = find(leg->onward)) onward->retired_until = leg->retired_until;
}

bool CircuitTable::forget_retired(TimePoint now) {
  const auto retired = those([](const CircuitLeg& leg) { return leg.is_retired(); });
  bool more = false;
  for (const std::uint32_t id : retired) {
    const CircuitLeg* leg = find(id);  // null: the other leg of one before
    if (leg == nullptr) continue;
    const bool over = leg->retired_until <= now;
    if (over) erase(id);
    more |= !over;
  }
  return more;
}

bool CircuitTable::pass(CircuitLeg& leg, TimePoint now) {
  if (!leg.rate.pass(now) || !rate_.pass(now)) return false;
  leg.last_used = now;
  if (CircuitLeg* onward = find(leg.onward)) onward->last_used = now;
  return true;
}

int CircuitTable::load(TimePoint now) const {
  if (leg_rate_ == 0) return 100;
  const double circuits = static_cast<double>(passed_on()) / static_cast<double>(kPassedOnMax);
  return static_cast<int>(100 * std::max(circuits, rate_.used(now)));
}

template <typename Wanted>
std::vector<std::uint32_t> CircuitTable::those(Wanted&& wanted) const {
  std::vector<std::uint32_t> out;
  for (const auto& [id, leg] : legs_) {
    if (wanted(leg)) out.push_back(id);
  }
  return out;
}

std::vector<std::uint32_t> CircuitTable::idle(TimePoint now) const {
  return those([&](const CircuitLeg& leg) { return now - leg.last_used >= kIdle; });
}

std::vector<std::uint32_t> CircuitTable::passed_on_legs() const {
  return those([](const CircuitLeg& leg) { return !leg.ends_here() && !leg.is_retired(); });
}

std::vector<std::uint32_t> CircuitTable::with_peer(const Address& peer) const {
  return those([&](const CircuitLeg& leg) { return leg.peer == peer; });
}

std::vector<std::uint32_t> CircuitTable::ends_with(const Address& far_end) const {
  return those([&](const CircuitLeg& leg) { return leg.ends_here() && leg.far_end == far_end; });
}

}  // namespace wow
