// Scenarios in which many pairs cannot have direct paths.
#include <algorithm>

#include "tools/sim/scenario.h"

namespace wow {
namespace {

// The same for a pair in both directions, by chance.
bool unlucky(std::uint64_t seed, std::uint32_t a, std::uint32_t b, double part) {
  const auto [low, high] = std::minmax(a, b);
  SeededRandom pair(seed ^ (std::uint64_t{low} << 32 | high) * 0x9e3779b97f4a7c15);
  return pair.unit() < part;
}

// All pairs of up to 1,000 nodes; more are sampled.
constexpr std::size_t kPairsAsked = 1'000'000;

void report_routability(SimRun& run, double wanted) {
  std::vector<double> hops;
  run.report.at_least("pairs that are routable", run.routable_part(kPairsAsked, &hops), wanted);
  run.report.note("hops, mean", mean_of(hops));
  run.report.add(histogram("hops", "hops", hops));
}

}  // namespace

void run_blocked(SimRun& run) {
  const double part = run.option_part(0.3);
  const std::uint64_t seed = run.world.seed();
  run.world.set_blocked([=](const SimHost& from, const SimHost& to) {
    return unlucky(seed, from.id(), to.id(), part);
  });
  // Some of what a node knows must be reachable: a dozen members alone are all blocked for one node
  // in a hundred.
  constexpr std::size_t kBootstraps = 8;
  const auto hosts = run.public_hosts(run.nodes);
  NodeOptions options;
  for (std::size_t i = 0; i < std::min(kBootstraps, hosts.size()); ++i)
    options.bootstraps.push_back(hosts[i]->endpoint());
  run.pool.construct(hosts, 10s, options, 0ns);
  run.report.at_most("ring whole after, direct or relayed", run.until_whole(3min, "ring-health"),
                     60, "s");
  run.run_for(1min);
  run.report.at_least("nodes with all their near edges", RingChecker(run.pool).health(), 1);
  report_routability(run, part <= 0.3 ? 0.9999 : 0.999);
}

void run_hard_nats(SimRun& run) {
  const double part = run.option_part(0.7);
  constexpr std::size_t kBootstraps = 3;
  NatRules hard;
  hard.mapping = NatScope::kAddressPortDependent;
  hard.preserve_port = false;
  NodeOptions options;
  options.bootstraps = run.start_bootstraps(kBootstraps);
  double peak = 0, mean_peak = 0;
  const auto run_for_seconds = [&](int seconds) {
    constexpr int kLook = 10;
    for (int i = 0; i < seconds; i += kLook) {
      run.run_for_seconds(kLook);
      const auto [most, mean] = run.nat_entries();
      peak = std::max(peak, most);
      mean_peak = std::max(mean_peak, mean);
    }
  };
  while (run.pool.members().size() < run.nodes) {
    const bool behind = run.random.unit() < part;
    run.pool.add(behind ? run.host_behind_nat(hard) : run.public_host(), options);
    if (run.pool.members().size() % 20 == 0) run.run_for(100ms);
  }
  run.report.at_most("ring whole after, direct or relayed", run.until_whole(3min, "ring-health"),
                     60, "s");
  run_for_seconds(60);
  run.report.at_least("nodes with all their near edges", RingChecker(run.pool).health(), 1);
  report_routability(run, 0.9999);
  // Entries last two minutes here: by then those of the joining are gone.
  run_for_seconds(180);
  const auto [most, mean] = run.nat_entries();
  run.report.at_most("entries of one node in its NAT's table, at any time", peak, 64);
  run.report.note("the same, mean of all nodes when it was highest", mean_peak);
  run.report.note("the same, once all have joined", most);
  run.report.note("the same, mean", mean);
}

}  // namespace wow
