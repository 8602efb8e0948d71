#include "tools/sim/ring_checker.h"

#include <algorithm>
#include <tuple>

namespace wow {

const std::vector<SimNode*>& RingChecker::ring() {
  if (version_ != pool_.version()) {
    version_ = pool_.version();
    lacking_.clear();
    std::erase_if(only_, [](const SimNode* m) { return !m->node; });
  }
  return only_.empty() ? pool_.ring() : only_;
}

void RingChecker::restrict_to(std::vector<SimNode*> members) {
  std::sort(members.begin(), members.end(),
            [](auto* a, auto* b) { return a->address() < b->address(); });
  only_ = std::move(members);
  lacking_.clear();
}

bool RingChecker::healthy(const std::vector<SimNode*>& ring, std::size_t i) const {
  const Node& node = *ring[i]->node;
  if (!node.joined()) return false;
  for (std::size_t step = 1; step <= per_side_ && step < ring.size(); ++step) {
    for (const std::size_t j : {i + step, i + ring.size() - step}) {
      if (!node.is_neighbour(ring[j % ring.size()]->address())) return false;
    }
  }
  return true;
}

bool RingChecker::whole() {
  const auto& ring = this->ring();
  while (!lacking_.empty()) {
    if (!healthy(ring, lacking_.back())) return false;
    lacking_.pop_back();
  }
  for (std::size_t i = 0; i < ring.size(); ++i) {
    if (!healthy(ring, i)) lacking_.push_back(i);
  }
  return lacking_.empty();
}

double RingChecker::health() {
  const auto& ring = this->ring();
  std::size_t good = 0;
  for (std::size_t i = 0; i < ring.size(); ++i) good += healthy(ring, i) ? 1 : 0;
  return ring.empty() ? 1 : static_cast<double>(good) / static_cast<double>(ring.size());
}

Walk walk(SimPool& pool, const SimNode& from, const Address& to, RouteMode mode) {
  RoutedHeader header;
  header.mode = mode;
  header.payload = RoutedPayload::kCtm;  // may use an edge to the destination itself
  header.destination = to;
  header.source = from.address();
  Walk out;
  const SimNode* here = &from;
  Address came_from;
  std::vector<std::tuple<const SimNode*, Address, bool>> states;
  for (;;) {
    out.last = here->address();
    const std::tuple state(here, came_from, header.uphill);
    if (std::find(states.begin(), states.end(), state) != states.end()) out.looped = true;
    if (out.looped || out.hops > RoutedHeader::kHopLimit) return out;
    states.push_back(state);
    const Route route = here->node->route_of(header, came_from);
    if (route.kind != Route::Kind::kForward) {
      out.arrived = route.kind == Route::Kind::kDeliver;
      return out;
    }
    const SimNode* next = pool.find(route.next);
    if (!next) return out;
    header.uphill = header.uphill || route.uphill;
    out.latency += pool.world().link(here->host, next->host).latency;
    came_from = here->address();
    here = next;
    ++out.hops;
  }
}

}  // namespace wow
