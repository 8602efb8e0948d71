#include "tools/sim/report.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <cmath>
#include <cstdio>
#include <numeric>

namespace wow {
namespace {

// Four digits that count; more where a bound is close to one ("0.9999").
std::string number(double value) {
  if (std::isinf(value)) return "never";
  char out[32];
  const bool close_to_one = value > 0.99 && value < 1;
  std::snprintf(out, sizeof out, close_to_one ? "%.6f" : "%.4g", value);
  if (std::fabs(value) >= 1000) std::snprintf(out, sizeof out, "%.0f", value);
  return out;
}

std::string with_unit(double value, const std::string& unit) {
  return unit.empty() || std::isinf(value) ? number(value) : number(value) + " " + unit;
}

std::string wanted_text(const Figure& f) {
  if (f.wanted == Figure::Wanted::kNothing) return "-";
  return (f.wanted == Figure::Wanted::kAtMost ? "<= " : ">= ") + with_unit(f.bound, f.unit);
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string json_number(double value) {
  if (std::isinf(value) || std::isnan(value)) return "null";
  char out[32];
  std::snprintf(out, sizeof out, "%.12g", value);
  return out;
}

}  // namespace

bool Figure::met() const {
  if (wanted == Wanted::kAtMost) return measured <= bound;
  return wanted != Wanted::kAtLeast || measured >= bound;
}

void Report::at_most(std::string what, double measured, double bound, std::string unit) {
  figures_.push_back({std::move(what), std::move(unit), Figure::Wanted::kAtMost, bound, measured});
}

void Report::at_least(std::string what, double measured, double bound, std::string unit) {
  figures_.push_back({std::move(what), std::move(unit), Figure::Wanted::kAtLeast, bound, measured});
}

void Report::note(std::string what, double measured, std::string unit) {
  figures_.push_back({std::move(what), std::move(unit), Figure::Wanted::kNothing, 0, measured});
}

bool Report::met() const {
  return std::all_of(figures_.begin(), figures_.end(), [](const Figure& f) { return f.met(); });
}

void Report::merge(const Report& other) {
  for (const Figure& f : other.figures_) {
    const auto mine = std::find_if(figures_.begin(), figures_.end(),
                                   [&](const Figure& m) { return m.what == f.what; });
    if (mine == figures_.end()) {
      figures_.push_back(f);
    } else if (f.wanted == Figure::Wanted::kAtLeast) {
      mine->measured = std::min(mine->measured, f.measured);
    } else {
      mine->measured = std::max(mine->measured, f.measured);
    }
  }
  if (charts_.empty()) charts_ = other.charts_;
}

std::string Report::table() const {
  std::vector<std::vector<std::string>> rows = {{"what", "wanted", "measured"}};
  for (const Figure& f : figures_) {
    rows.push_back(
        {f.what, wanted_text(f), with_unit(f.measured, f.unit) + (f.met() ? "" : "  MISSED")});
  }
  std::size_t widths[2] = {};
  for (const auto& row : rows) {
    for (int i : {0, 1}) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows) {
    for (int i : {0, 1}) out += row[i] + std::string(widths[i] - row[i].size() + 2, ' ');
    out += row[2] + "\n";
  }
  return out;
}

std::string Report::json() const {
  std::string out = "[";
  for (const Figure& f : figures_) {
    if (out.size() > 1) out += ',';
    out += "{\"what\":" + quoted(f.what) + ",\"measured\":" + json_number(f.measured);
    if (!f.unit.empty()) out += ",\"unit\":" + quoted(f.unit);
    if (f.wanted != Figure::Wanted::kNothing) {
      out += std::string(",\"") + (f.wanted == Figure::Wanted::kAtMost ? "at_most" : "at_least") +
             "\":" + json_number(f.bound) + ",\"met\":" + (f.met() ? "true" : "false");
    }
    out += '}';
  }
  return out + "]";
}

Report Report::parse(std::string_view json) {
  Report out;
  const boost::json::value all = boost::json::parse(boost::json::string_view(json));
  for (const boost::json::value& value : all.as_array()) {
    const boost::json::object& f = value.as_object();
    const auto read = [&](const char* name) {
      return f.at(name).is_null() ? kNever : f.at(name).to_number<double>();
    };
    Figure figure;
    figure.what = f.at("what").as_string().c_str();
    if (f.contains("unit")) figure.unit = f.at("unit").as_string().c_str();
    figure.measured = read("measured");
    if (f.contains("at_most")) {
      figure.wanted = Figure::Wanted::kAtMost;
      figure.bound = read("at_most");
    } else if (f.contains("at_least")) {
      figure.wanted = Figure::Wanted::kAtLeast;
      figure.bound = read("at_least");
    }
    out.figures_.push_back(std::move(figure));
  }
  return out;
}

double mean_of(const std::vector<double>& samples) {
  if (samples.empty()) return 0;
  return std::accumulate(samples.begin(), samples.end(), 0.0) / static_cast<double>(samples.size());
}

double quantile(std::vector<double> samples, double part) {
  if (samples.empty()) return 0;
  const auto last = static_cast<double>(samples.size() - 1);
  const auto at = samples.begin() + static_cast<std::ptrdiff_t>(std::ceil(part * last));
  std::nth_element(samples.begin(), at, samples.end());
  return *at;
}

}  // namespace wow
