#include "nat/port_choice.h"

#include <algorithm>
#include <cstdlib>

namespace wow {

PortReport port_report(std::span<const Endpoint> seen) {
  constexpr std::size_t kSamplesMin = 3;
  if (seen.size() < kSamplesMin) return {};
  PortReport out{PortChoice::kStepping, seen.back(), 0};
  for (std::size_t i = 1; i < seen.size(); ++i) {
    // Several outside addresses (a carrier's pool of them): no telling which is next.
    if (seen[i].ip != seen[i - 1].ip) return {};
    const int step = seen[i].port - seen[i - 1].port;
    const bool turned = out.step != 0 && (step > 0) != (out.step > 0);
    if (step == 0 || std::abs(step) > kPortStepMax || turned)
      return {PortChoice::kRandom, seen.back(), 0};
    if (out.step == 0 || std::abs(step) < std::abs(out.step)) out.step = step;
  }
  return out;
}

}  // namespace wow
