// The keys of an open session and the two things done with them: sealing on a lane, opening with a
// replay window. A lane belongs to one thread (0: control, 1..: workers); the thread that owns a
// receiver index opens all its packets. Keys are raw bytes; cipher contexts and windows are made on
// first use, so that an idle session stays under 1 KiB.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/packet_buffer.h"
#include "proto/headers.h"
#include "tunnel/aead.h"

namespace wow {

inline constexpr int kLanesMax = 8;
// What sealing puts around kind byte and payload.
inline constexpr std::size_t kSealedBytes = DataHeader::kBytes + kAeadTagBytes;
// RFC 6479. The control thread's lane carries little and needs no more than a short one.
inline constexpr std::uint64_t kReplayWindowPackets = 8192;
inline constexpr std::uint64_t kControlReplayWindowPackets = 512;
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
  explicit ReplayWindow(std::uint64_t packets = kReplayWindowPackets)
      : words_(packets / 64),
        mask_(std::bit_ceil(words_ + 1) - 1),
        seen_(std::make_unique<std::uint64_t[]>(mask_ + 1)) {}
  bool would_accept(std::uint64_t counter) const;
  void accept(std::uint64_t counter);

 private:
  std::uint64_t words_;  // of the window; there is at least one more
  std::uint64_t mask_;
  bool any_ = false;
  std::uint64_t newest_ = 0;
  std::unique_ptr<std::uint64_t[]> seen_;
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
  // The same from `plain` into `out`, which has plain.size() + kSealedBytes bytes apart from it.
  bool seal(ByteView plain, std::uint8_t* out);
  std::uint64_t sealed() const { return counter_; }

 private:
  CipherSuite suite_;
  std::uint8_t lane_;
  std::uint32_t receiver_index_;
  std::uint32_t salt_ = 0;
  DirectionKeys keys_;
  std::uint64_t counter_ = 0;
  std::uint64_t owner_;
  std::unique_ptr<Aead> aead_;  // lane 0 shares its thread's
};

enum class OpenFailure : std::uint8_t { kNone, kMalformed, kReplayed, kForged };

// Opens what the peer sealed, on whatever lane. Lane 0 and the workers' lanes share nothing but the
// key, and each side has a lock, so that a stray packet on the wrong thread is slow, not a race.
class Opener {
 public:
  // `workers`: threads other than one may open.
  Opener(CipherSuite suite, const DirectionKeys& keys, bool workers = true);

  // Opens in place; returns kind byte and payload, a view into `packet`, or nothing and why.
  // Nothing changes, and the buffer is wiped, unless the tag holds. Any thread.
  std::optional<MutableBytes> open(MutableBytes packet, OpenFailure* why);
  // The same from `packet` into `out`, which has packet.size() - kSealedBytes bytes apart from it,
  // wiped unless the tag holds. A packet no longer than kSealedBytes is malformed.
  bool open(ByteView packet, std::uint8_t* out, OpenFailure* why);
  std::uint64_t failed() const { return failed_.load(std::memory_order_relaxed); }

 private:
  // The workers' lanes: made with the keys where there are workers, else on first use.
  struct WorkerSide {
    std::mutex lock;
    std::unique_ptr<Aead> aead;
    std::array<std::optional<ReplayWindow>, kLanesMax> windows;
  };
  template <typename AeadOf>
  bool open_on(std::optional<ReplayWindow>& window, AeadOf aead, const DataHeader& header,
               ByteView packet, std::uint8_t* out, OpenFailure* why);

  CipherSuite suite_;
  DirectionKeys keys_;
  std::uint64_t owner_ = new_aead_owner();
  std::atomic<std::uint64_t> failed_{0};
  std::mutex control_lock_;
  std::optional<ReplayWindow> control_window_;
  std::unique_ptr<WorkerSide> workers_;
};

}  // namespace wow
