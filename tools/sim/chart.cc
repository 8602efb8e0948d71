#include "tools/sim/chart.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

namespace wow {
namespace {

constexpr double kWidth = 720, kHeight = 420, kLeft = 70, kRight = 20, kTop = 40, kBottom = 55;

std::string text_of(double value) {
  char out[32];
  std::snprintf(out, sizeof out, "%.6g", value);
  return out;
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') {
      out += "&lt;";
    } else if (c == '&') {
      out += "&amp;";
    } else {
      out += c;
    }
  }
  return out;
}

// A span from zero to a little more than `most`, in steps of 1, 2 or 5 times a power of ten.
struct Axis {
  explicit Axis(double most) {
    if (!(most > 0)) most = 1;
    const double rough = most / 6, power = std::pow(10, std::floor(std::log10(rough)));
    step = power;
    for (const double factor : {2.0, 5.0, 10.0}) {
      if (step < rough) step = power * factor;
    }
    end = std::ceil(most / step - 1e-9) * step;
  }
  double step = 1, end = 1;
};

std::string element(const char* format, auto... values) {
  char out[256];
  std::snprintf(out, sizeof out, format, values...);
  return out;
}

std::string label(double x, double y, const char* anchor, const std::string& text,
                  const char* more = "") {
  return element("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" %s>", x, y, anchor, more) +
         escaped(text) + "</text>\n";
}

}  // namespace

Chart distribution(std::string title, std::string x_label, std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  Chart out{Chart::Kind::kLine, std::move(title), std::move(x_label), "part", {{0, 0}}};
  // A thousand points are more than one can see.
  const std::size_t step = std::max<std::size_t>(1, samples.size() / 1000);
  for (std::size_t i = 0; i < samples.size(); i += step)
    out.points.emplace_back(samples[i], static_cast<double>(i + 1) / samples.size());
  if (!samples.empty()) out.points.emplace_back(samples.back(), 1);
  return out;
}

Chart histogram(std::string title, std::string x_label, const std::vector<double>& samples) {
  std::map<double, double> counts;
  for (const double s : samples) ++counts[std::round(s)];
  Chart out{Chart::Kind::kBars, std::move(title), std::move(x_label), "count", {}};
  out.points.assign(counts.begin(), counts.end());
  return out;
}

std::string svg(const Chart& chart) {
  const bool bars = chart.kind == Chart::Kind::kBars;
  double x_most = 0, y_most = 0;
  for (const auto& [x, y] : chart.points) {
    x_most = std::max(x_most, x + (bars ? 0.5 : 0));
    y_most = std::max(y_most, y);
  }
  const Axis x_axis(x_most), y_axis(y_most);
  const double plot_width = kWidth - kLeft - kRight, plot_height = kHeight - kTop - kBottom;
  const auto at_x = [&](double x) { return kLeft + plot_width * x / x_axis.end; };
  const auto at_y = [&](double y) { return kHeight - kBottom - plot_height * y / y_axis.end; };
  std::string out = element(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n",
      kWidth, kHeight);
  out += "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  for (double x = 0; x <= x_axis.end * 1.0001; x += x_axis.step) {
    out += element("<path d=\"M%.1f %.1fV%.1f\" stroke=\"#ddd\"/>\n", at_x(x), at_y(0),
                   at_y(y_axis.end));
    out += label(at_x(x), at_y(0) + 16, "middle", text_of(x));
  }
  for (double y = 0; y <= y_axis.end * 1.0001; y += y_axis.step) {
    out += element("<path d=\"M%.1f %.1fH%.1f\" stroke=\"#ddd\"/>\n", at_x(0), at_y(y),
                   at_x(x_axis.end));
    out += label(at_x(0) - 6, at_y(y) + 4, "end", text_of(y));
  }
  out += label(kWidth / 2, 22, "middle", chart.title, "font-size=\"15\"");
  out += label(kLeft + plot_width / 2, kHeight - 14, "middle", chart.x_label);
  out += label(
      0, 0, "middle", chart.y_label,
      element("transform=\"translate(18 %.1f) rotate(-90)\"", kTop + plot_height / 2).c_str());
  if (bars) {
    const double width = std::max(1.0, at_x(0.8) - at_x(0));
    for (const auto& [x, y] : chart.points) {
      out += element("<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"#26a\"/>\n",
                     at_x(x) - width / 2, at_y(y), width, at_y(0) - at_y(y));
    }
  } else {
    out += "<polyline fill=\"none\" stroke=\"#26a\" stroke-width=\"2\" points=\"";
    for (const auto& [x, y] : chart.points) out += element("%.1f,%.1f ", at_x(x), at_y(y));
    out += "\"/>\n";
  }
  return out + "</svg>\n";
}

}  // namespace wow
