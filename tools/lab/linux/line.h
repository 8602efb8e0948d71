// A line between two nodes: a process with a TAP at each end, which passes frames on as DelayLine
// says. 20 ms come out as 20.1 ms at the median (docs/lab.md says how that was measured).
#pragma once

#include <sys/types.h>

#include <atomic>
#include <filesystem>
#include <string>

#include "tools/lab/linux/system.h"
#include "tools/lab/topology.h"

namespace wow::lab {

// Frames that are under way in one direction; 200 ms at 3 Gbit/s would be 50,000.
inline constexpr std::size_t kFramesOnLineMax = 32'768;

struct LineEnd {
  const Namespaces& network;
  std::string device;
};

// What a line has done, both directions together.
struct LineCounts {
  std::uint64_t passed = 0, lost = 0, too_large = 0, queue_full = 0;
};

// Starts the process, titled `title`, when both TAPs are there; its number, as the caller counts.
// `settings` is the file that tells it the quality, and that it counts in.
pid_t start_line(const std::string& title, const LineEnd& a, const LineEnd& b,
                 const LineQuality& quality, const std::filesystem::path& settings);
// Tells a running line another quality, from the next frame on.
void change_line(const std::filesystem::path& settings, const LineQuality& quality);
LineCounts read_line_counts(const std::filesystem::path& settings);

}  // namespace wow::lab
