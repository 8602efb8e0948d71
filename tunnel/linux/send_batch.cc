#include "tunnel/linux/send_batch.h"

namespace wow {

void SendBatch::add(const Endpoint& to, std::size_t bytes, std::uint32_t session,
                    std::uint8_t ecn) {
  const ByteView packet(storage_.get() + used_, bytes);
  used_ += bytes;
  if (!messages_.empty()) {
    Datagram& message = messages_.back();
    if (!last_.is_full && last_.session == session && bytes <= last_.first_bytes &&
        message.ecn == ecn && message.to == to &&
        message.body.size() + bytes <= Datagram::kSegmentedBytesMax) {
      message.body = {message.body.data(), message.body.size() + bytes};
      message.segment_bytes = static_cast<std::uint16_t>(last_.first_bytes);
      last_.is_full = bytes < last_.first_bytes || ++last_.count == Datagram::kSegmentsMax;
      return;
    }
  }
  messages_.push_back({to, {}, packet, ecn, 0});
  last_ = {session, bytes, 1, false};
}

void SendBatch::flush() {
  if (!messages_.empty()) socket_.send(messages_, metrics_);
  messages_.clear();
  used_ = 0;
}

}  // namespace wow
