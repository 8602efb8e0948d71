// Scenarios in which nodes start.
#include <algorithm>
#include <string>

#include "tools/sim/scenario.h"

namespace wow {
namespace {

constexpr std::size_t kBootstraps = 3;

// Everybody routes to it, as far as a few by chance can tell, by the tables as they are.
bool reached_by_all(SimRun& run, const SimNode& newcomer) {
  constexpr int kAsked = 24;
  for (int i = 0; i < kAsked; ++i) {
    if (!walk(run.pool, run.any(), newcomer.address()).arrived) return false;
  }
  return true;
}

constexpr double kWhole = 15;  // seconds: until the longest dial interval has passed

// A small pool that is stopped and started again, in a world of its own.
class SmallPool {
 public:
  SmallPool(SimRun& run, std::size_t size)
      : run_(run),
        small_(run.options, run.world.seed(), size, {}),
        name_("pool of " + std::to_string(size) + ", ") {
    NodeOptions options;
    options.bootstraps = small_.start_bootstraps(std::min<std::size_t>(size, kBootstrapsOfSmall));
    while (small_.pool.members().size() < size) small_.pool.add(small_.public_host(), options);
    for (SimNode& m : small_.pool.members()) members_.push_back(&m);
    report("first start");
  }
  ~SmallPool() { run_.add_trace_of(small_); }

  void stop() {
    small_.run_for(2min);
    for (SimNode* m : members_) small_.pool.crash(*m);
    small_.run_for(1min);
  }
  void lose_disks() {
    for (SimNode* m : members_) m->options.remembered.clear();
  }
  void lose_bootstraps() {
    members_.erase(members_.begin(), members_.begin() + kBootstrapsOfSmall);
  }
  void start(const std::string& how) {
    for (SimNode* m : members_) small_.pool.restart(*m);
    report(how);
  }

 private:
  static constexpr int kBootstrapsOfSmall = 2;
  void report(const std::string& how) {
    run_.report.at_most(name_ + how + ": whole after", small_.until_whole(1min), kWhole, "s");
  }

  SimRun& run_;
  SimRun small_;
  const std::string name_;
  std::vector<SimNode*> members_;
};

// Each was told of the other, and is on its own until they can reach each other.
void two_founders(SimRun& run) {
  SimRun founders(run.options, run.world.seed(), 2, {});
  SimNode& first = founders.pool.add(founders.public_host());
  founders.world.set_blocked([](const SimHost&, const SimHost&) { return true; });
  NodeOptions options;
  options.bootstraps = {first.host.endpoint()};
  SimNode& second = founders.pool.add(founders.public_host(), options);
  founders.run_for(30s);
  const bool alone = first->alone() && second->alone() && founders.pool.all_joined();
  run.report.at_least("two founders apart: each has joined alone", alone ? 1 : 0, 1);
  founders.world.set_blocked(nullptr);
  run.report.at_most("two founders meet: whole after", founders.until_whole(1min), 30, "s");
  run.add_trace_of(founders);
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
  std::vector<double> times, joined;
  for (std::size_t i = 0; i < run.nodes; ++i) {
    SimNode& newcomer = run.pool.add(run.public_host(), options);
    const double start = run.seconds();
    times.push_back(run.run_until([&] { return reached_by_all(run, newcomer); }, 30s, 20ms));
    run.run_until([&] { return newcomer.node->joined(); }, 30s, 20ms);
    joined.push_back(run.seconds() - start);
  }
  run.report.at_most("routable after, p50", quantile(times, 0.5), 1.0, "s");
  run.report.at_most("routable after, p99", quantile(times, 0.99), 2.0, "s");
  run.report.at_most("routable after, worst", quantile(times, 1), 5.0, "s");
  // It knows that its neighbours count on it once they have told it: later than they do.
  run.report.note("and knows it (joined) after, p50", quantile(joined, 0.5), "s");
  run.report.at_most("the same, p99", quantile(joined, 0.99), 2.0, "s");
  run.report.at_most("the same, worst", quantile(joined, 1), 5.0, "s");
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
  // A ring without far edges is too wide for 32 hops.
  run.report.note("packets that used up their hops",
                  static_cast<double>(run.pool.total(Metric::kDropHopLimit)));
  run.run_for(20s);
  run.report.at_least("pairs routable 20 s later", run.routable_part(10'000), 0.9999);
}

// No hand is needed: whoever starts finds the others.
void run_restart(SimRun& run) {
  for (const std::size_t size : {1u, 2u, 3u, 5u}) {
    if (size > run.nodes) continue;
    SmallPool pool(run, size);
    pool.stop();
    pool.start("all restarted");
    pool.stop();
    pool.lose_disks();
    pool.start("all restarted without their disks");
    if (size < 5) continue;
    pool.stop();
    pool.lose_bootstraps();
    pool.start("all restarted but the bootstraps");
  }
  two_founders(run);
}

}  // namespace wow
