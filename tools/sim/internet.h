// How long packets take in a made-up internet: hosts live in cities, cities in a few regions; light
// in fibre sets the floor, detours of cables and each host's own access line do the rest, with a
// long tail. Or a matrix that somebody measured. Functions of host numbers and a seed alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"

namespace wow {

class Internet {
 public:
  explicit Internet(std::uint64_t seed) : seed_(seed) {}
  // One way, from host to host; both directions take the same time.
  Duration latency(std::uint32_t from, std::uint32_t to);

 private:
  // A place on the unit sphere, and the time to get onto the net there.
  struct Spot {
    double x, y, z, access_ms;
  };
  Spot spot_of(std::uint32_t host) const;

  std::uint64_t seed_;
  std::vector<Spot> spots_;  // of the hosts asked about so far
};

class LatencyMatrix {
 public:
  // Lines of one-way milliseconds, separated by blanks: as many lines as numbers in each. Throws
  // std::runtime_error with the line that is wrong.
  static LatencyMatrix read(const std::string& file);
  static LatencyMatrix parse(const std::string& text);
  // Host numbers beyond the matrix begin again at its first line.
  Duration latency(std::uint32_t from, std::uint32_t to) const;
  std::size_t size() const { return size_; }

 private:
  std::size_t size_ = 0;
  std::vector<Duration> entries_;
};

}  // namespace wow
