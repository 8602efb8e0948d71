#include "tools/cli/table.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

namespace wow {

std::string Table::text(bool colour) const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    std::string line;
    for (std::size_t i = 0; i < rows_[r].size(); ++i) {
      line += rows_[r][i];
      if (i + 1 < rows_[r].size()) line.append(widths[i] - rows_[r][i].size() + 2, ' ');
    }
    if (r == 0 && colour) line = "\033[1m" + line + "\033[0m";
    out += line + "\n";
  }
  return out;
}

bool colour_wanted() { return isatty(STDOUT_FILENO) && std::getenv("NO_COLOR") == nullptr; }

std::string bold(const std::string& text) {
  return colour_wanted() ? "\033[1m" + text + "\033[0m" : text;
}

namespace {
std::string printed(const char* format, double a, double b = 0) {
  char out[64];
  std::snprintf(out, sizeof out, format, a, b);
  return out;
}
}  // namespace

std::string human_duration(double s) {
  if (s <= 0) return "0 s";
  if (s < 0.001) return printed("%.2f ms", s * 1e3);
  if (s < 0.1) return printed("%.1f ms", s * 1e3);
  if (s < 1) return printed("%.0f ms", s * 1e3);
  if (s < 60) return printed("%.1f s", s);
  const double minutes = static_cast<double>(static_cast<long>(s / 60));
  if (minutes < 60) return printed("%.0f min", minutes);
  const double hours = static_cast<double>(static_cast<long>(minutes / 60));
  if (hours < 24) return printed("%.0f h %.0f min", hours, minutes - hours * 60);
  const double days = static_cast<double>(static_cast<long>(hours / 24));
  return printed("%.0f d %.0f h", days, hours - days * 24);
}

std::string human_bytes(double bytes) {
  constexpr std::array kUnits = {"B", "kB", "MB", "GB", "TB"};
  std::size_t unit = 0;
  while (bytes >= 1000 && unit + 1 < kUnits.size()) {
    bytes /= 1000;
    ++unit;
  }
  return printed(unit == 0 ? "%.0f " : "%.1f ", bytes) + kUnits[unit];
}

}  // namespace wow
