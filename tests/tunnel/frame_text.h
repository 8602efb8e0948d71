// Frames for tests of the arithmetic on them.
#pragma once

#include <string>

#include "base/bytes.h"
#include "tunnel/frame_headers.h"

namespace wow {

// A TCP or UDP frame with true lengths and checksums.
struct TestFrame {
  bool v6 = false;
  bool tcp = true;
  std::uint16_t port = 1000;
  std::uint32_t sequence = 100;
  std::uint8_t flags = 0x10;  // ACK
  std::uint16_t window = 500;
  std::uint16_t id = 7;
  std::uint8_t traffic_class = 0;
  Bytes options = Bytes{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2};  // RFC 7323 timestamps
  Bytes payload = {};

  Bytes bytes() const;
};

// `count` bytes that differ from their neighbours.
Bytes pattern(std::size_t count, std::uint8_t from = 0);

}  // namespace wow
