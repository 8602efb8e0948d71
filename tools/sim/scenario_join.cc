// Scenarios in which nodes start.
#include <algorithm>
#include <string>

#include "tools/sim/scenario.h"

namespace wow {
namespace {

constexpr std::size_t kBootstraps = 3;

// Everybody routes to it, as far as a few by chance can tell, by the tables as they are.
bool reached_by_all(SimRun& run, const SimNode& newcomer) {
  if (!newcomer.node->joined()) return false;
  constexpr int kAsked = 24;
  for (int i = 0; i < kAsked; ++i) {
    if (!walk(run.pool, run.any(), newcomer.address()).arrived) return false;
  }
  return true;
}

void start_all(SimRun& run, std::vector<SimNode*>& members) {
  for (SimNode* m : members) run.pool.restart(*m);
}
void stop_all(SimRun& run, std::vector<SimNode*>& members) {
  for (SimNode* m : members) run.pool.crash(*m);
}

}  // namespace

void run_joins(SimRun& run) {
  const std::size_t before = std::max<std::size_t>(kBootstraps, run.nodes / 5);
  run.set_links(0.01);
  run.grow_ring(before, kBootstraps);
  run.demand_one_ring();
  NodeOptions options;
  for (std::size_t i = 0; i < kBootstraps; ++i)
    options.bootstraps.push_back(run.pool[i].host.endpoint());
  std::vector<double> times;
  for (std::size_t i = 0; i < run.nodes; ++i) {
    SimNode& newcomer = run.pool.add(run.public_host(), options);
    times.push_back(run.run_until([&] { return reached_by_all(run, newcomer); }, 30s, 20ms));
  }
  run.report.at_most("routable after, p50", quantile(times, 0.5), 1.0, "s");
  run.report.at_most("routable after, p99", quantile(times, 0.99), 2.0, "s");
  run.report.at_most("routable after, worst", quantile(times, 1), 5.0, "s");
  run.report.at_most("ring whole, after the last", run.until_whole(30s), 15, "s");
  run.report.add(distribution("join-time", "seconds from start until routable", times));
}

void run_storm(SimRun& run) {
  constexpr int kHandshakesMax = 64;
  const double limit = run.nodes <= 1000 ? 8 : 15;  // at 1,000 and at 10,000 nodes
  NodeOptions options;
  options.bootstraps = run.start_bootstraps(kBootstraps);
  while (run.pool.members().size() < run.nodes) run.pool.add(run.public_host(), options);
  run.report.at_most("ring whole after", run.until_whole(2min, "ring-health"), limit, "s");
  double handshakes = 0, done = 0, sent = 0;
  for (SimNode& m : run.pool.members()) {
    handshakes = std::max<double>(handshakes, m.credentials->most_exchanges());
    done += static_cast<double>(m.metrics.total(Metric::kHandshakesDone));
    sent = std::max(sent, static_cast<double>(m.host.counters().bytes_out));
  }
  const auto nodes = static_cast<double>(run.nodes);
  run.report.at_most("handshakes at once, at the busiest node", handshakes, kHandshakesMax);
  run.report.note("handshakes a node, both ends counted", done / nodes);
  run.report.note("sent by a node until then, mean", run.bytes_sent() / nodes / 1024, "KiB");
  run.report.note("sent by a node until then, most", sent / 1024, "KiB");
  run.run_for(20s);
  run.report.at_least("pairs routable 20 s later", run.routable_part(10'000), 0.9999);
}

// No hand is needed: whoever starts finds the others.
void run_restart(SimRun& run) {
  constexpr double kWhole = 15;  // until the longest dial interval has passed
  for (const std::size_t size : {1u, 2u, 3u, 5u}) {
    if (size > run.nodes) continue;
    for (const bool remembers : {true, false}) {
      SimRun small(run.options, run.world.seed(), size, {});
      NodeOptions options;
      options.bootstraps = small.start_bootstraps(std::min<std::size_t>(size, 2));
      while (small.pool.members().size() < size) small.pool.add(small.public_host(), options);
      const std::string name = "pool of " + std::to_string(size) + ", ";
      if (remembers)
        run.report.at_most(name + "first start: whole after", small.until_whole(1min), kWhole, "s");
      small.run_for(2min);
      std::vector<SimNode*> members;
      for (SimNode& m : small.pool.members()) members.push_back(&m);
      stop_all(small, members);
      small.run_for(1min);
      if (!remembers) {
        for (SimNode* m : members) m->options.remembered.clear();
      }
      start_all(small, members);
      const char* disks = remembers ? "all restarted" : "all restarted without their disks";
      run.report.at_most(name + disks + ": whole after", small.until_whole(1min), kWhole, "s");
      if (!remembers || size == 1) continue;
      // The bootstraps are gone for good; their addresses are all the others were told.
      small.run_for(2min);
      stop_all(small, members);
      members.erase(members.begin(), members.begin() + (size == 5 ? 2 : 0));
      if (size != 5) continue;
      small.run_for(1min);
      start_all(small, members);
      run.report.at_most(name + "all restarted but the bootstraps: whole after",
                         small.until_whole(1min), kWhole, "s");
    }
  }
  SimRun founders(run.options, run.world.seed(), 2, {});
  SimNode& first = founders.pool.add(founders.public_host());
  SimHost& host = founders.public_host();
  founders.world.set_blocked([](const SimHost&, const SimHost&) { return true; });
  NodeOptions options;
  options.bootstraps = {first.host.endpoint()};
  founders.pool.add(host, options);
  founders.run_for(30s);
  run.report.at_least("two founders apart: joined, each alone", founders.pool.all_joined() ? 1 : 0,
                      1);
  founders.world.set_blocked(nullptr);
  run.report.at_most("two founders meet: whole after", founders.until_whole(1min), 30, "s");
}

}  // namespace wow
