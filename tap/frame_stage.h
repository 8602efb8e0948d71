// Frames that wait until it is known whom their address belongs to. Bounded in every direction.
#pragma once

#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/endpoint.h"
#include "base/metrics.h"

namespace wow {

class FrameStage {
 public:
  static constexpr std::size_t kFramesPerKeyMax = 256;  // full: the oldest is dropped
  static constexpr std::size_t kKeysPerPeerMax = 4;     // one peer cannot fill the stage
  static constexpr std::size_t kFramesMax = 4096;
  static constexpr std::size_t kBytesMax = 16 << 20;

  // The peer that sent the frames (zero: our own host) and the address to be looked up.
  using Key = std::pair<Address, IpAddress>;

  explicit FrameStage(MetricSlot& metrics) : metrics_(metrics) {}

  struct Frame {
    Bytes bytes;
    std::uint8_t facts;
  };

  // Keeps a copy. True if this is the first frame of its key: the caller looks the address up and
  // then calls take().
  bool add(const Key& key, ByteView frame, std::uint8_t facts);
  std::deque<Frame> take(const Key& key);

 private:
  MetricSlot& metrics_;
  std::map<Key, std::deque<Frame>> waiting_;
  std::size_t frames_ = 0, bytes_ = 0;
};

}  // namespace wow
