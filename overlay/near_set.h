// Geometry of the ring: who is near, and how many nodes that suggests. Pure functions.
#pragma once

#include <vector>

#include "base/address.h"

namespace wow {

// Of `members`, the `per_side` nearest to `center` on each side (without itself), nearest first.
std::vector<Address> near_set(const Address& center, const std::vector<Address>& members,
                              std::size_t per_side);
// Whether `member` is or would be one of them, `near` being the near set without it or with it.
bool is_among_nearest(const Address& center, const std::vector<Address>& near,
                      const Address& member, std::size_t per_side);

// How many nodes the density of the near set suggests, at least 1 + the distinct `members`.
double estimate_size(const Address& self, const std::vector<Address>& members);

}  // namespace wow
