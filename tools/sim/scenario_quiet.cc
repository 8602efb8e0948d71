// Scenarios in which nothing happens.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "tools/sim/scenario.h"

namespace wow {
namespace {

// Of this process; 0 where the kernel does not say.
double resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (!file) return 0;
  long all = 0, resident = 0;
  if (std::fscanf(file, "%ld %ld", &all, &resident) != 2) resident = 0;
  std::fclose(file);
  return static_cast<double>(resident) * 4096;
}

struct Kind {
  const char* name;
  Metric bytes;
};
constexpr Kind kKinds[] = {
    {"of these: checks and keepalives of paths", Metric::kBytesOfPaths},
    {"of these: along the ring, own and for others", Metric::kBytesOfRouting},
    {"of these: lists, roles, candidates", Metric::kBytesOfServices},
};

// What was sent since some moment, a node and second.
class Traffic {
 public:
  explicit Traffic(SimRun& run) : run_(run), begun_(run.seconds()), sent_(now()) {}

  void report(double wanted) const {
    const double span = run_.seconds() - begun_, nodes = static_cast<double>(run_.nodes);
    std::vector<double> rates = now();
    for (std::size_t i = 0; i < rates.size(); ++i) rates[i] = (rates[i] - sent_[i]) / span / nodes;
    run_.report.at_most("sent by a node, IP and UDP headers included", rates[0], wanted, "B/s");
    double rest = rates[0] - rates[1];
    run_.report.note("of these: headers of IP and UDP", rates[1], "B/s");
    for (std::size_t i = 0; i < std::size(kKinds); ++i) {
      rest -= rates[i + 2];
      run_.report.note(kKinds[i].name, rates[i + 2], "B/s");
    }
    run_.report.note("of these: key exchanges", rest, "B/s");
  }

 private:
  // All bytes, those of headers, then by kind.
  std::vector<double> now() const {
    double datagrams = 0;
    for (std::uint32_t i = 0; i < run_.world.host_count(); ++i)
      datagrams += static_cast<double>(run_.world.host(i).counters().datagrams_out);
    std::vector<double> out = {run_.bytes_sent(), 28 * datagrams};
    for (const Kind& kind : kKinds) out.push_back(static_cast<double>(run_.pool.total(kind.bytes)));
    return out;
  }

  SimRun& run_;
  const double begun_;
  const std::vector<double> sent_;
};

}  // namespace

// 200 B/s and node, 64 KiB and node are wanted of large rings; in small ones everybody knows
// everybody.
void run_idle(SimRun& run) {
  constexpr double kBytesPerSecond = 200, kResidentKiB = 64, kWallSeconds = 120;
  // Of a pool that starts at once the heap keeps the size that all their handshakes needed.
  constexpr Duration kSpread = 20min;
  const double minutes = run.option_minutes(10);
  const auto nodes = static_cast<double>(run.nodes);
  const double before_hosts = resident_bytes();
  run.grow_ring(run.nodes, 0, kSpread);
  run.demand_one_ring();
  run.run_for(5min);  // what was only for growing is let go
  const Traffic traffic(run);
  const auto deliveries = run.world.deliveries();
  const auto wall = std::chrono::steady_clock::now();
  run.run_for_seconds(minutes * 60);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - wall;
  traffic.report(kBytesPerSecond);
  run.report.note("packets a node",
                  static_cast<double>(run.world.deliveries() - deliveries) / nodes / minutes / 60,
                  "/s");
  std::vector<double> sessions;
  for (const SimNode* m : run.pool.ring())
    sessions.push_back(static_cast<double>(m->node->tables().sessions));
  run.report.note("sessions of a node, mean", mean_of(sessions));
  run.report.at_least("nodes with all their near edges", RingChecker(run.pool).health(), 1);
  const double resident = (resident_bytes() - before_hosts) / nodes / 1024;
  const double wall_for_ten_minutes = took.count() / minutes * 10;
  if (run.nodes >= 10'000) {
    run.report.at_most("resident a node", resident, kResidentKiB, "KiB");
  } else {
    run.report.note("resident a node", resident, "KiB");
  }
  if (run.nodes == 10'000) {
    run.report.at_most("wall time for ten simulated minutes", wall_for_ten_minutes, kWallSeconds,
                       "s");
  } else {
    run.report.note("wall time for ten simulated minutes", wall_for_ten_minutes, "s");
  }
}

void run_hops(SimRun& run) {
  constexpr std::size_t kPairs = 20'000;
  run.grow_ring(run.nodes);
  run.run_for_seconds(run.option_minutes(5) * 60);
  std::vector<double> hops, stretch;
  const double arrived = run.routable_part(kPairs, &hops, &stretch);
  // 3, 4, 5 hops at 1,000, 10,000, 100,000 nodes; half a hop more if delays decide.
  const bool by_delay = run.options.latency == "model";
  const double mean_wanted =
      std::max(3.0, std::log10(static_cast<double>(run.nodes))) + (by_delay ? 0.5 : 0);
  run.report.at_least("pairs that are routable", arrived, 0.9999);
  run.report.at_most("hops, mean", mean_of(hops), mean_wanted);
  run.report.at_most("hops, p99", quantile(hops, 0.99), 8);
  run.report.note("hops, most", quantile(hops, 1));
  run.report.note("packets that used up their hops, so far",
                  static_cast<double>(run.pool.total(Metric::kDropHopLimit)));
  const double median = quantile(stretch, 0.5);
  if (by_delay) {
    run.report.at_most("latency stretch, median", median, 2.2);
  } else {
    run.report.note("latency stretch, median", median);
  }
  run.report.note("latency stretch, p90", quantile(stretch, 0.9));
  run.report.add(distribution("latency-stretch", "time along the ring / direct time", stretch));
  run.report.add(histogram("hops", "hops", hops));
}

}  // namespace wow
