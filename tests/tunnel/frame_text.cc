#include "tests/tunnel/frame_text.h"

namespace wow {

Bytes TestFrame::bytes() const {
  Writer transport;
  if (tcp) {
    transport.u16(port).u16(80).u32(sequence).u32(55);
    transport.u8(static_cast<std::uint8_t>((20 + options.size()) / 4 << 4)).u8(flags);
    transport.u16(window).u16(0).u16(0).bytes(options);
  } else {
    transport.u16(port).u16(53).u16(static_cast<std::uint16_t>(8 + payload.size())).u16(0);
  }
  transport.bytes(payload);
  const auto length = static_cast<std::uint16_t>(transport.view().size());
  const std::uint8_t protocol = tcp ? 6 : 17;
  Writer out;
  out.u48(0x020000000002).u48(0x020000000001).u16(v6 ? 0x86dd : 0x0800);
  if (v6) {
    out.u32(0x60000000u | static_cast<std::uint32_t>(traffic_class) << 20);
    out.u16(length).u8(protocol).u8(64);
    out.bytes(pattern(16, 1)).bytes(pattern(16, 101));
  } else {
    out.u8(0x45).u8(traffic_class).u16(static_cast<std::uint16_t>(20 + length)).u16(id);
    out.u16(0x4000).u8(64).u8(protocol).u16(0).u32(0x0a800001).u32(0x0a800002);
  }
  Bytes frame = out.bytes(transport.view()).take();
  const auto headers = FrameHeaders::parse(frame);
  write_lengths(frame, *headers);
  complete_checksum(frame, *headers);
  return frame;
}

Bytes pattern(std::size_t count, std::uint8_t from) {
  Bytes out(count);
  for (std::size_t i = 0; i < count; ++i)
    out[i] = static_cast<std::uint8_t>(from + i * 7 + i / 256);
  return out;
}

}  // namespace wow
