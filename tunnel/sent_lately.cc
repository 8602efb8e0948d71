#include "tunnel/sent_lately.h"

#include <algorithm>

#include "proto/headers.h"

namespace wow {

void SentLately::add(std::uint32_t circuit, ByteView packet, std::int64_t now_ns) {
  const std::scoped_lock held(lock_);
  keep(circuit, packet, now_ns);
}

void SentLately::add(std::span<const Datagram> messages, std::int64_t now_ns) {
  const std::scoped_lock held(lock_);
  for (const Datagram& message : messages) {
    ByteView rest = message.body;
    while (!rest.empty()) {
      const std::size_t bytes = message.segment_bytes == 0
                                    ? rest.size()
                                    : std::min<std::size_t>(message.segment_bytes, rest.size());
      if (const auto header = RelayHeader::parse(rest.first(bytes))) {
        keep(header->circuit, rest.first(bytes).subspan(RelayHeader::kBytes), now_ns);
      }
      rest = rest.subspan(bytes);
    }
  }
}

void SentLately::keep(std::uint32_t circuit, ByteView packet, std::int64_t now_ns) {
  if (packet.size() > kPacketBytesMax) return;
  if (slots_.size() < packets_max_) slots_.emplace_back();
  Slot& slot = slots_[next_];
  next_ = (next_ + 1) % packets_max_;
  slot.sent_ns = now_ns;
  slot.circuit = circuit;
  slot.bytes = static_cast<std::uint16_t>(packet.size());
  std::ranges::copy(packet, slot.packet.begin());
}

std::vector<Bytes> SentLately::take(std::uint32_t circuit, std::int64_t since_ns) {
  const std::scoped_lock held(lock_);
  std::vector<Bytes> out;
  const std::size_t oldest = slots_.size() < packets_max_ ? 0 : next_;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[(oldest + i) % slots_.size()];
    if (slot.circuit != circuit || slot.sent_ns < since_ns) continue;
    out.push_back(to_bytes(ByteView(slot.packet).first(slot.bytes)));
    slot.circuit = 0;
  }
  return out;
}

}  // namespace wow
