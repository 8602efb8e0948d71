// One chart as an SVG file: a curve or bars, axes with round ticks, no library.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace wow {

struct Chart {
  enum class Kind { kLine, kBars };
  Kind kind = Kind::kLine;
  std::string title, x_label, y_label;
  std::vector<std::pair<double, double>> points;  // in the order of x
};

// The part of samples that are at most x, over x.
Chart distribution(std::string title, std::string x_label, std::vector<double> samples);
// How many samples have each whole value.
Chart histogram(std::string title, std::string x_label, const std::vector<double>& samples);
std::string svg(const Chart& chart);

}  // namespace wow
