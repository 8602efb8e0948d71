// Scenarios in which one ring is two for a while.
#include <algorithm>

#include "tools/sim/scenario.h"

namespace wow {
namespace {

constexpr double kHalvesWhole = 15, kOneRing = 30;  // seconds

std::vector<SimNode*> members_of(SimRun& run, bool half, const std::vector<bool>& half_of) {
  std::vector<SimNode*> out;
  for (SimNode* m : run.pool.ring()) {
    if (half_of[m->host.id()] == half) out.push_back(m);
  }
  return out;
}

bool both_whole(RingChecker& one, RingChecker& other) { return one.whole() && other.whole(); }

}  // namespace

void run_partition(SimRun& run) {
  run.grow_ring(run.nodes, 2);
  // By chance, but neither half is empty, and each has one of the two bootstraps.
  std::vector<bool> half_of(run.nodes);
  for (std::size_t i = 0; i < run.nodes; ++i) half_of[i] = run.random.below(2) == 0;
  half_of[0] = false;
  if (run.nodes > 1) half_of[1] = true;
  run.world.set_blocked([&](const SimHost& from, const SimHost& to) {
    return half_of[from.id()] != half_of[to.id()];
  });
  RingChecker one(run.pool), other(run.pool);
  one.restrict_to(members_of(run, false, half_of));
  other.restrict_to(members_of(run, true, half_of));
  run.report.at_most("both halves whole after",
                     run.run_until([&] { return both_whole(one, other); }, 2min), kHalvesWhole,
                     "s");
  run.run_for_seconds(run.option_minutes(5) * 60);
  run.report.at_least("both halves whole when it ends", both_whole(one, other) ? 1 : 0, 1);
  run.world.set_blocked(nullptr);
  run.report.at_most("one ring after healing", run.until_whole(10min, "ring-health"), kOneRing,
                     "s");
  run.run_for(20s);
  run.report.at_least("pairs routable 20 s later", run.routable_part(10'000), 0.9999);
}

void run_merge(SimRun& run) {
  const auto side = [](const SimHost& h, std::size_t n) { return h.id() < n ? 0 : 1; };
  run.world.set_blocked([&run, side](const SimHost& from, const SimHost& to) {
    return side(from, run.nodes) != side(to, run.nodes);
  });
  std::vector<Endpoint> bootstraps;
  for (int ring = 0; ring < 2; ++ring) {
    NodeOptions options;
    const auto hosts = run.public_hosts(run.nodes);
    options.bootstraps = {hosts[0]->endpoint()};
    bootstraps.push_back(hosts[0]->endpoint());
    // The first ring's members are not in the second's lists: they are constructed apart.
    run.pool.construct(hosts, 2s, options, 0ns);
  }
  run.run_for(30s);
  RingChecker one(run.pool), other(run.pool);
  std::vector<SimNode*> first, second;
  for (SimNode* m : run.pool.ring()) (side(m->host, run.nodes) == 0 ? first : second).push_back(m);
  one.restrict_to(first);
  other.restrict_to(second);
  run.report.at_most("two rings, each whole after",
                     run.run_until([&] { return both_whole(one, other); }, 1min), 60, "s");
  run.run_for(1min);
  // Somebody starts who knows a member of either.
  run.world.set_blocked(nullptr);
  NodeOptions newcomer;
  newcomer.bootstraps = bootstraps;
  run.pool.add(run.public_host(), newcomer);
  run.report.at_most("one ring, from the first contact on", run.until_whole(10min, "ring-health"),
                     kOneRing, "s");
  run.run_for(20s);
  run.report.at_least("pairs routable 20 s later", run.routable_part(10'000), 0.9999);
}

}  // namespace wow
