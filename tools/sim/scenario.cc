#include "tools/sim/scenario.h"

#include <algorithm>

namespace wow {

const std::vector<Scenario>& scenarios() {
  static const std::vector<Scenario> all = {
      {"idle", "a settled ring with nothing to do: traffic, memory, time (--minutes)", 1000,
       run_idle},
      {"joins", "--nodes join one by one, into a ring of a fifth as many, 1 % loss", 3000,
       run_joins},
      {"storm", "all nodes start at once, through three bootstraps", 1000, run_storm},
      {"half-dies", "half of the nodes (--part) vanish at once", 1000, run_half_dies,
       grow_half_dies},
      {"churn", "nodes come and go, half-life 10 min; look-ups (--minutes)", 2000, run_churn},
      {"partition", "two halves that cannot reach each other for 5 min (--minutes)", 1000,
       run_partition},
      {"merge", "two rings of --nodes each that grew apart meet", 1000, run_merge},
      {"blocked", "--part of all pairs cannot exchange packets", 1000, run_blocked},
      {"hard-nats", "--part behind NATs with another mapping for each remote endpoint", 1000,
       run_hard_nats},
      {"restart", "pools of 1, 2, 3, 5 stop and start; two founders meet", 5, run_restart},
      {"hops", "how long routes are, by chance-drawn pairs", 1000, run_hops},
      {"broadcast", "one message to all, in a quiet ring and while --part of the nodes die", 256,
       run_broadcast},
      {"failure", "how soon neighbours notice a death, idle and under traffic", 200, run_failure},
      {"pauses", "--part stand still for 30 s, with clocks that run on or stop; all clocks drift",
       200, run_pauses},
      {"false-alarms", "edges taken for dead at 5 % loss (--minutes)", 200, run_false_alarms},
  };
  return all;
}

std::uint64_t world_seed(const Scenario& scenario, std::uint64_t seed) {
  constexpr std::uint64_t kSeedsPerRing = 100;
  return scenario.grow == nullptr ? seed : seed - seed % kSeedsPerRing;
}

const Scenario* find_scenario(std::string_view name) {
  const auto& all = scenarios();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Scenario& s) { return s.name == name; });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace wow
