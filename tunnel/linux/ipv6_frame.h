// The addresses of an IPv6 frame, as workers compare them with their tables.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/endpoint.h"
#include "tunnel/frame_headers.h"

namespace wow {

struct Ipv6Frame {
  ByteView source, destination;
  std::uint8_t next = 0;  // TCP, UDP, an extension header, ...
  ByteView payload;       // with what pads the frame

  // Nothing unless it is IPv6 and its lengths fit the frame.
  static std::optional<Ipv6Frame> parse(ByteView frame) {
    constexpr std::size_t kIp = kEthernetHeaderBytes, kHeader = 40;
    if (frame.size() < kIp + kHeader) return std::nullopt;
    const std::uint8_t* ip = frame.data() + kIp;
    if (get_big_endian(frame.data() + 12, 2) != 0x86dd || ip[0] >> 4 != 6) return std::nullopt;
    if (get_big_endian(ip + 4, 2) > frame.size() - kIp - kHeader) return std::nullopt;
    return Ipv6Frame{frame.subspan(kIp + 8, 16), frame.subspan(kIp + 24, 16), ip[6],
                     frame.subspan(kIp + kHeader)};
  }
  static bool same(ByteView bytes, const IpAddress& ip) {
    return std::equal(bytes.begin(), bytes.end(), ip.mapped().begin());
  }
};

}  // namespace wow
