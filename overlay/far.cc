#include "overlay/far.h"

#include <algorithm>
#include <cmath>

#include "overlay/limits.h"

namespace wow {

Address draw_far(const Address& self, double size, Random& random) {
  // d = (1/N) * (N/2)^u: natural logarithm and exponential throughout.
  const double n = std::max(size, 4.0);
  const double d = std::exp(random.unit() * std::log(n / 2)) / n;
  Bytes distance(Address::kBytes);
  random.fill(distance);
  put_big_endian(distance.data(), static_cast<std::uint64_t>(std::ldexp(d, 64)), 8);
  const Address away = Address::from_bytes(distance);
  return random.below(2) == 0 ? self + away : self - away;
}

int far_wanted(double size) {
  if (size <= 2.0 * ring::kNearPerSide + 1) return 0;
  return std::min(static_cast<int>(std::lround(std::log2(size))), ring::kFarMax);
}

void FarEdges::start() {
  if (!tick_.is_set()) tick_.after(hub_.random.jittered(ring::kFarFirst), [this] { tick(); });
}

void FarEdges::on_found(const Member& found) {
  const Edge* edge = hub_.edges.find(found.address);
  if (edge != nullptr && edge->usable() && edge->is_near()) return;
  const int have = static_cast<int>(hub_.edges.count_ours(kFarBit));
  if (have < far_wanted(hub_.size_estimate())) hub_.connect(found, EdgeRole::kFar);
}

bool FarEdges::accepts_one_more() const {
  const int wanted = std::max(far_wanted(hub_.size_estimate()), 2);
  return static_cast<int>(hub_.edges.count_theirs(kFarBit)) < 2 * wanted;
}

void FarEdges::changed() {
  if (!tick_.is_set() || wait_ <= ring::kFarTick) return;
  wait_ = ring::kFarTick;
  tick_.after(hub_.random.jittered(wait_), [this] { tick(); });
}

void FarEdges::tick() {
  const double size = hub_.size_estimate();
  const int wanted = far_wanted(size);
  const int have = static_cast<int>(hub_.edges.count_ours(kFarBit));
  for (int i = have; i < wanted && hub_.edges.on_ring(); ++i) {
    hub_.ask_nearest(draw_far(hub_.self, size, hub_.random), EdgeRole::kFar, {});
  }
  // The ring shrank: one too many goes at a time, by chance, which keeps the distribution.
  if (have > wanted + 2) {
    auto skip = hub_.random.below(have);
    for (auto& [peer, edge] : hub_.edges.all()) {
      if ((edge.ours & kFarBit) == 0 || skip-- > 0) continue;
      hub_.drop_role(edge, EdgeRole::kFar);
      break;
    }
  }
  // In a small ring most draws fall on neighbours: the rarer, the longer nothing changes.
  wait_ = have != had_ ? ring::kFarTick : std::min<Duration>(wait_ * 2, ring::kFarTickMax);
  had_ = have;
  tick_.after(hub_.random.jittered(wait_), [this] { tick(); });
}

}  // namespace wow
