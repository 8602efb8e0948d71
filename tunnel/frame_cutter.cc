#include "tunnel/frame_cutter.h"

#include <algorithm>
#include <cassert>

namespace wow {
namespace {

// RFC 9293, 3.1.
constexpr std::size_t kSequenceAt = 4, kFlagsAt = 13;
constexpr std::uint8_t kFin = 0x01, kPush = 0x08, kCwr = 0x80;

}  // namespace

FrameCutter::FrameCutter(MutableBytes frame, const FrameHeaders& headers, std::size_t segment_bytes)
    : frame_(frame), headers_(headers), segment_bytes_(segment_bytes), next_(headers.payload) {
  assert(segment_bytes_ != 0);
  std::copy_n(frame.begin(), headers.payload, template_.begin());
}

MutableBytes FrameCutter::next() {
  if (is_over()) return {};
  const std::size_t payload = std::min(segment_bytes_, frame_.size() - next_);
  const MutableBytes out = frame_.subspan(next_ - headers_.payload, headers_.payload + payload);
  const bool first = number_ == 0, last = next_ + payload == frame_.size();
  if (!first) std::copy_n(template_.begin(), headers_.payload, out.begin());
  if (!headers_.is_v6) {
    const auto id = get_big_endian(template_.data() + FrameHeaders::kIp + 4, 2);
    put_big_endian(out.data() + FrameHeaders::kIp + 4, id + number_, 2);
  }
  if (headers_.is_tcp()) {
    std::uint8_t* tcp = out.data() + headers_.transport;
    const auto sequence = get_big_endian(template_.data() + headers_.transport + kSequenceAt, 4);
    put_big_endian(tcp + kSequenceAt, sequence + (next_ - headers_.payload), 4);
    // RFC 9293, 3.9.1 and RFC 3168, 6.1.2: PSH and FIN belong to the end, CWR to the beginning.
    if (!last) tcp[kFlagsAt] &= static_cast<std::uint8_t>(~(kFin | kPush));
    if (!first) tcp[kFlagsAt] &= static_cast<std::uint8_t>(~kCwr);
  }
  write_lengths(out, headers_);
  next_ += payload;
  ++number_;
  done_ = true;
  return out;
}

}  // namespace wow
