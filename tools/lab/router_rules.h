// What a site's router is told: rules for `nft -f`, and for `ip -batch`. Text, so that it can be
// read and tested without a kernel.
#pragma once

#include <string>

#include "tools/lab/topology.h"

namespace wow::lab {

// The whole ruleset of a site's router, whatever was there before. Interfaces: `wan`, `lan`.
// Empty but for the flush if everything may pass.
std::string nft_rules(const Site& site);

}  // namespace wow::lab
