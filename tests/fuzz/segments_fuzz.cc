// Frames cut and joined: what peers send in any order, with any lie in a header, reaches the host
// whole and in order, and the host is told nothing that is not so.
#include "tests/fuzz/fuzz.h"
#include "tunnel/frame_cutter.h"
#include "tunnel/frame_joiner.h"

namespace wow {
namespace {

// Cuts what was joined again: it must be what was taken, but for what cutting makes anew.
class Host final : public FrameSink {
 public:
  void write(const JoinedFrame& joined) override {
    touch(joined.frame);
    std::fill_n(joined.frame.data() - FrameJoiner::kHeadroom, FrameJoiner::kHeadroom, 0xff);
    written += joined.segments;
    assert(joined.segments == 1 || joined.headers);
    if (!joined.headers) return note(joined.frame, nullptr);
    const auto headers = FrameHeaders::parse(joined.frame);
    assert(headers && headers->payload == joined.headers->payload);
    if (joined.segments == 1) return note(joined.frame, &*headers);
    assert(joined.segment_bytes != 0);
    FrameCutter cutter(joined.frame, *headers, joined.segment_bytes);
    std::size_t count = 0;
    for (MutableBytes one = cutter.next(); !one.empty(); one = cutter.next(), ++count)
      note(one, &*headers);
    assert(count == joined.segments);
  }
  // The payloads in order, and where they go.
  void note(ByteView frame, const FrameHeaders* headers) {
    add(frame.subspan(headers ? headers->payload : 0));
    if (headers) add(frame.subspan(headers->transport, 4));
  }
  void add(ByteView bytes) {
    for (const auto byte : bytes) sum = (sum ^ byte) * 1099511628211u;
  }
  std::uint64_t sum = 1469598103934665603u;
  std::size_t written = 0;
};

// A frame to begin with, so that mutations find the way past the checks.
Bytes some_frame(Choices& choices, std::uint32_t* sequence) {
  const bool tcp = choices.byte() % 4 != 0, v6 = choices.byte() % 4 == 0;
  const std::size_t payload = choices.below(6) == 0 ? choices.below(1400) : 300;
  const std::size_t ip = v6 ? 40 : 20, header = tcp ? 20 : 8;
  Bytes out(14 + ip + header + payload, 0x5a);
  std::uint8_t* at = out.data();
  put_big_endian(at + 12, v6 ? 0x86dd : 0x0800, 2);
  at[14] = v6 ? 0x60 : 0x45;
  at[14 + (v6 ? 6 : 9)] = tcp ? 6 : 17;
  put_big_endian(at + 14 + (v6 ? 4 : 2), out.size() - 14 - (v6 ? 40 : 0), 2);
  if (!v6) put_big_endian(at + 14 + 6, 0, 2);
  std::uint8_t* transport = at + 14 + ip;
  if (tcp) {
    put_big_endian(transport + 4, *sequence, 4);
    transport[12] = 0x50;
    transport[13] = 0x10;
    *sequence += static_cast<std::uint32_t>(payload);
  } else {
    put_big_endian(transport + 4, header + payload, 2);
  }
  for (std::size_t n = choices.byte() % 8 == 0 ? 1 + choices.below(3) : 0; n > 0; --n)
    out[choices.below(std::min<std::size_t>(out.size(), 80))] = choices.byte();
  return out;
}

void join(Choices& choices) {
  Host host;
  Host wanted;
  FrameJoiner joiner({1394, 1394}, host);
  std::uint32_t sequence = 0;
  while (!choices.is_over()) {
    const Bytes frame = choices.byte() % 8 == 0 ? choices.some() : some_frame(choices, &sequence);
    if (frame.size() >= 65535) continue;
    const std::uint8_t how = choices.byte();
    std::uint8_t* at = joiner.place(frame.size() + 1);
    *at = 1;
    std::copy(frame.begin(), frame.end(), at + 1);
    if (how % 16 == 0) {
      std::fill_n(at, frame.size() + 1, 0);
      joiner.drop();
    } else {
      const bool partial = how % 4 != 0;
      const auto headers = FrameHeaders::parse(frame);
      const bool taken = joiner.take(partial);
      assert(taken == (!partial || headers.has_value()));
      if (taken) wanted.note(frame, partial ? &*headers : nullptr);
      wanted.written += taken;
    }
    if (how % 32 == 1) joiner.flush();
  }
  joiner.flush();
  assert(host.written == wanted.written && host.sum == wanted.sum);
}

void cut(ByteView bytes) {
  if (bytes.size() < 2) return;
  const std::size_t segment_bytes = 1 + get_big_endian(bytes.data(), 2) % 2000;
  Bytes frame = to_bytes(bytes.subspan(2));
  frame.resize(std::min<std::size_t>(frame.size(), 65535));
  (void)ecn_of(frame);
  (void)apply_outer_ecn(frame, bytes[0] & 3);
  const auto headers = FrameHeaders::parse(frame);
  if (!headers) return;
  complete_checksum(frame, *headers);
  std::size_t left = frame.size() - headers->payload;
  FrameCutter cutter(frame, *headers, segment_bytes);
  for (MutableBytes one = cutter.next(); !one.empty(); one = cutter.next()) {
    const auto same = FrameHeaders::parse(one);
    assert(same && same->payload == headers->payload);
    left -= one.size() - headers->payload;
  }
  assert(left == 0);
}

}  // namespace
}  // namespace wow

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  wow::cut({data, size});
  wow::Choices choices(data, size);
  wow::join(choices);
  return 0;
}
