#include "tunnel/linux/send_batch.h"

#include "proto/headers.h"

namespace wow {

void SendBatch::add(const Endpoint& to, std::size_t bytes, std::uint32_t session,
                    std::uint8_t ecn) {
  const ByteView packet(storage_.get() + used_, bytes);
  used_ += bytes;
  has_relayed_ |= packet[0] == static_cast<std::uint8_t>(PacketType::kRelay);
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
  has_streams_ |= to.is_stream();
  messages_.push_back({to, {}, packet, ecn, 0});
  last_ = {session, bytes, 1, false};
}

void SendBatch::flush() {
  if (has_relayed_ || sent_lately_.is_anybody_silent()) sent_lately_.add(messages_, now_ns_);
  has_relayed_ = false;
  if (has_streams_) hand_to_streams();
  if (!messages_.empty()) socket_.send(messages_, metrics_);
  messages_.clear();
  used_ = 0;
}

void SendBatch::hand_to_streams() {
  std::erase_if(messages_, [this](const Datagram& message) {
    if (!message.to.is_stream()) return false;
    if (!streams_.push(message)) metrics_.add(Metric::kDropStream);
    return true;
  });
  has_streams_ = false;
}

}  // namespace wow
