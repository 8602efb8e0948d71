#include "overlay/near_set.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "overlay/limits.h"

namespace wow {
namespace {

// The nearest on one side. Asked about whole neighbourhoods after every change of the ring, so
// nothing is sorted but those few.
class Side {
 public:
  explicit Side(std::size_t size) : size_(size) { nearest_.reserve(size + 1); }

  void offer(const Address& distance, const Address& member) {
    if (size_ == 0 || (nearest_.size() == size_ && !(distance < nearest_.back().first))) return;
    auto at = nearest_.end();
    while (at != nearest_.begin() && distance < std::prev(at)->first) --at;
    if (at != nearest_.begin() && std::prev(at)->first == distance) return;  // once is enough
    nearest_.insert(at, {distance, member});
    if (nearest_.size() > size_) nearest_.pop_back();
  }
  std::vector<Address> members() const {
    std::vector<Address> out;
    for (const auto& [distance, member] : nearest_) out.push_back(member);
    return out;
  }

 private:
  std::size_t size_;
  std::vector<std::pair<Address, Address>> nearest_;  // distance, member
};

}  // namespace

std::vector<Address> near_set(const Address& center, const std::vector<Address>& members,
                              std::size_t per_side) {
  Side after(per_side), before(per_side);
  for (const Address& a : members) {
    if (a == center) continue;
    after.offer(clockwise(center, a), a);
    before.offer(clockwise(a, center), a);
  }
  std::vector<Address> out = after.members();
  for (const Address& a : before.members()) {
    if (std::find(out.begin(), out.end(), a) == out.end()) out.push_back(a);
  }
  std::sort(out.begin(), out.end(),
            [&](const Address& a, const Address& b) { return nearer(a, b, center); });
  return out;
}

bool is_among_nearest(const Address& center, const std::vector<Address>& near,
                      const Address& member, std::size_t per_side) {
  const Address after = clockwise(center, member), before = clockwise(member, center);
  std::size_t nearer_after = 0, nearer_before = 0;
  for (const Address& a : near) {
    nearer_after += clockwise(center, a) < after;
    nearer_before += clockwise(a, center) < before;
  }
  return nearer_after < per_side || nearer_before < per_side;
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
