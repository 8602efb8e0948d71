// A grown ring in little time.
#include <algorithm>
#include <cmath>

#include "overlay/far.h"
#include "tools/sim/ring_checker.h"
#include "tools/sim/sim_pool.h"

namespace wow {
namespace {

constexpr std::size_t kPerSide = 3;

Member described(const SimNode& member) { return {member.address(), {member.host.endpoint()}}; }

}  // namespace

// The nearest on either side, and three further away at harmonic distances, over which the first
// packets find their way.
void SimPool::remember_neighbours(std::vector<SimNode*> ring) {
  std::sort(ring.begin(), ring.end(), [](auto* a, auto* b) { return a->address() < b->address(); });
  const std::size_t n = ring.size();
  const int far = n <= 2 * kPerSide + 1 ? 0 : 3;
  for (std::size_t i = 0; i < n; ++i) {
    auto& remembered = ring[i]->options.remembered;
    for (std::size_t step = 1; step <= kPerSide && step < n; ++step) {
      remembered.push_back(described(*ring[(i + step) % n]));
      remembered.push_back(described(*ring[(i + n - step) % n]));
    }
    for (int k = 0; k < far; ++k) {
      const Address target = draw_far(ring[i]->address(), static_cast<double>(n), random_);
      const auto at =
          std::lower_bound(ring.begin(), ring.end(), target,
                           [](SimNode* m, const Address& t) { return m->address() < t; });
      remembered.push_back(described(**(at == ring.end() ? ring.begin() : at)));
    }
  }
}

bool SimPool::construct(std::span<SimHost* const> hosts, Duration spread,
                        const NodeOptions& options, Duration limit) {
  std::vector<SimNode*> added;
  for (SimHost* host : hosts) added.push_back(&add_stopped(*host, options));
  remember_neighbours(added);
  const Duration step = spread / std::max<std::size_t>(1, added.size());
  for (SimNode* member : added) {
    start(*member);
    member->options.remembered = {};  // the node has its own
    world_.run_for(step);
    if (progress_) progress_();
  }
  RingChecker checker(*this, kPerSide);
  const auto is_whole = [&] {
    if (progress_) progress_();
    return checker.whole();
  };
  return world_.run_until(is_whole, limit, 100ms);
}

}  // namespace wow
