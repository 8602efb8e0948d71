// What left lately, sealed as it went: by circuits, and for peers that seem to be silent. When a
// relay dies nobody can tell which packets it took with it, so all of them go once more, by the way
// that is taken then; the peer's replay window drops those that it has. So do those that were sent
// to a silent peer, when it is back. Any thread; a lock for each batch, not for each packet.
#pragma once

#include <array>
#include <atomic>
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
  static constexpr std::size_t kSilentMax = 64;         // peers

  // What packets are kept by: our leg of the circuit that they went by, or the index by which the
  // peer knows their session.
  using Key = std::uint64_t;
  static Key by_circuit(std::uint32_t circuit) { return circuit; }
  static Key by_session(std::uint32_t index) { return std::uint64_t{1} << 32 | index; }

  // Packets; the oldest gives way. Room is taken as it is needed.
  explicit SentLately(std::size_t packets_max) : packets_max_(packets_max) {}

  // A sealed packet that went out.
  void add(Key key, ByteView packet, std::int64_t now_ns);
  // Of messages to the underlay, each maybe of several packets, those that are relay packets of
  // ours or for silent peers.
  void add(std::span<const Datagram> messages, std::int64_t now_ns);
  // From now on, or no more, those of this session are kept by it.
  void set_silent(std::uint32_t index, bool silent);
  bool is_anybody_silent() const { return silent_count_.load(std::memory_order_relaxed) != 0; }
  // Those that went out since then, oldest first. They are forgotten.
  std::vector<Bytes> take(Key key, std::int64_t since_ns);

 private:
  struct Slot {
    std::int64_t sent_ns = 0;
    Key key = 0;  // 0: empty
    std::uint16_t bytes = 0;
    std::array<std::uint8_t, kPacketBytesMax> packet;
  };
  void keep(Key key, ByteView packet, std::int64_t now_ns);
  void keep_if_wanted(ByteView packet, std::int64_t now_ns);

  const std::size_t packets_max_;
  std::mutex lock_;
  std::vector<std::uint32_t> silent_;  // indexes
  std::atomic<std::size_t> silent_count_{0};
  std::vector<Slot> slots_;
  std::size_t next_ = 0;  // the oldest, once there are as many as there may be
};

}  // namespace wow
