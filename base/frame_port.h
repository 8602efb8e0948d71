// The seam to a virtual interface: Ethernet frames of a TAP, in batches.
#pragma once

#include <span>

#include "base/bytes.h"

namespace wow {

class FramePort {
 public:
  virtual ~FramePort() = default;
  // Hands frames to the host's network stack. Best effort; the views need to live only during the
  // call.
  virtual void write(std::span<const ByteView> frames) = 0;
};

}  // namespace wow
