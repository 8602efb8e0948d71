// IPv4 and IPv6 by turns, so that neither has to fail before the other is tried (RFC 8305, 4; for
// candidates RFC 8421, 4).
#pragma once

#include <vector>

#include "base/endpoint.h"

namespace wow {

// The order within each family stays; the family of the first leads.
std::vector<Endpoint> interleave_families(const std::vector<Endpoint>& endpoints);

}  // namespace wow
