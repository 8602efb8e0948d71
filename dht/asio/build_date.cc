#include "dht/asio/build_date.h"

namespace wow {

// A day of release, written by hand: __DATE__ would make builds differ. Raised with each version.
WallTime build_date() { return std::chrono::sys_days(std::chrono::year(2026) / 11 / 20); }

}  // namespace wow
