#include "overlay/far.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "overlay/limits.h"
#include "overlay/near_set.h"

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
  // Four where log2 N is, and two for each factor of eight. Look-ahead over all edges of each peer
  // makes up for what log2 N would be more of (docs/ring.md), up to some 10,000 nodes: from there
  // on as many more as log2 N would have.
  const double bits = std::log2(size);
  const double wanted = std::max((2 * bits + 4) / 3, bits - 3);
  return std::min(static_cast<int>(std::lround(wanted)), ring::kFarMax);
}

void FarEdges::start() {
  if (tick_.is_set()) return;
  tick_.after(hub_.random.jittered(ring::kFarFirst), [this] { tick(); });
  trial_tick_.after(hub_.random.jittered(ring::kFarTrialFirst), [this] { trial_tick(); });
}

void FarEdges::stop() {
  tick_.cancel();
  trial_tick_.cancel();
}

void FarEdges::on_found(const Member& found) {
  // Measured first.
  if (trial_ && trial_->candidate == found.address) return hub_.connect(found, EdgeRole::kNone);
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

void FarEdges::trial_tick() {
  if (trial_) judge(*std::exchange(trial_, std::nullopt));
  Duration wait = begin_trial() ? ring::kFarTrialTick : ring::kFarTrialTickMax;
  // Each takes an entry of such a NAT, for minutes.
  if (hub_.own_nat() == NatMapping::kDependent) wait = std::max(wait, ring::kFarTrialTickSlow);
  trial_tick_.after(hub_.random.jittered(wait), [this] { trial_tick(); });
}

void FarEdges::judge(const Trial& trial) {
  Edge* candidate = hub_.edges.find(trial.candidate);
  if (candidate == nullptr) return;
  if (const Session* session = hub_.sessions.find(trial.candidate)) {
    hub_.edges.set_round_trip(*candidate, *session);
  }
  Edge* old = hub_.edges.find(trial.instead_of);
  const bool wanted = old != nullptr && (old->ours & kFarBit) != 0 && candidate->direct &&
                      (candidate->ours & kFarBit) == 0 && candidate->round_trip > 0s &&
                      candidate->round_trip < old->round_trip * 7 / 8;
  if (wanted) {
    candidate->far_trials = old->far_trials;
    hub_.take_role(*candidate, EdgeRole::kFar);
    hub_.drop_role(*old, EdgeRole::kFar);
  } else if (!candidate->is_edge() && candidate->opened >= trial.begun) {
    hub_.sessions.close(trial.candidate, CloseReason::kIdle);
  }
}

// The slowest far edge first; false if there is nothing worth trying.
bool FarEdges::begin_trial() {
  Edge* edge = slowest();
  if (edge == nullptr) return false;
  ++edge->far_trials;
  const Address candidate = candidate_beside(*edge);
  if (candidate.is_zero()) return true;
  trial_ = Trial{candidate, edge->peer, hub_.clock.now()};
  // Only who has room for one more far edge answers.
  if (hub_.edges.find(candidate) == nullptr) hub_.ask_nearest(candidate, EdgeRole::kFar, {});
  return true;
}

Edge* FarEdges::slowest() {
  Edge* out = nullptr;
  Duration quickest = Duration::max();
  for (auto& [peer, edge] : hub_.edges.all()) {
    if (!edge.usable() || edge.round_trip <= 0s) continue;
    quickest = std::min(quickest, edge.round_trip);
    const bool may_try = (edge.ours & kFarBit) != 0 && edge.far_trials < ring::kFarTrials;
    if (may_try && (out == nullptr || edge.round_trip > out->round_trip)) out = &edge;
  }
  // Where all are alike there is nothing to be gained.
  const bool slow =
      out != nullptr && out->round_trip > std::max<Duration>(ring::kFarQuick, quickest * 5 / 4);
  return slow ? out : nullptr;
}

// One of its peer's neighbours, the nearest first: at the same distance from us, so to speak.
Address FarEdges::candidate_beside(const Edge& edge) const {
  auto beside = near_set(edge.peer, edge.knows, ring::kNearPerSide);
  std::erase_if(beside, [&](const Address& a) {
    const Edge* known = hub_.edges.find(a);
    return a == hub_.self ||
           (known != nullptr && (known->is_near() || (known->ours & kFarBit) != 0));
  });
  if (beside.empty()) return {};
  return beside[(edge.far_trials - 1) % beside.size()];
}

}  // namespace wow
