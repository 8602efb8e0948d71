// What happened in races: of one run, or of many together.
#pragma once

#include <string>

#include "base/clock.h"

namespace wow {

struct RaceCounts {
  int races = 0, creates = 0, won = 0, lost = 0, unavailable = 0, reads = 0, lists = 0;
  int crashes = 0, amnesias = 0, partitions = 0, pauses = 0, lineages = 0, doubles = 0;
  Duration slowest_heal{};
  RaceCounts& operator+=(const RaceCounts& other);
  std::string text() const;
};

}  // namespace wow
