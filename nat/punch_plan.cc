#include "nat/punch_plan.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace wow {
namespace {

constexpr int kPortFirst = 1024;  // RFC 4787, 4.2: NATs stay above
constexpr std::uint32_t kPorts = 65536 - kPortFirst;

// Along the steps of the peer's NAT: 1 is the next mapping that it makes.
std::vector<std::uint16_t> ports_at(const PortReport& peer, const std::vector<int>& distances) {
  std::vector<std::uint16_t> out;
  for (const int distance : distances) {
    const int port = peer.outside.port + distance * peer.step;
    if (port >= kPortFirst && port <= UINT16_MAX) out.push_back(static_cast<std::uint16_t>(port));
  }
  return out;
}

std::vector<int> in_order(int count) {
  std::vector<int> out(static_cast<std::size_t>(count));
  std::iota(out.begin(), out.end(), 1);
  return out;
}

// If both NATs have a port for each destination, each check that we send has another source than
// the one before. Our k-th leaves from our NAT's port a + k, where a counts what was mapped since
// the peer heard, and goes to the peer's g(k); the peer's j-th from b + j to j. They meet where
// j = a + k and g(k) = b + j, that is, where g(k) - k = a + b. With g(k) = 2k - 1 that takes each
// value in turn. The even ones, afterwards, are for a NAT with one port for each address.
std::vector<int> odd_then_even(int count) {
  std::vector<int> out;
  for (int i = 1; i <= count; i += 2) out.push_back(i);
  for (int i = 2; i <= count; i += 2) out.push_back(i);
  return out;
}

}  // namespace

double punch_chance(int sockets, int probes) {
  return 1 - std::pow(1 - static_cast<double>(sockets) / kPorts, probes);
}

std::optional<PunchPlan> PunchPlan::make(const PortReport& own, const PortReport& peer, bool first,
                                         std::uint8_t fresh, const PunchBudget& budget,
                                         Random& random) {
  if (budget.probes <= 0 || !peer.outside.is_set() || peer.outside.is_stream()) return std::nullopt;
  const Duration pace = Duration(1s) / std::max(budget.probes_per_second, 1);
  const auto steps = [](const PortReport& r) { return r.choice == PortChoice::kStepping; };
  const auto kept = [](const PortReport& r) { return r.choice == PortChoice::kKept; };
  Endpoint to{peer.outside.ip, peer.outside.port};
  if (kept(peer) && own.choice == PortChoice::kRandom)
    return PunchPlan(Kind::kSockets, to, std::min(kPunchSockets, budget.probes), pace);
  if (kept(peer) && steps(own)) {
    to.socket = fresh;
    PunchPlan out(Kind::kPorts, to, kRounds, pace);
    out.ports_ = {to.port};
    return out;
  }
  if (steps(peer) && (kept(own) || steps(own))) {
    if (steps(own)) to.socket = fresh;
    PunchPlan out(Kind::kPorts, to, 0, pace);
    out.ports_ = ports_at(peer, kept(own) ? in_order(kWindow)
                                : first   ? odd_then_even(kWindow)
                                          : in_order(kWindow + kWindow / 4));
    out.steps_ = kRounds * static_cast<int>(out.ports_.size());
    return out;
  }
  if (peer.choice == PortChoice::kRandom && kept(own)) {
    PunchPlan out(Kind::kByChance, to, std::min<int>(budget.probes, kPorts), pace);
    out.at_ = static_cast<std::uint32_t>(random.below(kPorts));
    do {
      out.stride_ = 1 + static_cast<std::uint32_t>(random.below(kPorts - 1));
    } while (std::gcd(out.stride_, kPorts) != 1);
    return out;
  }
  return std::nullopt;
}

std::optional<PunchPlan::Step> PunchPlan::next() {
  if (done_ >= steps_) return std::nullopt;
  Step out{to_, done_ == 0 ? Duration::zero() : pace_};
  switch (kind_) {
    case Kind::kPorts: {
      const std::size_t place = static_cast<std::size_t>(done_) % ports_.size();
      if (place == 0 && done_ > 0) out.after = kRoundPause;
      out.to.port = ports_[place];
      break;
    }
    case Kind::kByChance:
      out.to.port = static_cast<std::uint16_t>(kPortFirst + at_);
      at_ = (at_ + stride_) % kPorts;
      break;
    case Kind::kSockets:
      out.to.socket = static_cast<std::uint8_t>(1 + done_);
      break;
  }
  ++done_;
  return out;
}

}  // namespace wow
