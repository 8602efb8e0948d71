#include "overlay/gateway.h"

#include <algorithm>

#include "overlay/limits.h"

namespace wow {

void Gateway::open(const Address& contact) {
  contact_ = contact;
  until_ = clock_.now() + ring::kGatewayFor;
}

void Gateway::note_way_to(const Address& source, const Address& neighbour) {
  if (neighbour.is_zero()) return;  // our own
  ways_[source] = {neighbour, clock_.now() + ring::kIngressLife};
  if (ways_.size() <= ring::kIngressMax) return;
  ways_.erase(std::min_element(ways_.begin(), ways_.end(), [](const auto& a, const auto& b) {
    return a.second.until < b.second.until;
  }));
}

Address Gateway::way_to(const Address& source) const {
  const auto it = ways_.find(source);
  return it == ways_.end() || it->second.until <= clock_.now() ? Address() : it->second.neighbour;
}

void Gateway::forget_old() {
  std::erase_if(ways_, [&](const auto& way) { return way.second.until <= clock_.now(); });
}

}  // namespace wow
