// The keys of an open session and the two things done with them: sealing on a lane, opening with a
// replay window. A lane belongs to one thread (0: control, 1..: workers); the thread that owns a
// receiver index opens all its packets. Keys are raw bytes; cipher contexts and windows are made on
// first use, so that an idle session stays under 1 KiB.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "base/bytes.h"
#include "base/packet_buffer.h"
#include "proto/headers.h"
#include "tunnel/aead.h"

namespace wow {

inline constexpr int kLanesMax = 8;
inline constexpr std::uint64_t kReplayWindowPackets = 8192;      // RFC 6479
inline constexpr std::uint64_t kFailedOpeningsMax = 1ull << 36;  // RFC 8446, 5.5; RFC 9001, 6.6

// One direction: key and IV, from the exporter.
struct DirectionKeys {
  std::array<std::uint8_t, kAeadKeyBytes> key{};
  std::array<std::uint8_t, kAeadNonceBytes> iv{};
  ~DirectionKeys();
};

// RFC 6479: which counters of a lane were seen. check() before opening, accept() after it has
// opened.
class ReplayWindow {
 public:
  bool would_accept(std::uint64_t counter) const;
  void accept(std::uint64_t counter);

 private:
  static constexpr std::size_t kWords = kReplayWindowPackets / 64 + 1;
  std::uint64_t newest_ = 0;
  bool any_ = false;
  std::array<std::uint64_t, kWords> seen_{};
};

// Seals on one lane. One thread.
class Sealer {
 public:
  Sealer(CipherSuite suite, const DirectionKeys& keys, std::uint32_t receiver_index,
         std::uint8_t lane);

  // A new random salt: at the start of each batch, so that a resumed or cloned machine cannot
  // repeat a nonce.
  void set_salt(std::uint32_t salt) { salt_ = salt; }
  // In: kind byte and payload in `buffer`. Out: a whole data packet. False when the counter is used
  // up.
  bool seal(PacketBuffer& buffer);
  std::uint64_t sealed() const { return counter_; }

 private:
  CipherSuite suite_;
  std::uint8_t lane_;
  std::uint32_t receiver_index_;
  std::uint32_t salt_ = 0;
  DirectionKeys keys_;
  std::uint64_t counter_ = 0;
  std::unique_ptr<Aead> aead_;
};

enum class OpenFailure : std::uint8_t { kNone, kMalformed, kReplayed, kForged };

// Opens what the peer sealed, on whatever lane. Lane 0 and the workers' lanes share nothing but the
// key, and each side has a lock, so that a stray packet on the wrong thread is slow, not a race.
class Opener {
 public:
  Opener(CipherSuite suite, const DirectionKeys& keys);

  // Opens in place; returns kind byte and payload, a view into `packet`, or nothing and why.
  // Nothing changes, and the buffer is wiped, unless the tag holds. Any thread.
  std::optional<MutableBytes> open(MutableBytes packet, OpenFailure* why);
  std::uint64_t failed() const { return failed_.load(std::memory_order_relaxed); }

 private:
  struct Side {
    std::mutex lock;
    std::unique_ptr<Aead> aead;
  };
  CipherSuite suite_;
  DirectionKeys keys_;
  std::atomic<std::uint64_t> failed_{0};
  std::array<Side, 2> sides_;  // lane 0, the others
  std::array<std::unique_ptr<ReplayWindow>, kLanesMax> windows_;
};

}  // namespace wow
