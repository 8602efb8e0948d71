// Runs of one scenario with one seed after the other, and what each came to.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "tools/sim/scenario.h"

namespace wow {

struct Outcome {
  Report report = {};
  std::string violation = {};  // of safety; empty: none
  std::uint64_t trace_hash = 0;
  bool good() const { return violation.empty() && report.met(); }
};

class SeedRuns {
 public:
  // Makes the progress of a run with this seed.
  using Progress = std::function<SimRun::Progress(std::uint64_t seed)>;
  SeedRuns(const Scenario& scenario, SimOptions options, Progress progress)
      : scenario_(scenario), options_(std::move(options)), progress_(std::move(progress)) {}

  // From beginning to end.
  Outcome run(std::uint64_t seed);
  // The same, but for charts, of one of many: where they share their beginning (Scenario::grow), it
  // is made once, and each goes on from it in a process of its own. Throws std::system_error if
  // there can be none.
  Outcome run_one_of_many(std::uint64_t seed);

 private:
  std::unique_ptr<SimRun> begin(std::uint64_t seed) const;
  Outcome go_on(SimRun& run, std::uint64_t seed) const;

  const Scenario& scenario_;
  const SimOptions options_;
  const Progress progress_;
  std::unique_ptr<SimRun> grown_;
};

}  // namespace wow
