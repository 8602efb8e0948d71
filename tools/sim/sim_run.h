// One run of one scenario with one seed: its world and pool, and what all scenarios do with them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tools/sim/internet.h"
#include "tools/sim/report.h"
#include "tools/sim/ring_checker.h"
#include "tools/sim/sim_pool.h"
#include "tools/sim/world.h"

namespace wow {

struct SimOptions {
  std::size_t nodes = 0;  // 0: what the scenario takes by itself; so below
  double minutes = 0;
  double part = -1;             // of pairs, nodes, ...: what the scenario says
  double loss = -1;             // 0..1
  std::string latency = "100";  // one-way milliseconds, "model", or a file with a matrix
};

// Something happened that must never happen; the message says what, where and when.
class SafetyViolation : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class SimRun {
 public:
  // Told now and then how many seconds have been simulated and what is going on.
  using Progress = std::function<void(double seconds, const SimRun& run)>;

  SimRun(const SimOptions& options, std::uint64_t seed, std::size_t default_nodes,
         Progress progress);

  const SimOptions options;
  const std::size_t nodes;
  World world;
  SimPool pool;
  SeededRandom random;
  Report report;

  // Which of many runs this is; that of the world, unless it was told another.
  std::uint64_t seed() const { return seed_; }
  // From now on whatever is drawn, but for the nodes' own draws, follows from this seed.
  void draw_anew(std::uint64_t seed);

  double option_minutes(double by_default) const;
  double option_part(double by_default) const;
  double option_loss(double by_default) const;
  // All links as the options say, with this loss unless they say another.
  void set_links(double loss = 0);

  SimHost& public_host();
  std::vector<SimHost*> public_hosts(std::size_t count);
  // The only host of a new site.
  SimHost& host_behind_nat(const NatRules& rules);
  // What their NATs hold now: that of the busiest, and the mean.
  std::pair<double, double> nat_entries() const;
  // Public nodes that know of nothing, to be the bootstraps of others; they find each other.
  std::vector<Endpoint> start_bootstraps(std::size_t count);
  // A settled ring of public nodes. The first `bootstraps` of them are in everybody's list. They
  // start within `spread`, at most five hundred a second.
  void grow_ring(std::size_t count, std::size_t bootstraps = 0, Duration spread = 0s);

  // Of this world, and of further ones that the scenario made.
  std::uint64_t trace() const { return world.trace_hash() ^ parts_; }
  void add_trace_of(const SimRun& part) { parts_ = parts_ * 31 + part.trace(); }
  double seconds() const { return to_seconds(world.now() - begun_); }
  // Runs on, with a look at the safety of it all every ten seconds.
  void run_for(Duration span);
  void run_for_seconds(double seconds);
  // Runs until `done`, asked each `step`; seconds it took, or kNever.
  double run_until(const std::function<bool()>& done, Duration limit, Duration step = 50ms);
  // The same, until the ring is whole; its health goes into a chart if one is wanted.
  double until_whole(Duration limit, const std::string& chart = {});
  // A running member by chance.
  SimNode& any();
  // Of `samples` pairs of running members drawn by chance, or of all pairs if there are fewer, how
  // many routable ones by the tables as they are; hops and stretch of those go into the vectors.
  double routable_part(std::size_t samples, std::vector<double>* hops = nullptr,
                       std::vector<double>* stretch = nullptr);
  // UDP payloads sent so far by all hosts, with 28 bytes of IP and UDP headers each.
  double bytes_sent() const;

  // From now on Zave's invariant must hold (ring_shape.h), and no packet may use up its hops; for
  // grown rings in which nobody loses all neighbours at once.
  void demand_one_ring();
  // Every table is within its limit, and one ring if that is demanded. Throws SafetyViolation.
  void check_safety();

 private:
  void tick();
  void check_tables(const SimNode& node);

  const Progress progress_;
  std::uint64_t seed_;
  Internet internet_;
  std::unique_ptr<LatencyMatrix> matrix_;
  TimePoint begun_, next_check_;
  std::uint32_t hosts_ = 0;
  std::vector<const Site*> nats_;
  std::uint64_t parts_ = 0;
  bool one_ring_ = false;
  std::uint64_t hops_used_up_ = 0;  // before one ring was demanded
};

}  // namespace wow
