// Whether what clients of one key saw could have come from one register that did one thing at a
// time, each between its call and its return (Herlihy and Wing, 1990). The search is Wing and
// Gong's
// ("Testing and verifying concurrent objects", 1993), with Lowe's memory of configurations that
// were found to lead nowhere ("Testing for linearizability", 2017).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/clock.h"

namespace wow {

// One operation of one client.
struct Operation {
  enum class Kind { kWrite, kRenew, kRemove, kRead };  // create and put are the same to a register
  enum class Outcome {
    kDone,     // won, renewed, removed; or read `data` of `holder`
    kHeld,     // `holder` has it
    kFree,     // nobody has it
    kUnknown,  // took effect until `returned`, usually at any later time, or never does
  };

  Kind kind = Kind::kRead;
  Outcome outcome = Outcome::kUnknown;
  int client = 0;
  int holder = -1;
  std::uint64_t data =
      0;                // of a write: its own number, unlike every other's; of a read: what it saw
  Duration lifetime{};  // of a write or a renewal: for so long after `called` nobody else may win
  TimePoint called{};
  TimePoint returned = TimePoint::max();

  std::string text() const;
};

inline constexpr std::size_t kHistoryMax = 64;  // operations on one key

// An order that explains them all exists. At most kHistoryMax operations, in any order.
bool is_linearizable(std::span<const Operation> history);

}  // namespace wow
