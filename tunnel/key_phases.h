// The generations of a session's keys. Each is made from the one before by a hash (RFC 5869), so
// that who learns one learns nothing of those that are gone; the low two bits of its number are the
// key phase in each header (RFC 9001, 6, does so with one bit). Both directions step together: an
// end may step once it has heard its peer in the present generation, and follows when it hears it
// in the next. So the ends are never more than one step apart, and nothing needs to be agreed.
// Any thread.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "base/clock.h"
#include "proto/headers.h"

namespace wow {

inline constexpr int kLanesMax = 8;

// One direction: key and IV, the first of them from the exporter.
struct DirectionKeys {
  std::array<std::uint8_t, kAeadKeyBytes> key{};
  std::array<std::uint8_t, kAeadNonceBytes> iv{};
  ~DirectionKeys();
};

class KeyPhases {
 public:
  // What a lane seals in one generation at most: all of them together 2^24 packets (RFC 8446, 5.5,
  // allows 2^24.5).
  static constexpr std::uint64_t kLanePacketsMax = (1ull << 24) / kLanesMax;
  // From half of that on the next one is wanted; and once frames were sent for so long in this one.
  static constexpr std::uint64_t kWantedAfter = kLanePacketsMax / 2;
  static constexpr Duration kWantedAfterTime = std::chrono::minutes(2);
  // Packets of two generations before the present one are still opened, and of the next.
  static constexpr std::uint32_t kOldKept = 2;

  using Secret = std::array<std::uint8_t, 32>;
  // The secrets that the generations after the first come from, by direction.
  KeyPhases(const Secret& sending, const Secret& receiving,
            std::uint64_t wanted_after = kWantedAfter);
  ~KeyPhases();

  // The generation that is sealed in, from 0.
  std::uint32_t current() const { return current_.load(std::memory_order_acquire); }
  std::uint64_t wanted_after() const { return wanted_after_; }
  // What a packet with these two bits would have been sealed in, if anything.
  std::optional<std::uint32_t> generation_of(std::uint8_t phase) const;

  // A packet of `generation` has opened.
  void heard(std::uint32_t generation) {
    if (heard_.load(std::memory_order_relaxed) <= generation) note_heard(generation);
  }
  // A lane has sealed as many packets as it should in `generation`.
  void want_next(std::uint32_t generation);
  // Frames were sealed now.
  void used(std::int64_t now_ns);

  // Keys of generations after the first, made when they are first asked for: forged packets cost
  // that once. The present one's, with its number.
  DirectionKeys sending(std::uint32_t* generation);
  // Nothing if it is gone, or too far ahead.
  std::optional<DirectionKeys> receiving(std::uint32_t generation);

 private:
  struct Chain;  // made with the first step
  void note_heard(std::uint32_t generation);
  void raise(std::uint32_t generation);
  Chain& chain();

  const std::uint64_t wanted_after_;
  std::atomic<std::uint32_t> current_{0};
  std::atomic<std::uint32_t> heard_{0};    // generations in which the peer was heard
  std::atomic<std::int64_t> began_ns_{0};  // frames in this one; 0: none yet
  Secret next_sending_, next_receiving_;   // of the first generation that is not made yet
  std::unique_ptr<Chain> chain_;
};

}  // namespace wow
