// How a NAT chooses the outside port of a new mapping, as the ports show that several fresh sockets
// got one after the other (RFC 4787, 4.2; Takeda, "Symmetric NAT Traversal using STUN", 2003; Guha
// and Francis, "Characterization and Measurement of TCP Traversal through NATs and Firewalls",
// 2005).
#pragma once

#include <span>

#include "base/endpoint.h"

namespace wow {

enum class PortChoice : std::uint8_t {
  kUnknown = 0,
  kKept = 1,      // one port for all destinations: nothing to guess
  kStepping = 2,  // the next mapping's port is a step from the last one's
  kRandom = 3,
};

// What one node tells another about where its packets will come from.
struct PortReport {
  PortChoice choice = PortChoice::kUnknown;
  Endpoint outside;  // kept: where everybody sees it; else as seen last
  int step = 0;      // stepping: from one new mapping to the next

  bool operator==(const PortReport&) const = default;
};

// Larger ones are taken for chance: three random ports lie so near to each other once in 10^6
// times.
inline constexpr int kPortStepMax = 16;

// Of outside endpoints in the order in which they were made, at least three. Between two of ours
// the NAT may have made others: the smallest distance is the step.
PortReport port_report(std::span<const Endpoint> seen);

}  // namespace wow
