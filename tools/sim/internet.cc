#include "tools/sim/internet.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <numbers>
#include <sstream>
#include <stdexcept>

#include "base/random.h"

namespace wow {
namespace {

// Where people are: latitude, longitude, share of all hosts, how far its cities lie apart.
struct Region {
  double latitude, longitude, share, spread_degrees;
};
constexpr std::array<Region, 8> kRegions = {{
    {40, -77, 0.17, 7},   // eastern North America
    {37, -120, 0.10, 6},  // western North America
    {50, 8, 0.25, 8},     // Europe
    {-20, -47, 0.08, 7},  // South America
    {20, 78, 0.12, 7},    // India
    {33, 115, 0.17, 9},   // East Asia
    {-33, 148, 0.05, 6},  // Australia
    {5, 15, 0.06, 15},    // Africa
}};
constexpr double kEarthRadiusKm = 6371, kFibreKmPerMs = 200;

}  // namespace

Internet::Spot Internet::spot_of(std::uint32_t host) const {
  SeededRandom random(seed_ ^ (std::uint64_t{host} + 1) * 0x9e3779b97f4a7c15);
  double dice = random.unit();
  const Region* region = &kRegions.back();
  for (const Region& r : kRegions) {
    if (dice < r.share) {
      region = &r;
      break;
    }
    dice -= r.share;
  }
  const auto around = [&](double center) {
    // The sum of three is round enough.
    const double offset = random.unit() + random.unit() + random.unit() - 1.5;
    return (center + 2 * offset * region->spread_degrees) * std::numbers::pi / 180;
  };
  const double latitude = around(region->latitude), longitude = around(region->longitude);
  // Half of all access lines take less than 2 ms, one in a hundred more than 40 (a Pareto tail).
  const double access = std::min(0.3 + 0.85 / std::pow(1 - random.unit(), 0.85), 300.0);
  return {std::cos(latitude) * std::cos(longitude), std::cos(latitude) * std::sin(longitude),
          std::sin(latitude), access};
}

Duration Internet::latency(std::uint32_t from, std::uint32_t to) {
  const auto [low, high] = std::minmax(from, to);
  while (spots_.size() <= high)
    spots_.push_back(spot_of(static_cast<std::uint32_t>(spots_.size())));
  const Spot &a = spots_[low], &b = spots_[high];
  const double cosine = a.x * b.x + a.y * b.y + a.z * b.z;
  const double km = kEarthRadiusKm * std::acos(std::clamp(cosine, -1.0, 1.0));
  // Cables are 1.2 to 2 times as long as the way of birds.
  SeededRandom pair(seed_ ^ (std::uint64_t{low} << 32 | high));
  const double dice = pair.unit();
  const double ms = km * (1.2 + 0.8 * dice * dice) / kFibreKmPerMs + a.access_ms + b.access_ms;
  return Duration(static_cast<Duration::rep>(ms * 1e6));
}

LatencyMatrix LatencyMatrix::read(const std::string& file) {
  std::ifstream in(file);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) throw std::runtime_error("cannot read the latency matrix " + file);
  return parse(text.str());
}

LatencyMatrix LatencyMatrix::parse(const std::string& text) {
  LatencyMatrix out;
  std::istringstream lines(text);
  std::size_t lines_seen = 0;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream numbers(line);
    std::size_t width = 0;
    for (double ms; numbers >> ms; ++width) {
      if (!(ms >= 0 && ms < 60'000)) break;
      out.entries_.push_back(Duration(static_cast<Duration::rep>(ms * 1e6)));
    }
    if (!numbers.eof())
      throw std::runtime_error("latency matrix: no number of milliseconds in line " +
                               std::to_string(lines_seen + 1));
    if (width == 0) continue;
    if (out.size_ == 0) out.size_ = width;
    if (++lines_seen > out.size_ || width != out.size_) break;
  }
  if (out.size_ == 0 || out.entries_.size() != out.size_ * out.size_)
    throw std::runtime_error("latency matrix: not as many lines as numbers in each");
  return out;
}

Duration LatencyMatrix::latency(std::uint32_t from, std::uint32_t to) const {
  return entries_[from % size_ * size_ + to % size_];
}

}  // namespace wow
