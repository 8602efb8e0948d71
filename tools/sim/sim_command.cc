#include "tools/sim/sim_command.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "base/log.h"
#include "tools/sim/seed_runs.h"

namespace wow {
namespace {

struct Arguments {
  std::string scenario;
  std::uint64_t seed = 1;
  std::string seeds;  // "FIRST-LAST"
  SimOptions options;
  double loss_percent = -1, part_percent = -1;
  bool json = false;
  std::string plot;
};

// A line on a terminal that is written over; nothing elsewhere.
class ProgressLine {
 public:
  ProgressLine(std::string name, std::uint64_t seed) : name_(std::move(name)), seed_(seed) {}
  ~ProgressLine() {
    if (shown_) std::fprintf(stderr, "\r\033[K");
  }
  void operator()(double seconds, const SimRun& run) {
    using std::chrono::steady_clock;
    const auto now = steady_clock::now();
    if (!isatty(2) || now < next_) return;
    next_ = now + std::chrono::milliseconds(500);
    shown_ = true;
    std::fprintf(stderr, "\r\033[K%s, seed %llu: %.0f s simulated, %.1f million packets, %.0f s",
                 name_.c_str(), static_cast<unsigned long long>(seed_), seconds,
                 static_cast<double>(run.world.deliveries()) / 1e6,
                 std::chrono::duration<double>(now - begun_).count());
  }

 private:
  const std::string name_;
  const std::uint64_t seed_;
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point next_{};
  bool shown_ = false;
};

// What shows the same run again.
std::string replay(const Arguments& a, std::uint64_t seed) {
  std::string out = "wow sim " + a.scenario + " --seed " + std::to_string(seed);
  const auto add = [&](const char* name, double value, double unset) {
    if (value == unset) return;
    char text[32];
    std::snprintf(text, sizeof text, " --%s %g", name, value);
    out += text;
  };
  add("nodes", static_cast<double>(a.options.nodes), 0);
  add("minutes", a.options.minutes, 0);
  add("part", a.part_percent, -1);
  add("loss", a.loss_percent, -1);
  if (a.options.latency != "100") out += " --latency " + a.options.latency;
  return out;
}

void write_charts(const Report& report, const Arguments& a) {
  std::filesystem::create_directories(a.plot);
  for (Chart chart : report.charts()) {
    const auto file = std::filesystem::path(a.plot) / (a.scenario + "-" + chart.title + ".svg");
    chart.title = a.scenario + ": " + chart.title;
    if (!(std::ofstream(file) << svg(chart)))
      throw std::runtime_error("cannot write " + file.string());
    std::fprintf(stderr, "wrote %s\n", file.c_str());
  }
}

void show(const Arguments& a, const Scenario& scenario, const Report& report, std::uint64_t hash,
          std::uint64_t first, std::uint64_t last, std::uint64_t failed) {
  const auto nodes =
      static_cast<unsigned long long>(a.options.nodes != 0 ? a.options.nodes : scenario.nodes);
  const auto one = static_cast<unsigned long long>(first);
  const auto other = static_cast<unsigned long long>(last);
  const auto trace = static_cast<unsigned long long>(hash);
  if (a.json) {
    std::printf(
        "{\"scenario\":\"%s\",\"nodes\":%llu,\"first_seed\":%llu,\"last_seed\":%llu,"
        "\"failed\":%llu,\"trace\":\"%016llx\",\"figures\":%s}\n",
        scenario.name, nodes, one, other, static_cast<unsigned long long>(failed), trace,
        report.json().c_str());
  } else {
    std::printf("%s, %llu nodes, ", scenario.name, nodes);
    if (first == last) {
      std::printf("seed %llu, trace %016llx\n", one, trace);
    } else {
      std::printf("the worst of seeds %llu-%llu\n", one, other);
    }
    std::printf("%s", report.table().c_str());
  }
  std::fflush(stdout);
}

std::pair<std::uint64_t, std::uint64_t> seeds_of(const Arguments& a) {
  if (a.seeds.empty()) return {a.seed, a.seed};
  unsigned long long first = 0, last = 0;
  char more = 0;
  if (std::sscanf(a.seeds.c_str(), "%llu-%llu%c", &first, &last, &more) != 2 || first > last)
    throw std::runtime_error("--seeds takes two numbers, as in 1-100, not \"" + a.seeds + "\"");
  return {first, last};
}

int run_scenario(const Arguments& a) {
  const Scenario* scenario = find_scenario(a.scenario);
  if (!scenario)
    throw std::runtime_error("there is no scenario \"" + a.scenario +
                             "\": `wow sim list` names them");
  // A million nodes would log a lot.
  set_log_sink([](LogLevel, const std::string&) {});
  const auto [first, last] = seeds_of(a);
  SeedRuns runs(*scenario, a.options, [scenario](std::uint64_t seed) {
    const auto line = std::make_shared<ProgressLine>(scenario->name, seed);
    return [line](double seconds, const SimRun& run) { (*line)(seconds, run); };
  });
  Report all;
  std::uint64_t hash = 0, failed = 0;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    const Outcome outcome = first == last ? runs.run(seed) : runs.run_one_of_many(seed);
    all.merge(outcome.report);
    hash = outcome.trace_hash;
    if (outcome.good()) continue;
    ++failed;
    std::fprintf(stderr, "%s\n  again: %s\n",
                 outcome.violation.empty() ? "a figure was missed" : outcome.violation.c_str(),
                 replay(a, seed).c_str());
    if (first != last) std::fprintf(stderr, "%s", outcome.report.table().c_str());
  }
  show(a, *scenario, all, hash, first, last, failed);
  if (!a.plot.empty()) write_charts(all, a);
  return failed == 0 ? 0 : 1;
}

void list_scenarios() {
  for (const Scenario& s : scenarios()) std::printf("%-14s %s\n", s.name, s.about);
}

}  // namespace

