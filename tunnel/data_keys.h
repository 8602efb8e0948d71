// The keys of an open session and the two things done with them: sealing on a lane, opening with a
// replay window. A lane belongs to one thread (0: control, 1..: workers); the thread that owns a
// receiver index opens all its packets. Keys are raw bytes; cipher contexts and windows are made on
// first use, so that an idle session stays under 1 KiB.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/packet_buffer.h"
#include "proto/headers.h"
#include "tunnel/aead.h"
#include "tunnel/key_phases.h"

namespace wow {

// What sealing puts around kind byte and payload.
inline constexpr std::size_t kSealedBytes = DataHeader::kBytes + kAeadTagBytes;
// RFC 6479. The control thread's lane carries little and needs no more than a short one.
inline constexpr std::uint64_t kReplayWindowPackets = 8192;
inline constexpr std::uint64_t kControlReplayWindowPackets = 512;
inline constexpr std::uint64_t kFailedOpeningsMax = 1ull << 36;  // RFC 8446, 5.5; RFC 9001, 6.6

// RFC 6479: which counters of a lane were seen, of the newest kPackets. would_accept() before
// opening, accept() after it has opened.
template <std::uint64_t kPackets>
class ReplayWindow {
 public:
  bool would_accept(std::uint64_t counter) const {
    if (!any_ || counter > newest_) return true;
    if (newest_ - counter >= kPackets) return false;
    return (word(counter / 64) >> counter % 64 & 1) == 0;
  }
  void accept(std::uint64_t counter) {
    if (!any_ || counter > newest_) {
      // RFC 6479, 4: one word more than the window, so that whole words are cleared as it moves.
      const std::uint64_t from = any_ ? newest_ / 64 : 0;
      const std::uint64_t moved = std::min<std::uint64_t>(counter / 64 - from, kWords);
      for (std::uint64_t i = 0; i < moved; ++i) word(counter / 64 - i) = 0;
      newest_ = counter;
      any_ = true;
    }
    word(counter / 64) |= 1ull << counter % 64;
  }

 private:
  static constexpr std::uint64_t kWords = kPackets / 64 + 1;
  std::uint64_t& word(std::uint64_t number) { return seen_[number % kWords]; }
  std::uint64_t word(std::uint64_t number) const { return seen_[number % kWords]; }

  bool any_ = false;
  std::uint64_t newest_ = 0;
  std::array<std::uint64_t, kWords> seen_{};
};

// Seals on one lane, in the present generation of keys. One thread.
class Sealer {
 public:
  // `keys`: of the first generation. `phases` outlives this.
  Sealer(CipherSuite suite, const DirectionKeys& keys, KeyPhases& phases,
         std::uint32_t receiver_index, std::uint8_t lane);

  // A new random salt: at the start of each batch, so that a resumed or cloned machine cannot
  // repeat a nonce.
  void set_salt(std::uint32_t salt) { salt_ = salt; }
  // In: kind byte and payload in `buffer`. Out: a whole data packet. False when the counter is used
  // up, or what may be sealed with these keys and the peer has not been heard under them.
  bool seal(PacketBuffer& buffer);
  // The same from `plain` into `out`, which has plain.size() + kSealedBytes bytes apart from it.
  bool seal(ByteView plain, std::uint8_t* out);
  std::uint64_t sealed() const { return counter_; }

 private:
  // False if there is nothing more to be sealed with.
  bool take_counter() {
    if (in_generation_ >= phases_->wanted_after() || phases_->current() != generation_) {
      if (!next_generation()) return false;
    }
    ++in_generation_;
    return counter_++ <= kCounterMax;
  }
  bool next_generation();

  static constexpr std::uint64_t kCounterMax = (1ull << 48) - 1;
  CipherSuite suite_;
  std::uint8_t lane_;
  std::uint32_t receiver_index_;
  std::uint32_t salt_ = 0;
  DirectionKeys keys_;
  KeyPhases* phases_;
  std::uint32_t generation_ = 0;
  std::uint64_t in_generation_ = 0;  // packets
  std::uint64_t counter_ = 0;        // goes on through all of them: one replay window
  std::uint64_t owner_;
  std::unique_ptr<Aead> aead_;  // lane 0 shares its thread's
};

enum class OpenFailure : std::uint8_t { kNone, kMalformed, kReplayed, kForged };

// Opens what the peer sealed, on whatever lane. Lane 0 and the workers' lanes share nothing but the
// keys, and each side has a lock (lane 0 one for all sessions, for but one thread has business
// there), so that a stray packet on the wrong thread is slow, not a race.
class Opener {
 public:
  // `keys`: of the first generation. `workers`: threads other than one may open. `phases` outlives
  // this.
  Opener(CipherSuite suite, const DirectionKeys& keys, KeyPhases& phases, bool workers = true);
  ~Opener();

  // Opens in place; returns kind byte and payload, a view into `packet`, or nothing and why.
  // Nothing changes, and the buffer is wiped, unless the tag holds. Any thread.
  std::optional<MutableBytes> open(MutableBytes packet, OpenFailure* why);
  // The same from `packet` into `out`, which has packet.size() - kSealedBytes bytes apart from it,
  // wiped unless the tag holds. A packet no longer than kSealedBytes is malformed.
  bool open(ByteView packet, std::uint8_t* out, OpenFailure* why);
  std::uint64_t failed() const { return failed_.load(std::memory_order_relaxed); }

 private:
  // One generation's keys, as one side has them ready.
  struct Phase {
    std::uint32_t generation = 0;
    DirectionKeys keys;
    std::uint64_t owner = new_aead_owner();
    std::unique_ptr<Aead> aead;  // the workers' side; the other shares its thread's
  };
  // What one side has ready: the first generation, which most sessions never leave, and those
  // after it by their low two bits.
  struct Phases {
    Phase first;
    std::unique_ptr<std::array<Phase, kKeyPhaseMask + 1>> later;
  };
  using ControlWindow = ReplayWindow<kControlReplayWindowPackets>;
  using WorkerWindow = ReplayWindow<kReplayWindowPackets>;
  // The workers' lanes: made with the keys where there are workers, else on first use; a lane's
  // window when it is first heard.
  struct WorkerSide {
    std::mutex lock;
    Phases phases;
    std::array<std::unique_ptr<WorkerWindow>, kLanesMax> windows;
  };
  // What these bits name, or nothing.
  Phase* phase_of(Phases& ready, std::uint8_t bits);
  void make_worker_side();
  // `window`: null if the lane was not heard yet.
  template <typename Window>
  bool open_on(const Window* window, Phases& ready, const DataHeader& header, ByteView packet,
               std::uint8_t* out, OpenFailure* why);
  static std::mutex& control_lock();
  Aead& aead_of(Phase& phase, std::uint8_t lane) const;

  CipherSuite suite_;
  KeyPhases& generations_;
  std::atomic<std::uint64_t> failed_{0};
  Phases control_;
  ControlWindow control_window_;
  std::unique_ptr<WorkerSide> workers_;
};

}  // namespace wow
