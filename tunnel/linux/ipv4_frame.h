// The addresses of an IPv4 frame, as workers compare them with their tables.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "tunnel/frame_headers.h"

namespace wow {

struct Ipv4Frame {
  std::uint32_t source = 0, destination = 0;
  std::uint8_t protocol = 0;
  ByteView payload;  // with what pads the frame

  // Nothing unless it is IPv4 and its lengths fit the frame.
  static std::optional<Ipv4Frame> parse(ByteView frame) {
    constexpr std::size_t kIp = kEthernetHeaderBytes;
    if (frame.size() < kIp + 20) return std::nullopt;
    const std::uint8_t* ip = frame.data() + kIp;
    if (get_big_endian(frame.data() + 12, 2) != 0x0800 || ip[0] >> 4 != 4) return std::nullopt;
    const std::size_t header = static_cast<std::size_t>(ip[0] & 15) * 4;
    const std::size_t total = get_big_endian(ip + 2, 2);
    if (header < 20 || total < header || total > frame.size() - kIp) return std::nullopt;
    return Ipv4Frame{static_cast<std::uint32_t>(get_big_endian(ip + 12, 4)),
                     static_cast<std::uint32_t>(get_big_endian(ip + 16, 4)), ip[9],
                     frame.subspan(kIp + header)};
  }
};

}  // namespace wow
