// Whether a machine whose marks are not those of its membership is a copy, or only moved house (new
// hardware, a virtual machine defined anew): the pool knows if its node is there without it.
#pragma once

#include <filesystem>

#include "base/address.h"

namespace wow {

enum class Former { kElsewhere, kGone, kUnknown };

// Joins with another membership, in `directory`, and looks for `node` on the ring; takes a few
// seconds. kUnknown: no member answered.
Former look_for(const Address& node, const std::filesystem::path& directory);

}  // namespace wow
