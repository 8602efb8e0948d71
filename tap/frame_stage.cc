#include "tap/frame_stage.h"

#include <algorithm>

namespace wow {

bool FrameStage::add(const Key& key, ByteView frame, std::uint8_t facts) {
  const auto found = waiting_.find(key);
  const auto peers_first = waiting_.lower_bound({key.first, IpAddress()});
  const auto keys_of_peer = std::count_if(
      peers_first, waiting_.end(), [&](auto& item) { return item.first.first == key.first; });
  const bool too_many = found == waiting_.end() && !key.first.is_zero() &&
                        static_cast<std::size_t>(keys_of_peer) >= kKeysPerPeerMax;
  if (too_many || frames_ >= kFramesMax || bytes_ + frame.size() > kBytesMax) {
    metrics_.add(Metric::kDropQueueFull);
    return false;
  }
  auto& queue = waiting_[key];
  if (queue.size() >= kFramesPerKeyMax) {
    metrics_.add(Metric::kDropQueueFull);
    bytes_ -= queue.front().bytes.size();
    --frames_;
    queue.pop_front();
  }
  queue.push_back({to_bytes(frame), facts});
  ++frames_;
  bytes_ += frame.size();
  return found == waiting_.end();
}

std::deque<FrameStage::Frame> FrameStage::take(const Key& key) {
  auto node = waiting_.extract(key);
  if (node.empty()) return {};
  for (const Frame& frame : node.mapped()) bytes_ -= frame.bytes.size();
  frames_ -= node.mapped().size();
  return std::move(node.mapped());
}

}  // namespace wow
