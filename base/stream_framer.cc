#include "base/stream_framer.h"

namespace wow {

void frame_packet(Bytes& out, ByteView head, ByteView body) {
  std::uint8_t length[kStreamLengthBytes];
  put_big_endian(length, head.size() + body.size(), kStreamLengthBytes);
  out.insert(out.end(), length, length + kStreamLengthBytes);
  out.insert(out.end(), head.begin(), head.end());
  out.insert(out.end(), body.begin(), body.end());
}

}  // namespace wow
