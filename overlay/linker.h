// Attempts to link with peers: CTM and handshake at the same time, its first flight along the ring
// and straight to the first of the candidates; sealed checks of the peer's candidates once the
// session is open (RFC 8445, paced by CheckList), all repeated with backoff until the path is
// direct or the attempt is given up. Both sides run one.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "nat/check_list.h"
#include "overlay/hub.h"
#include "overlay/rate_table.h"

namespace wow {

class Linker {
 public:
  struct Handlers {
    std::function<void(const Address& peer, EdgeRole role)> ask;  // send a CTM
    std::function<void(const Address& peer)> given_up;            // no session came about
    std::function<void(const Address& peer, bool moved)> tell_candidates;
    std::function<bool()> lately_moved;
    std::function<void(const Address& peer)> stuck;  // a near edge, and no direct path in time
    // A session, and no direct path yet; said at each check.
    std::function<void(const Address& peer)> unlinked;
  };
  Linker(Hub& hub, Handlers handlers) : hub_(hub), handlers_(std::move(handlers)) {}

  // We want to link: asks, dials, checks.
  void connect(const Member& peer, EdgeRole role);
  // The peer wants to: it dials, both check.
  void answer(const Member& peer);
  // Where the peer can be reached, as it told: checked (again) if its session has no direct path.
  void on_candidates(const Address& peer, const std::vector<Endpoint>& endpoints);
  void on_open(Session& session);
  void on_path_changed(Session& session);
  void on_closed(const Address& peer);
  // Everything once more, at once: our own network changed.
  void restart_all();
  void stop() { attempts_.clear(); }

  std::size_t size() const { return attempts_.size(); }
  bool is_linking(const Address& peer) const { return attempts_.contains(peer); }
  struct Tries {
    int rounds = 0;         // of checks that came to nothing
    bool checking = false;  // one more is under way
  };
  Tries tries(const Address& peer) const;
  // In which roles an attempt of ours is to end.
  Roles wanted(const Address& peer) const;

 private:
  struct Attempt {
    Attempt(Clock& clock, std::vector<Endpoint> candidates, const std::vector<Endpoint>& to_check,
            bool streams_at_once)
        : told(std::move(candidates)),
          checks(to_check, clock.now(), streams_at_once),
          timer(clock) {}
    Roles roles = 0;    // wanted, granted when the session opens
    bool ours = false;  // we asked; else the peer did
    TimePoint started{};
    int asked = 0;
    TimePoint ask_again{};
    int rounds = 0;              // of checks that came to nothing
    bool resting = false;        // until ask_again
    bool permitted = false;      // checks of this round: see may_check
    std::vector<Endpoint> told;  // the candidates that it began with
    CheckList checks;
    Timer timer;
  };

  // Null if there is no room.
  Attempt* begin(const Address& peer, const std::vector<Endpoint>& candidates, bool ours);
  bool make_room(bool ours);
  void ask(const Address& peer, Attempt& attempt);
  void dial_directly(const Address& peer, const std::vector<Endpoint>& candidates,
                     const Address& named_by = {});
  void step(const Address& peer);
  void step_unopened(const Address& peer, Attempt& attempt);
  void step_open(Session& session, Attempt& attempt);
  void next_round(const Address& peer, Attempt& attempt);
  bool waits_for_news(const Edge& edge, const Session& session) const;
  bool is_doubtful(const Edge& edge) const;
  bool is_hopeless(const Edge& edge) const;
  bool may_check(Edge& edge);
  void wake(const Address& peer, TimePoint at);
  void end(const Address& peer, bool failed);
  std::vector<Endpoint> usable(const std::vector<Endpoint>& endpoints) const;
  std::vector<Endpoint> candidates_of(const Edge& edge) const;
  bool without_udp() const;
  std::vector<Endpoint> with_guesses(std::vector<Endpoint> told) const;

  Hub& hub_;
  Handlers handlers_;
  RateTable checks_{ring::kChecksPerSecond, ring::kChecksBurst};
  RateTable hopeless_{ring::kHopelessPerSecond, ring::kHopelessBurst};  // peers, not checks
  std::map<Address, std::unique_ptr<Attempt>> attempts_;
};

}  // namespace wow
