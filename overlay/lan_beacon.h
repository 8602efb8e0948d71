// What members on one LAN tell each other by multicast, sealed under the pool key:
// | version 1 | flags 1 | address 20 | count 1 | each: length 1, endpoint 6 or 18 |
#pragma once

#include <optional>

#include "overlay/member.h"

namespace wow {

struct LanBeacon {
  static constexpr std::uint8_t kSeeks = 0x01;  // not on the ring yet: whoever is may say so

  bool seeks = false;
  Member member;  // its own addresses on the LAN; at most kCandidatesMax

  static std::optional<LanBeacon> parse(ByteView text);
  Bytes write() const;
};

}  // namespace wow
