// When this program was built: no clock is believed to be earlier.
#pragma once

#include "base/clock.h"

namespace wow {
WallTime build_date();
}
