// What left by circuits lately, sealed as it went. When a relay dies nobody can tell which packets
// it took with it, so all of them go once more, by the way that is taken then; the peer's replay
// window drops those that it has. Any thread; a lock for each batch, not for each packet.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/transport.h"

namespace wow {

class SentLately {
 public:
  static constexpr std::size_t kPacketBytesMax = 1536;  // larger ones are not kept
  // Packets; the oldest gives way. Room is taken as it is needed.
  explicit SentLately(std::size_t packets_max) : packets_max_(packets_max) {}

  // A sealed packet that went out by our leg `circuit`.
  void add(std::uint32_t circuit, ByteView packet, std::int64_t now_ns);
  // Of messages to the underlay those that are relay packets of ours, each maybe of several.
  void add(std::span<const Datagram> messages, std::int64_t now_ns);
  // Those of one circuit that went out since then, oldest first. They are forgotten.
  std::vector<Bytes> take(std::uint32_t circuit, std::int64_t since_ns);

 private:
  struct Slot {
    std::int64_t sent_ns = 0;
    std::uint32_t circuit = 0;  // 0: empty
    std::uint16_t bytes = 0;
    std::array<std::uint8_t, kPacketBytesMax> packet;
  };
  void keep(std::uint32_t circuit, ByteView packet, std::int64_t now_ns);

  const std::size_t packets_max_;
  std::mutex lock_;
  std::vector<Slot> slots_;
  std::size_t next_ = 0;  // the oldest, once there are as many as there may be
};

}  // namespace wow
