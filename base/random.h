// Randomness, passed in: OpenSSL's in the daemon, a seeded generator in the simulator.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/clock.h"

namespace wow {

class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(MutableBytes out) = 0;

  std::uint32_t u32();
  std::uint64_t u64();
  std::uint64_t below(std::uint64_t bound);  // uniform in [0, bound), bound > 0
  double unit();                             // uniform in [0, 1)
  // `base` with up to `fraction` of it added or taken away, so that nodes do not act in step.
  Duration jittered(Duration base, double fraction = 0.2);
};

// A small seeded generator (SplitMix64) for simulation and tests; never for keys.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  void fill(MutableBytes out) override;

 private:
  std::uint64_t next();
  std::uint64_t state_;
};

}  // namespace wow
