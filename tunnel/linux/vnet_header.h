// The header that a TAP with offloads puts in front of each frame: what the host left to the
// network card, and what the card tells the host. Virtio 1.2, 5.1.6.
#pragma once

#include <cstdint>

#include "tunnel/frame_joiner.h"

namespace wow {

// | flags 1 | segmentation 1 | header bytes 2 | segment bytes 2 | sum from 2 | sum at 2 |, in the
// machine's own byte order.
inline constexpr std::size_t kVnetHeaderBytes = 10;
static_assert(kVnetHeaderBytes <= FrameJoiner::kHeadroom);

// What the host left to us of a frame that it sends. The kernel's word, but checked before use.
struct LeftToUs {
  bool checksum = false;
  std::size_t checksum_from = 0;  // of the frame: sum from here,
  std::size_t checksum_at = 0;    // and put it here
  std::size_t segment_bytes = 0;  // cut into segments with so much payload; 0: it is one
};
LeftToUs read_vnet_header(const std::uint8_t* at);

// Says of a frame what may be said: made from the frame, never from the wire.
void write_vnet_header(std::uint8_t* at, const JoinedFrame& frame);

}  // namespace wow
