// The scenarios of `wow sim`. Each is a function that runs a world through something and reports
// figures; the ones of a family share a file.
#pragma once

#include <vector>

#include "tools/sim/sim_run.h"

namespace wow {

struct Scenario {
  const char* name;
  const char* about;
  std::size_t nodes;  // unless told
  void (*run)(SimRun&);
  // What goes before `run`, if a hundred seeds in a row are to have it in common because it costs
  // most: the ring. What is drawn from then on each draws for itself (SimRun::draw_anew).
  void (*grow)(SimRun&) = nullptr;
};

// The seed of the world that a run with this seed takes place in.
std::uint64_t world_seed(const Scenario& scenario, std::uint64_t seed);

const std::vector<Scenario>& scenarios();
const Scenario* find_scenario(std::string_view name);

// scenario_quiet.cc
void run_idle(SimRun&);
void run_hops(SimRun&);
// scenario_join.cc
void run_joins(SimRun&);
void run_storm(SimRun&);
void run_restart(SimRun&);
// scenario_death.cc
void grow_half_dies(SimRun&);
void run_half_dies(SimRun&);
void run_failure(SimRun&);
void run_pauses(SimRun&);
void run_false_alarms(SimRun&);
void run_churn(SimRun&);
// scenario_split.cc
void run_partition(SimRun&);
void run_merge(SimRun&);
// scenario_broadcast.cc
void run_broadcast(SimRun&);
// scenario_walls.cc
void run_blocked(SimRun&);
void run_hard_nats(SimRun&);

}  // namespace wow
