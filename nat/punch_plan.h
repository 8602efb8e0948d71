// Which guessed endpoints of a peer to check, in which order and when, if one NAT or both give each
// destination another outside port. Pure; the caller sends.
//
// - Ports that step are predicted: the peer's next ones are checked, while the peer sends from a
//   fresh socket (Takeda, 2003; Guha and Francis, 2005).
// - Random ports against a peer with one port: that end opens many sockets towards this port, the
//   other checks ports by chance until it meets one of them (the birthday paradox: Ford, Srisuresh
//   and Kegel, "Peer-to-Peer Communication Across Network Address Translators", 2005, 5.1; the
//   numbers as in "How NAT traversal works", Tailscale, 2020).
// - Random ports on both sides: nothing is tried. 768 checks from either would meet once in 7,000
//   times (where both numbers are guessed, the chance is that of one number squared).
#pragma once

#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "nat/port_choice.h"

namespace wow {

// Settings of one node.
struct PunchBudget {
  // Of one peer by chance, in one attempt, and of sockets that are opened for it; 0: none is
  // guessed.
  int probes = 768;
  int probes_per_second = 200;  // to all peers together
};

// Sockets beside a node's own: the first are opened towards one port each, the others in turn where
// a fresh one is needed.
inline constexpr int kPunchSockets = 240;
inline constexpr int kFreshSocketsFirst = kPunchSockets + 1;
inline constexpr int kFreshSockets = 15;

// How likely it is that `probes` random ports meet one of `sockets` open ones.
double punch_chance(int sockets, int probes);

class PunchPlan {
 public:
  // How far behind the last port seen the peer's next mapping may be: our questions, its own
  // traffic and that of its neighbours make others meanwhile.
  static constexpr int kWindow = 16;
  static constexpr int kRounds = 3;  // of predicted ports: a check may be lost, or too early
  static constexpr Duration kRoundPause = 200ms;

  // Nothing if there is nothing to try. `first`: whether we are the one of both that steps over
  // ports (any rule that tells them apart). `fresh`: a socket that was not used yet.
  static std::optional<PunchPlan> make(const PortReport& own, const PortReport& peer, bool first,
                                       std::uint8_t fresh, const PunchBudget& budget,
                                       Random& random);

  struct Step {
    Endpoint to;     // names the socket to send from
    Duration after;  // the step before
  };
  // The next one; nothing at the end.
  std::optional<Step> next();

 private:
  enum class Kind : std::uint8_t { kPorts, kByChance, kSockets };
  PunchPlan(Kind kind, const Endpoint& to, int steps, Duration pace)
      : kind_(kind), to_(to), steps_(steps), pace_(pace) {}

  Kind kind_;
  Endpoint to_;  // the peer's address, socket of ours, and port where there is one
  int steps_;
  Duration pace_;
  std::vector<std::uint16_t> ports_;  // kPorts: of one round
  // kByChance: distance from each port to the next, without a divisor that their number has.
  std::uint32_t at_ = 0, stride_ = 0;
  int done_ = 0;
};

}  // namespace wow
