// The paths of one session: which are proven, which is used, and the challenges that are out. It
// decides; Sessions sends. Control thread only.
#pragma once

#include <optional>
#include <vector>

#include "base/random.h"
#include "tunnel/session.h"

namespace wow {

// One path and how it stands.
struct PathRecord {
  PathState state;             // `validated` while proven and not suspect
  bool proven = false;         // a key exchange ended on it, or it was answered
  bool suspect = false;        // since then it does not, or an end of it has moved
  bool announce_move = false;  // challenges say that we have moved
  bool probing = false;        // challenges are repeated until one is answered:
  std::int16_t unanswered = 0;
  std::int16_t excused = 0;  // looks that came too late to judge by, of this probing
  TimePoint next_probe{};
  TimePoint last_heard{};  // any packet that opened
  TimePoint last_challenged{-1h};
  Duration left_after{};  // what silence the peer left it, if that was long

  // Along the ring every node can be tried; any other way must have shown that it leads there.
  bool is_usable() const { return proven || state.path.is_routed(); }
  void doubt() {
    suspect = true;
    state.validated = false;
  }
  void start_probing(TimePoint now) {
    // Beginning again is no reprieve for an address that may be another's.
    if (state.answered || !probing) unanswered = 0;
    excused = 0;
    probing = true;
    next_probe = now;
  }
};

class PathSet {
 public:
  static constexpr std::size_t kChallengesMax = 32;
  static constexpr Duration kChallengeLife = 10s;
  // A path that was heard or answered within this may be thought alive.
  static constexpr Duration kFresh = 5s;

  explicit PathSet(std::size_t paths_max) : paths_max_(paths_max) {}

  PathRecord* find(const Path& path);
  // The record of `path`, made if there is none; the worst other one makes room.
  PathRecord& add(const Path& path, TimePoint now);
  void remove(const Path& path);
  // The same for good: an answer that is still on its way does not bring it back.
  void forget(const Path& path);
  std::vector<PathRecord>& records() { return records_; }
  const std::vector<PathRecord>& records() const { return records_; }

  // The path in use; null if none is usable.
  PathRecord* best() { return best_ == kNone ? nullptr : &records_[best_]; }
  const PathRecord* best() const { return best_ == kNone ? nullptr : &records_[best_]; }
  // Grows whenever another path is in use than before.
  std::uint32_t changes() const { return changes_; }
  // Looks for a better one than is in use. Order: proven direct paths by round trip, streams,
  // proven relayed ones likewise, routed ones, then suspect ones of each kind; of one kind lossy
  // ones last.
  void choose();
  // Uses `path`, if it is as good in kind as the one in use and not so slow that choose() would go
  // back.
  void follow(const Path& path);

  // A random token to be sent on `path`; bounded, the oldest is forgotten.
  std::uint64_t challenge(const Path& path, Random& random, TimePoint now);
  // Whether a challenge is out on this path.
  bool is_challenged(const Path& path) const;
  struct Answer {
    Path path;
    Duration round_trip;
  };
  // A packet that was to be answered was, or was not.
  static void note_loss(PathRecord& record, bool lost);
  // What was challenged with this token, once; nothing for a token that we did not send.
  std::optional<Answer> answered(std::uint64_t token, TimePoint now);
  // The path has proven itself: it answered after `round_trip` (zero: not measured).
  void prove(PathRecord& record, Duration round_trip, TimePoint now);
  // Forgets endpoints that were heard once and never answered, and challenges that nobody will
  // answer any more.
  void forget_unproven(TimePoint now);

 private:
  struct Challenge {
    std::uint64_t token;
    Path path;
    TimePoint sent_at;
  };
  static constexpr std::size_t kNone = SIZE_MAX;

  void use(std::size_t record);
  // Those that `is_over` holds of; the one in use is found again.
  template <typename IsOver>
  void erase(IsOver&& is_over);
  void forget_challenges(TimePoint now);

  std::size_t paths_max_;
  std::vector<PathRecord> records_;
  std::vector<Challenge> challenges_;
  std::size_t best_ = kNone;  // of records_
  std::uint32_t changes_ = 0;
};

}  // namespace wow
