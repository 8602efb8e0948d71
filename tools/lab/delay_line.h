// When a frame that enters a line at one end leaves it at the other: delay, jitter, loss, rate.
// Time and chance are passed in; the frames themselves are their carrier's.
#pragma once

#include <optional>

#include "base/clock.h"
#include "base/random.h"
#include "tools/lab/topology.h"

namespace wow::lab {

// What waits for its turn on a line with a rate; more is dropped, as a router's queue does.
inline constexpr Duration kLineQueueMax = 100ms;
// Preamble, frame check and gap, which a real wire carries beside each frame (IEEE 802.3).
inline constexpr std::size_t kWireBytes = 24;
inline constexpr std::size_t kEthernetHeaderBytes = 14;

class DelayLine {
 public:
  explicit DelayLine(std::uint64_t seed) : random_(seed) {}

  enum class Fate { kPasses, kLost, kTooLarge, kQueueFull };
  struct Admission {
    Fate fate;
    TimePoint due;  // if it passes; never before that of an earlier frame, unless `reorder`
  };
  // `frame_bytes`: with its Ethernet header.
  Admission admit(const LineQuality& line, std::size_t frame_bytes, TimePoint now);

 private:
  SeededRandom random_;
  TimePoint wire_free_{};  // when the last frame has left the sender
  TimePoint last_due_{};
};

}  // namespace wow::lab
