#include "tunnel/sent_lately.h"

#include <algorithm>

#include "proto/headers.h"

namespace wow {

void SentLately::add(Key key, ByteView packet, std::int64_t now_ns) {
  const std::scoped_lock held(lock_);
  keep(key, packet, now_ns);
}

void SentLately::set_silent(std::uint32_t index, bool silent) {
  const std::scoped_lock held(lock_);
  std::erase(silent_, index);
  if (silent && silent_.size() < kSilentMax) silent_.push_back(index);
  silent_count_.store(silent_.size(), std::memory_order_relaxed);
}

void SentLately::add(std::span<const Datagram> messages, std::int64_t now_ns) {
  const std::scoped_lock held(lock_);
  for (const Datagram& message : messages) {
    ByteView rest = message.body;
    while (!rest.empty()) {
      const std::size_t bytes = message.segment_bytes == 0
                                    ? rest.size()
                                    : std::min<std::size_t>(message.segment_bytes, rest.size());
      keep_if_wanted(rest.first(bytes), now_ns);
      rest = rest.subspan(bytes);
    }
  }
}

void SentLately::keep_if_wanted(ByteView packet, std::int64_t now_ns) {
  if (const auto relay = RelayHeader::parse(packet))
    return keep(by_circuit(relay->circuit), packet.subspan(RelayHeader::kBytes), now_ns);
  const auto data = silent_.empty() ? std::nullopt : DataHeader::parse(packet);
  if (data && std::ranges::find(silent_, data->receiver_index) != silent_.end())
    keep(by_session(data->receiver_index), packet, now_ns);
}

void SentLately::keep(Key key, ByteView packet, std::int64_t now_ns) {
  if (packet.size() > kPacketBytesMax) return;
  if (slots_.size() < packets_max_) slots_.emplace_back();
  Slot& slot = slots_[next_];
  next_ = (next_ + 1) % packets_max_;
  slot.sent_ns = now_ns;
  slot.key = key;
  slot.bytes = static_cast<std::uint16_t>(packet.size());
  std::ranges::copy(packet, slot.packet.begin());
}

std::vector<Bytes> SentLately::take(Key key, std::int64_t since_ns) {
  const std::scoped_lock held(lock_);
  std::vector<Bytes> out;
  const std::size_t oldest = slots_.size() < packets_max_ ? 0 : next_;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[(oldest + i) % slots_.size()];
    if (slot.key != key || slot.sent_ns < since_ns) continue;
    out.push_back(to_bytes(ByteView(slot.packet).first(slot.bytes)));
    slot.key = 0;
  }
  return out;
}

}  // namespace wow
