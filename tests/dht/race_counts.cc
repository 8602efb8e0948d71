#include "tests/dht/race_counts.h"

#include <algorithm>
#include <string>

namespace wow {

RaceCounts& RaceCounts::operator+=(const RaceCounts& other) {
  for (int RaceCounts::*field :
       {&RaceCounts::races, &RaceCounts::creates, &RaceCounts::won, &RaceCounts::lost,
        &RaceCounts::unavailable, &RaceCounts::reads, &RaceCounts::lists, &RaceCounts::crashes,
        &RaceCounts::amnesias, &RaceCounts::partitions, &RaceCounts::pauses, &RaceCounts::lineages,
        &RaceCounts::doubles}) {
    this->*field += other.*field;
  }
  slowest_heal = std::max(slowest_heal, other.slowest_heal);
  return *this;
}

std::string RaceCounts::text() const {
  const auto item = [](const char* name, int count) {
    return std::string(", ") + std::to_string(count) + " " + name;
  };
  return std::to_string(races) + " races" + item("creates", creates) + item("won", won) +
         item("lost", lost) + item("unavailable", unavailable) + item("reads", reads) +
         item("lists", lists) + item("crashes", crashes) + item("without the store", amnesias) +
         item("partitions", partitions) + item("pauses", pauses) + item("lineages", lineages) +
         item("held twice", doubles) + ", resolved at most " +
         std::to_string(to_seconds(slowest_heal)) + " s after healing";
}

}  // namespace wow
