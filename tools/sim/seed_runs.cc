#include "tools/sim/seed_runs.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <system_error>

namespace wow {
namespace {

std::string packed(const Outcome& outcome) {
  return boost::json::serialize(boost::json::object{
      {"violation", outcome.violation},
      {"trace", outcome.trace_hash},
      {"figures", boost::json::parse(outcome.report.json())},
  });
}

Outcome unpacked(const std::string& text) {
  const boost::json::value value = boost::json::parse(text);
  Outcome out;
  out.violation = value.at("violation").as_string().c_str();
  out.trace_hash = value.at("trace").to_number<std::uint64_t>();
  out.report = Report::parse(boost::json::serialize(value.at("figures")));
  return out;
}

void write_all(int to, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(to, text.data(), text.size());
    if (written < 0 && errno != EINTR) return;
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
  }
}

std::string read_all(int from) {
  std::string out;
  std::array<char, 4096> some{};
  for (;;) {
    const ssize_t got = read(from, some.data(), some.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return out;
    out.append(some.data(), static_cast<std::size_t>(got));
  }
}

// What `make` returns, made in a copy of this process; empty if that died.
std::string in_a_child(const std::function<std::string()>& make) {
  int ends[2];
  if (pipe(ends) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  const pid_t child = fork();
  if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (child == 0) {
    write_all(ends[1], make());
    _exit(0);
  }
  close(ends[1]);
  std::string out = read_all(ends[0]);
  close(ends[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status == 0 ? out : std::string();
}

// Empty if `what` violates nothing.
std::string violation_of(const std::function<void()>& what) {
  try {
    what();
  } catch (const SafetyViolation& violation) {
    return violation.what();
  }
  return {};
}

}  // namespace

std::unique_ptr<SimRun> SeedRuns::begin(std::uint64_t seed) const {
  auto run = std::make_unique<SimRun>(options_, world_seed(scenario_, seed), scenario_.nodes,
                                      progress_(seed));
  if (scenario_.grow != nullptr) scenario_.grow(*run);
  return run;
}

Outcome SeedRuns::go_on(SimRun& run, std::uint64_t seed) const {
  if (scenario_.grow != nullptr) run.draw_anew(seed);
  Outcome out;
  out.violation = violation_of([&] { scenario_.run(run); });
  out.report = std::move(run.report);
  out.trace_hash = run.trace();
  return out;
}

Outcome SeedRuns::run(std::uint64_t seed) {
  std::unique_ptr<SimRun> run;
  const std::string violation = violation_of([&] { run = begin(seed); });
  return violation.empty() ? go_on(*run, seed) : Outcome{.violation = violation};
}

Outcome SeedRuns::run_one_of_many(std::uint64_t seed) {
  if (scenario_.grow == nullptr) return run(seed);
  if (!grown_ || grown_->world.seed() != world_seed(scenario_, seed)) {
    grown_.reset();
    const std::string violation = violation_of([&] { grown_ = begin(seed); });
    if (!violation.empty()) return {.violation = violation};
  }
  const std::string text = in_a_child([&] { return packed(go_on(*grown_, seed)); });
  if (text.empty()) return {.violation = "the run ended before its time"};
  return unpacked(text);
}

}  // namespace wow
