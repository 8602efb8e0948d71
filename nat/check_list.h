// Which of a peer's candidates to check, when, and how often: pacing and retransmission as ICE does
// (RFC 8445, 6.1.4, 14). Pure bookkeeping: the caller sends a check when told to and says when one
// was answered.
#pragma once

#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/endpoint.h"

namespace wow {

inline constexpr std::size_t kCandidatesMax = 8;  // taken from one peer
inline constexpr std::size_t kCheckListMax =
    16;  // candidates under check at once, later ones included
inline constexpr Duration kCheckPace =
    20ms;  // RFC 8445, 14.2: Ta, between any two checks of one list
inline constexpr Duration kCheckRetransmit = 100ms;  // first repetition of a check; doubles
inline constexpr Duration kCheckRestart = 2s;  // whoever names an endpoint again has it no sooner
inline constexpr int kCheckTries = 7;          // the last one goes out about 6 s after the first
// UDP comes first. A stream is opened only if that has not answered meanwhile (RFC 8305 does so
// between families), and repairs its losses itself.
inline constexpr Duration kTcpHeadStart = 500ms;
inline constexpr Duration kTlsHeadStart = 800ms;
inline constexpr Duration kStreamCheckRetransmit = 1s;
inline constexpr int kStreamCheckTries = 3;
Duration head_start(Carrier carrier);

// What may be checked at all: never loopback (unless the caller's underlay is), multicast,
// link-local, unspecified, port 0, a stream that cannot be dialled, our own virtual subnet. Keeps
// order, drops repetitions, takes at most kCandidatesMax.
struct CandidateRules {
  std::optional<Prefix> virtual_subnet;
  bool allow_loopback = false;  // tests and single-host pools
};
std::vector<Endpoint> usable_candidates(const std::vector<Endpoint>& offered,
                                        const CandidateRules& rules);

// Where streams to a node are worth a try: those among `endpoints`; if it has told none, where it
// listens for them by default beside its first UDP endpoints. Plain TCP first; at most
// kStreamsTried.
inline constexpr std::size_t kStreamsTried = 4;
std::vector<Endpoint> streams_to(const std::vector<Endpoint>& endpoints);

class CheckList {
 public:
  // Best first.
  explicit CheckList(const std::vector<Endpoint>& candidates, TimePoint now = {},
                     bool streams_at_once = false)
      : streams_at_once_(streams_at_once) {
    add(candidates, now);
  }
  // The next check due at `now`, if any; counts as sent.
  std::optional<Endpoint> next(TimePoint now);
  // When next() may give something again (maybe in the past); nothing when the list is exhausted.
  std::optional<TimePoint> next_due() const;
  // Learnt later, best first; known ones are tried anew if their last tries began kCheckRestart
  // ago. Beyond kCheckListMax the most tried one makes room.
  void add(const std::vector<Endpoint>& candidates, TimePoint now);
  // The peer's NAT has another port for each destination: of each of its addresses one by UDP says
  // as much as all, from now on.
  void keep_one_per_address();
  // Ends the checks of this candidate and of all behind it: only better ones are still worth a
  // packet.
  void answered(const Endpoint& candidate);
  bool exhausted() const { return !next_due(); }
  // There are candidates, and each by UDP was checked more than once: what leads there should have
  // answered.
  bool all_repeated() const;
  int checks_sent() const { return checks_sent_; }

 private:
  struct Entry {
    bool is_done() const;
    Endpoint endpoint;
    int tries = 0;
    TimePoint due{};
    TimePoint begun{};  // the first of these tries
  };
  bool same(const Entry& known, const Endpoint& candidate) const;

  bool one_per_address_ = false;
  const bool streams_at_once_;  // UDP has no head start: it is known to be silent
  std::vector<Entry> entries_;
  TimePoint last_sent_ = TimePoint::min();
  int checks_sent_ = 0;
};

}  // namespace wow
