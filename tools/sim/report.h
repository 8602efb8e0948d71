// What a simulation found: figures with the bounds that are wanted of them, of one seed or the
// worst of several, and charts.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "tools/sim/chart.h"

namespace wow {

struct Figure {
  enum class Wanted { kNothing, kAtMost, kAtLeast };
  std::string what, unit;
  Wanted wanted = Wanted::kNothing;
  double bound = 0;
  double measured = 0;  // infinite: it did not happen
  bool met() const;
};

class Report {
 public:
  void at_most(std::string what, double measured, double bound, std::string unit = "");
  void at_least(std::string what, double measured, double bound, std::string unit = "");
  void note(std::string what, double measured, std::string unit = "");
  void add(Chart chart) { charts_.push_back(std::move(chart)); }

  const std::vector<Figure>& figures() const { return figures_; }
  const std::vector<Chart>& charts() const { return charts_; }
  bool met() const;
  // Of several seeds the worst of each figure counts (of notes, the highest).
  void merge(const Report& other);

  // Aligned: what | wanted | measured.
  std::string table() const;
  std::string json() const;
  // The figures of what json() wrote.
  static Report parse(std::string_view json);

 private:
  std::vector<Figure> figures_;
  std::vector<Chart> charts_;
};

inline constexpr double kNever = std::numeric_limits<double>::infinity();

double mean_of(const std::vector<double>& samples);
// The value that this part of the samples does not exceed; 0 if there are none.
double quantile(std::vector<double> samples, double part);

}  // namespace wow
