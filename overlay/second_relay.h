// What the end of a circuit knows of what lies behind its first relay: what it asked for, and how
// many relays packets say that they have passed.
#pragma once

#include "base/address.h"
#include "base/clock.h"

namespace wow {

struct SecondRelay {
  bool is = false;    // there is one
  Address node;       // whom the first was asked to take; zero: it chose by itself
  Duration beyond{};  // round trip between the two, as the first has told; zero: it has not
};

}  // namespace wow
