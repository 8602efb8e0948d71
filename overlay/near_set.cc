#include "overlay/near_set.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "overlay/limits.h"

namespace wow {

std::vector<Address> near_set(const Address& center, const std::vector<Address>& members,
                              std::size_t per_side) {
  std::vector<Address> sorted;
  for (const Address& a : members) {
    if (a != center) sorted.push_back(a);
  }
  std::sort(sorted.begin(), sorted.end(), [&](const Address& a, const Address& b) {
    return clockwise(center, a) < clockwise(center, b);
  });
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  if (sorted.size() > 2 * per_side)
    sorted.erase(sorted.begin() + per_side, sorted.end() - per_side);
  std::sort(sorted.begin(), sorted.end(),
            [&](const Address& a, const Address& b) { return nearer(a, b, center); });
  return sorted;
}

double estimate_size(const Address& self, const std::vector<Address>& members) {
  const std::set<Address> distinct(members.begin(), members.end());
  const double known = static_cast<double>(distinct.size()) + 1;
  if (distinct.size() < 2 * ring::kNearPerSide) return known;
  std::vector<Address> clock(distinct.begin(), distinct.end());
  std::sort(clock.begin(), clock.end(), [&](const Address& a, const Address& b) {
    return clockwise(self, a) < clockwise(self, b);
  });
  const Address arc =
      clockwise(clock[clock.size() - ring::kNearPerSide], clock[ring::kNearPerSide - 1]);
  // So many gaps lie on this part of the circle.
  const double gaps = 2.0 * ring::kNearPerSide;
  return std::max(known, gaps * std::exp2(160.0 - log2_of(arc)));
}

}  // namespace wow