void add_sim_command(CLI::App& app) {
  CLI::App* sim = app.add_subcommand(
      "sim",
      "Run a scenario with many simulated nodes: the very code of the daemon, in virtual time.\n"
      "Prints what is wanted and what was measured; exits with 1 if a figure is missed.\n"
      "The same seed gives the same run, packet for packet.");
  const auto a = std::make_shared<Arguments>();
  sim->add_option("scenario", a->scenario, "Which; `list` names them")->required();
  sim->add_option("--nodes", a->options.nodes, "How many; else what the scenario takes by itself");
  sim->add_option("--seed", a->seed, "Another seed is another run")->capture_default_str();
  sim->add_option("--seeds", a->seeds, "FIRST-LAST: all of them, the worst of each figure counts");
  sim->add_option("--minutes", a->options.minutes, "How long the main part lasts, simulated")
      ->check(CLI::PositiveNumber);
  sim->add_option("--part", a->part_percent, "Per cent of pairs or nodes concerned")
      ->check(CLI::Range(0, 100));
  sim->add_option("--loss", a->loss_percent, "Per cent of packets lost")->check(CLI::Range(0, 100));
  sim->add_option("--latency", a->options.latency,
                  "One way: milliseconds, \"model\" (a made-up internet), or a file with a matrix "
                  "of milliseconds")
      ->capture_default_str();
  sim->add_flag("--json", a->json, "One JSON object instead of a table");
  sim->add_option("--plot", a->plot, "A folder for charts (SVG)");
  sim->footer(
      "Examples:\n"
      "  wow sim idle --nodes 10000\n"
      "  wow sim half-dies --nodes 100 --seeds 1-10000\n"
      "  wow sim hops --nodes 10000 --latency model --plot /tmp/charts");
  sim->callback([a] {
    if (a->scenario == "list") return list_scenarios();
    if (a->loss_percent >= 0) a->options.loss = a->loss_percent / 100;
    if (a->part_percent >= 0) a->options.part = a->part_percent / 100;
    if (const int status = run_scenario(*a); status != 0) throw CLI::RuntimeError(status);
  });
}

}  // namespace wow
