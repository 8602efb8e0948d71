// The kernel's randomness, unbuffered: a resumed or cloned machine must not repeat what a buffer
// still held.
#pragma once

#include "base/random.h"

namespace wow {

class SystemRandom final : public Random {
 public:
  void fill(MutableBytes out) override;
};

}  // namespace wow
