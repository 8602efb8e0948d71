// Scenarios in which nodes vanish without a word.
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string>

#include "tools/sim/scenario.h"

namespace wow {

void grow_half_dies(SimRun& run) { run.grow_ring(run.nodes); }

void run_half_dies(SimRun& run) {
  std::vector<SimNode*> victims = run.pool.ring();
  for (std::size_t i = victims.size(); i > 1; --i)
    std::swap(victims[i - 1], victims[run.random.below(i)]);
  victims.resize(static_cast<std::size_t>(static_cast<double>(run.nodes) * run.option_part(0.5)));
  for (SimNode* victim : victims) run.pool.crash(*victim);
  run.report.at_most("ring correct after", run.until_whole(2min, "ring-health"), 10, "s");
  // Far edges to the dead are missed after 28 s of silence; and these cost more than all before.
  constexpr std::uint64_t kLookedAtFurther = 10;
  if (run.seed() % kLookedAtFurther != 1) return;
  run.run_for(25s);
  run.report.at_least("pairs routable 25 s later", run.routable_part(10'000), 0.9999);
}

namespace {

double round_trip_seconds(SimRun& run, const SimNode& a, const SimNode& b) {
  return 2 * to_seconds(run.world.link(a.host, b.host).latency);
}

// The nodes next to it on either side.
std::vector<SimNode*> adjacent_to(SimRun& run, const SimNode& member) {
  const auto& ring = run.pool.ring();
  const auto at = std::find(ring.begin(), ring.end(), &member) - ring.begin();
  const auto n = static_cast<std::ptrdiff_t>(ring.size());
  return {ring[(at + 1) % n], ring[(at + n - 1) % n]};
}

bool counts_on(const SimNode& node, const SimNode& victim) {
  return node.node->is_neighbour(victim.address());
}

// Crashes somebody; the longest until a watcher no longer counts on it, beyond two round trips.
double noticed_after(SimRun& run, SimNode& victim, const std::vector<SimNode*>& watchers,
                     const std::function<void()>& meanwhile) {
  double round_trip = 0;
  for (const SimNode* w : watchers)
    round_trip = std::max(round_trip, round_trip_seconds(run, *w, victim));
  run.pool.crash(victim);
  const double took = run.run_until(
      [&] {
        meanwhile();
        return std::none_of(watchers.begin(), watchers.end(),
                            [&](SimNode* w) { return counts_on(*w, victim); });
      },
      1min, 20ms);
  run.pool.restart(victim);
  // At another moment of everybody's intervals each time.
  run.run_for(30s + Duration(run.random.below(5'000'000'000)));
  return took - 2 * round_trip;
}

}  // namespace

void run_failure(SimRun& run) {
  constexpr int kDeaths = 40;
  run.grow_ring(run.nodes, 2);
  std::vector<double> idle, busy;
  for (int i = 0; i < kDeaths; ++i) {
    SimNode& victim = run.pool[2 + run.random.below(run.nodes - 2)];
    idle.push_back(noticed_after(run, victim, adjacent_to(run, victim), [] {}));
  }
  for (int i = 0; i < kDeaths; ++i) {
    SimNode& victim = run.pool[2 + run.random.below(run.nodes - 2)];
    SimNode* sender = adjacent_to(run, victim)[run.random.below(2)];
    const Bytes frame(200);
    const auto send = [&] { sender->node->send_frame(victim.address(), frame, 0); };
    for (int k = 0; k < 50; ++k) {
      send();
      run.run_for(20ms);
    }
    busy.push_back(noticed_after(run, victim, {sender}, send));
  }
  run.report.at_most("adjacent, idle: noticed after, beyond two round trips, worst",
                     quantile(idle, 1), 5, "s");
  run.report.note("the same, mean", mean_of(idle), "s");
  run.report.at_most("under traffic: noticed after, beyond two round trips, worst",
                     quantile(busy, 1), 1, "s");
  run.report.note("the same under traffic, mean", mean_of(busy), "s");
  run.report.add(distribution("noticed-idle", "seconds beyond two round trips", idle));
}

// A stopped process, a frozen machine: dead to the others, and back without having noticed.
void run_pauses(SimRun& run) {
  constexpr int kDriftPpmMax = 200;  // of cheap crystals
  const auto hosts = run.public_hosts(run.nodes);
  for (SimHost* host : hosts) {
    host->set_drift(static_cast<int>(run.random.below(2 * kDriftPpmMax + 1)) - kDriftPpmMax);
    host->set_wall_offset(std::chrono::hours(run.random.below(48)) - 24h);
  }
  run.report.at_most("the constructed ring is whole",
                     run.pool.construct(hosts) ? run.seconds() : kNever, 60, "s");
  for (const PausedClock clock : {PausedClock::kRuns, PausedClock::kStops}) {
    run.run_for(30s);
    std::vector<SimNode*> awake;
    for (SimNode* m : run.pool.ring()) {
      if (run.random.unit() < run.option_part(0.1)) {
        run.world.pause(m->host, 30s, clock);
      } else {
        awake.push_back(m);
      }
    }
    RingChecker others(run.pool);
    others.restrict_to(awake);
    const std::string name = clock == PausedClock::kRuns ? "clocks run on" : "clocks stop";
    const double took = run.run_until([&] { return others.whole(); }, 29s);
    run.report.at_most(name + ": the others are whole after", took, 10, "s");
    run.run_for_seconds(30 - std::min(took, 29.0));
    run.report.at_most(name + ": all are whole, after they wake", run.until_whole(2min), 15, "s");
  }
  run.report.at_least("pairs routable", run.routable_part(10'000), 0.9999);
}

// True neighbours that ceased to count on each other although both were alive.
void run_false_alarms(SimRun& run) {
  constexpr double kAlarmsPerEdgeHour = 1e-4;
  constexpr std::size_t kPerSide = 3;
  const double minutes = run.option_minutes(60);
  run.grow_ring(run.nodes);
  run.set_links(0.05);
  const auto& ring = run.pool.ring();
  std::vector<std::pair<SimNode*, SimNode*>> edges;
  for (std::size_t i = 0; i < ring.size(); ++i) {
    for (std::size_t step = 1; step <= kPerSide && 2 * step < ring.size(); ++step)
      edges.emplace_back(ring[i], ring[(i + step) % ring.size()]);
  }
  std::vector<bool> held(edges.size(), true);
  double alarms = 0;
  for (double second = 0; second < minutes * 60; second += 0.25) {
    run.run_for(250ms);
    for (std::size_t i = 0; i < edges.size(); ++i) {
      const auto& [a, b] = edges[i];
      const bool holds = counts_on(*a, *b) && counts_on(*b, *a);
      if (held[i] && !holds) ++alarms;
      held[i] = holds;
    }
  }
  const double edge_hours = static_cast<double>(edges.size()) * minutes / 60;
  run.report.note("edges watched, times hours", edge_hours);
  run.report.note("edges given up although both ends lived", alarms);
  run.report.at_most("the same, per edge and hour", alarms / edge_hours, kAlarmsPerEdgeHour);
}

namespace {

// A ring whose nodes live for a while that is drawn exponentially; each that dies is replaced by a
// newcomer. Look-ups are asked of nodes by chance.
class Churn {
 public:
  Churn(SimRun& run, Duration half_life)
      : run_(run), mean_life_seconds_(to_seconds(half_life) / std::log(2.0)) {
    for (std::size_t i = 0; i < kBootstraps; ++i)
      options_.bootstraps.push_back(run_.pool[i].host.endpoint());
    for (SimNode* m : run_.pool.ring()) begin_life(*m);
  }

  // One step of kStep.
  void step() {
    while (!deaths_.empty() && deaths_.begin()->first <= run_.world.now()) {
      SimNode& dead = *deaths_.begin()->second;
      deaths_.erase(deaths_.begin());
      died_[dead.address()] = run_.world.now();
      run_.pool.crash(dead);
      ++deaths;
      begin_life(run_.pool.add(run_.public_host(), options_));
    }
    std::erase_if(died_, [&](const auto& d) { return run_.world.now() - d.second > kRemembered; });
    note_joined();
    ask();
    run_.run_for(kStep);
  }

  double asked = 0, right = 0, wrong = 0, silent = 0, deaths = 0;
  std::vector<double> answered_after;

 private:
  static constexpr std::size_t kBootstraps = 3;
  static constexpr Duration kStep = 100ms;
  static constexpr Duration kRemembered = 10s;
  static constexpr Duration kAnswerLimit = 5s;

  void begin_life(SimNode& member) {
    joining_.push_back(&member);
    // The bootstraps stay, as somebody's servers do.
    if (is_bootstrap(member)) return;
    const double life = -std::log(1 - run_.random.unit()) * mean_life_seconds_;
    deaths_.emplace(run_.world.now() + Duration(static_cast<Duration::rep>(life * 1e9)), &member);
  }

  bool is_bootstrap(const SimNode& member) const {
    return std::find(options_.bootstraps.begin(), options_.bootstraps.end(),
                     member.host.endpoint()) != options_.bootstraps.end();
  }

  void note_joined() {
    std::erase_if(joining_, [&](SimNode* m) {
      if (m->node && m->node->joined()) joined_[m->address()] = run_.world.now();
      return !m->node || m->node->joined();
    });
  }

  void ask() {
    SimNode& from = run_.any();
    if (!from.node->joined()) return;
    std::array<std::uint8_t, Address::kBytes> raw;
    run_.random.fill(raw);
    const Address target = Address::from_bytes(raw);
    const TimePoint at = run_.world.now();
    ++asked;
    const Address asking = from.address();
    from.node->locate(target, [this, target, at, asking](std::optional<Address> found) {
      const TimePoint now = run_.world.now();
      if (!found || now - at > kAnswerLimit) {
        ++(found ? wrong : silent);
        return;
      }
      ++(acceptable(*found, target, at) ? right : wrong);
      answered_after.push_back(to_seconds(now - at));
    });
  }

  // It lived at some time since `asked_at`, and nobody nearer lived on the ring all the while.
  bool acceptable(const Address& answer, const Address& target, TimePoint asked_at) const {
    const auto died = died_.find(answer);
    const bool lived = run_.pool.find(answer) || (died != died_.end() && died->second >= asked_at);
    if (!lived) return false;
    for (const SimNode* m : run_.pool.ring()) {
      if (!nearer(m->address(), answer, target)) continue;
      const auto joined = joined_.find(m->address());
      if (joined != joined_.end() && joined->second < asked_at) return false;
    }
    return true;
  }

  SimRun& run_;
  const double mean_life_seconds_;
  NodeOptions options_;
  std::multimap<TimePoint, SimNode*> deaths_;
  std::map<Address, TimePoint> died_, joined_;
  std::vector<SimNode*> joining_;
};

}  // namespace

void run_churn(SimRun& run) {
  const double minutes = run.option_minutes(60);
  run.grow_ring(run.nodes, 3);
  run.demand_one_ring();
  Churn churn(run, 10min);
  const double end = run.seconds() + minutes * 60;
  while (run.seconds() < end) churn.step();
  // A question whose asker died is nobody's.
  const double answered = churn.right + churn.wrong + churn.silent;
  run.report.at_least("look-ups answered within 5 s by a nearest live node",
                      answered == 0 ? 0 : churn.right / answered, 0.9999);
  run.report.note("look-ups of askers that lived on", answered);
  run.report.note("answered by another", churn.wrong);
  run.report.note("not answered", churn.silent);
  run.report.note("answered after, p99", quantile(churn.answered_after, 0.99), "s");
  run.report.note("nodes that died", churn.deaths);
  run.report.add(distribution("lookup-time", "seconds until the answer", churn.answered_after));
  run.report.at_most("ring whole once all is quiet", run.until_whole(1min), 15, "s");
}

}  // namespace wow
