#include "tunnel/frame_joiner.h"

#include <algorithm>
#include <cassert>

namespace wow {
namespace {

constexpr std::size_t kIp = FrameHeaders::kIp;
// RFC 9293, 3.1.
constexpr std::size_t kSequenceAt = 4, kFlagsAt = 13, kWindowAt = 14, kOptionsAt = 20;
constexpr std::uint8_t kFin = 0x01, kPush = 0x08, kAck = 0x10, kEce = 0x40;

bool same(ByteView a, ByteView b, std::size_t from, std::size_t to) {
  return std::equal(a.begin() + static_cast<std::ptrdiff_t>(from),
                    a.begin() + static_cast<std::ptrdiff_t>(to),
                    b.begin() + static_cast<std::ptrdiff_t>(from));
}

// But for length, identification and checksum.
bool same_ip(ByteView a, ByteView b, const FrameHeaders& headers) {
  if (!same(a, b, 0, kIp)) return false;
  if (headers.is_v6) return same(a, b, kIp, kIp + 4) && same(a, b, kIp + 6, headers.transport);
  return same(a, b, kIp, kIp + 2) && same(a, b, kIp + 6, kIp + 10) &&
         same(a, b, kIp + 12, headers.transport);
}

// But for sequence number, checksum and the flags of an end.
bool same_tcp(ByteView a, ByteView b, const FrameHeaders& headers) {
  const std::size_t tcp = headers.transport;
  constexpr std::uint8_t kEnd = kFin | kPush;
  return same(a, b, tcp, tcp + kSequenceAt) && same(a, b, tcp + kSequenceAt + 4, tcp + kFlagsAt) &&
         ((a[tcp + kFlagsAt] ^ b[tcp + kFlagsAt]) & ~kEnd) == 0 &&
         same(a, b, tcp + kWindowAt, tcp + kWindowAt + 2) &&
         same(a, b, tcp + kWindowAt + 4, headers.payload);
}
static_assert(kOptionsAt == kWindowAt + 6);

std::uint32_t sequence_of(ByteView frame, const FrameHeaders& headers) {
  return static_cast<std::uint32_t>(
      get_big_endian(frame.data() + headers.transport + kSequenceAt, 4));
}

}  // namespace

FrameJoiner::FrameJoiner(const Limits& limits, FrameSink& sink)
    : limits_(limits), sink_(sink), storage_(kHeadroom + 1 + kFrameBytesMax + kOpenedBytesMax) {
  begin_ = end_ = kHeadroom + 1;
}

std::uint8_t* FrameJoiner::place(std::size_t plain_bytes) {
  assert(plain_bytes != 0 && plain_bytes <= kOpenedBytesMax);
  // Headers like those of the frame before it would end where its payload ends.
  const std::size_t before = headers_ && end_ > begin_ ? 1u + headers_->payload : 0;
  const bool may_follow = before != 0 && !complete_ && segments_ < kSegmentsMax &&
                          plain_bytes > before && plain_bytes <= before + segment_bytes_ &&
                          end_ - begin_ + plain_bytes - before <= kFrameBytesMax &&
                          end_ - before + plain_bytes <= storage_.size();
  if (!may_follow) flush();
  saved_bytes_ = may_follow ? before : 0;
  placed_ = may_follow ? end_ - before : kHeadroom;
  placed_bytes_ = plain_bytes;
  std::copy_n(storage_.begin() + static_cast<std::ptrdiff_t>(placed_), saved_bytes_,
              saved_.begin());
  return storage_.data() + placed_;
}

MutableBytes FrameJoiner::placed_frame() {
  return {storage_.data() + placed_ + 1, placed_bytes_ - 1};
}

void FrameJoiner::restore() {
  std::copy_n(saved_.begin(), saved_bytes_,
              storage_.begin() + static_cast<std::ptrdiff_t>(placed_));
  saved_bytes_ = 0;
}

void FrameJoiner::drop() { restore(); }

bool FrameJoiner::take(bool partial) {
  const MutableBytes frame = placed_frame();
  const auto headers = FrameHeaders::parse(frame);
  if (partial && !headers) {
    restore();
    return false;
  }
  if (saved_bytes_ == 0) {
    hold(frame, partial ? headers : std::nullopt);
    return true;
  }
  // Its own headers move aside, for they lie on the end of the frame before it.
  std::array<std::uint8_t, 1 + FrameHeaders::kBytesMax> own;
  const std::size_t own_bytes = saved_bytes_;
  std::copy_n(frame.data() - 1, own_bytes, own.begin());
  const bool joins = partial && headers->payload == headers_->payload &&
                     follows(ByteView(own.data() + 1, own_bytes - 1), *headers);
  restore();
  if (joins) {
    append(ByteView(own.data() + 1, own_bytes - 1));
    return true;
  }
  flush();
  std::copy_n(own.begin(), own_bytes, frame.data() - 1);
  hold(frame, partial ? headers : std::nullopt);
  return true;
}

// `frame`: its headers alone.
bool FrameJoiner::follows(ByteView frame, const FrameHeaders& headers) const {
  const ByteView held(storage_.data() + begin_, end_ - begin_);
  if (headers.is_v6 != headers_->is_v6 || headers.protocol != headers_->protocol ||
      headers.transport != headers_->transport || !same_ip(held, frame, headers))
    return false;
  if (!headers.is_tcp()) return same(held, frame, headers.transport, headers.transport + 4u);
  return sequence_of(frame, headers) == next_sequence_ && same_tcp(held, frame, headers);
}

void FrameJoiner::append(ByteView headers) {
  const std::size_t payload = placed_bytes_ - 1 - headers_->payload;
  end_ += payload;
  ++segments_;
  next_sequence_ += static_cast<std::uint32_t>(payload);
  complete_ = payload < segment_bytes_;
  if (!headers_->is_tcp()) return;
  const std::uint8_t end = headers[headers_->transport + kFlagsAt] & (kFin | kPush);
  storage_[begin_ + headers_->transport + kFlagsAt] |= end;
  complete_ = complete_ || end != 0;
}

void FrameJoiner::hold(MutableBytes frame, const std::optional<FrameHeaders>& headers) {
  begin_ = static_cast<std::size_t>(frame.data() - storage_.data());
  end_ = begin_ + frame.size();
  headers_ = headers;
  segments_ = 1;
  saved_bytes_ = 0;
  complete_ = true;
  if (!headers) return;
  segment_bytes_ = frame.size() - headers->payload;
  const bool fits =
      frame.size() <= (headers->is_tcp() ? limits_.tcp_frame_bytes : limits_.udp_frame_bytes);
  if (!headers->is_tcp()) {
    complete_ = segment_bytes_ == 0 || !fits;
    return;
  }
  next_sequence_ = sequence_of(frame, *headers) + static_cast<std::uint32_t>(segment_bytes_);
  const std::uint8_t flags = frame[headers->transport + kFlagsAt];
  complete_ = segment_bytes_ < kTcpSegmentBytesMin || !fits || (flags & ~kEce) != kAck;
}

void FrameJoiner::flush() {
  if (end_ == begin_) return;
  const MutableBytes frame(storage_.data() + begin_, end_ - begin_);
  if (headers_) {
    if (segments_ > 1) write_lengths(frame, *headers_);
    std::uint8_t* field = frame.data() + headers_->transport + headers_->checksum_offset();
    put_big_endian(field, pseudo_header_sum(frame, *headers_), 2);
  }
  sink_.write({frame, headers_, segments_, segment_bytes_});
  begin_ = end_ = kHeadroom + 1;
  headers_.reset();
}

}  // namespace wow
