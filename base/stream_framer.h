// Packets in a stream of bytes: | length 2 | packet |, again and again. Finds them in whatever
// pieces the bytes come in. Pure; bounded.
#pragma once

#include "base/bytes.h"

namespace wow {

// As large as a datagram that is taken (UdpReceiver::kDatagramBytesMax).
inline constexpr std::size_t kStreamPacketBytesMax = 9216;
inline constexpr std::size_t kStreamLengthBytes = 2;

class StreamFramer {
 public:
  // Calls `packet(MutableBytes)` for each that is whole now. False: a length that nobody sends, 0
  // or more than kStreamPacketBytesMax; what follows means nothing any more.
  template <typename Packet>
  bool take(ByteView bytes, Packet&& packet) {
    kept_.insert(kept_.end(), bytes.begin(), bytes.end());
    std::size_t at = 0;
    bool valid = true;
    while (kept_.size() - at >= kStreamLengthBytes) {
      const auto length =
          static_cast<std::size_t>(get_big_endian(kept_.data() + at, kStreamLengthBytes));
      valid = length > 0 && length <= kStreamPacketBytesMax;
      if (!valid || kept_.size() - at - kStreamLengthBytes < length) break;
      packet(MutableBytes(kept_.data() + at + kStreamLengthBytes, length));
      at += kStreamLengthBytes + length;
    }
    kept_.erase(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(at));
    return valid;
  }

 private:
  Bytes kept_;  // less than a packet, between two calls
};

// Appends `head` and `body` as one packet.
void frame_packet(Bytes& out, ByteView head, ByteView body);

}  // namespace wow
