// Cuts a frame that the host's stack left unsegmented (TCP or UDP segmentation offload) into the
// frames that its network card would have made. In place: a segment's headers are written in front
// of its payload, over the end of the one before, which the caller has sealed by then.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "tunnel/frame_headers.h"

namespace wow {

class FrameCutter {
 public:
  // `frame` as it left the host, `headers` its own; `segment_bytes`: of payload in each but the
  // last, 1 or more. The checksum fields of the segments are not computed.
  FrameCutter(MutableBytes frame, const FrameHeaders& headers, std::size_t segment_bytes);

  // The next segment, valid until the one after it is asked for; empty at the end. A frame without
  // payload is one segment.
  MutableBytes next();

 private:
  bool is_over() const { return done_ && next_ == frame_.size(); }

  const MutableBytes frame_;
  const FrameHeaders headers_;
  const std::size_t segment_bytes_;
  std::array<std::uint8_t, FrameHeaders::kBytesMax> template_;
  std::size_t next_;  // where the payload of the next segment begins
  std::uint16_t number_ = 0;
  bool done_ = false;
};

}  // namespace wow
