// How large a datagram the path in use carries: Packetization Layer Path MTU Discovery for
// Datagram Transports (RFC 8899), by path challenges padded to the size that is asked about. Sizes
// are those of UDP payloads (of a relayed path: less the relay's header). It decides which sizes to
// try when; Sessions sends them, unfragmented. Only paths with traffic are asked: an idle one costs
// nothing. Control thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "tunnel/path.h"

namespace wow {

class PathMtu {
 public:
  static constexpr std::size_t kBase = 1200;   // RFC 8899, 5.1.2: taken to pass everywhere
  static constexpr std::size_t kGranule = 16;  // nearer than this is not looked for
  static constexpr int kTries = 5;             // of one size: at 5 % loss all are lost once in 10^5
  static constexpr Duration kTryPause = 120ms;   // between two tries; the last waits longer
  static constexpr Duration kConfirm = 1s;       // RFC 8899, 4.3: a black hole is noticed by asking
  static constexpr Duration kRaise = 10min;      // RFC 8899, 5.1.1: PMTU_RAISE_TIMER
  static constexpr Duration kLostAfter = 5s;     // a full queue holds seconds
  static constexpr std::size_t kProbesMax = 64;  // not answered yet; the oldest are forgotten

  // `wanted`: no larger datagrams are ever sent.
  PathMtu(const Path& path, std::size_t wanted);

  const Path& path() const { return path_; }
  // What fits. Until the first look has ended, whatever is wanted: most paths carry that, and
  // packets that must not wait are not held back for those that do not.
  std::size_t datagram_max() const { return max_; }

  struct Probe {
    std::size_t size;
    std::uint64_t token;
    TimePoint sent_at{};
  };
  // What to send now, if anything; and asks to be called again at next().
  std::vector<Probe> due(TimePoint now, Duration round_trip, Random& random);
  TimePoint next() const { return next_; }
  // How many that should have passed were not answered in time; each counts once.
  std::size_t take_lost(TimePoint now);
  // A challenge was answered, so long after it was sent. Nothing: not one of ours.
  std::optional<Duration> on_answer(std::uint64_t token, TimePoint now);

 private:
  void take_answer(std::size_t size, TimePoint now);
  void begin_round(TimePoint now);
  void end_round(TimePoint now);
  bool searching() const { return !sizes_.empty(); }
  // Whether the only question is if what passed before still does.
  bool confirming() const { return sizes_.size() == 1 && sizes_.front() == low_; }
  std::vector<std::size_t> asked_now() const;

  Path path_;
  std::size_t wanted_;
  std::size_t max_;
  std::size_t low_ = kBase;         // the largest that was answered,
  std::size_t high_;                // and the smallest that was not: too large
  std::vector<std::size_t> sizes_;  // asked about in this round and not answered, growing
  int tries_ = 0;                   // of this round
  std::size_t spare_ = kBase;       // what passes if the size in use does not any more
  bool first_look_ = true;
  TimePoint next_{};
  TimePoint raise_at_{};
  std::vector<Probe> probes_;
};

}  // namespace wow
