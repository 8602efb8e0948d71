// What the members of a pool say of its store, looked at together.
#pragma once

#include <string>
#include <utility>

#include "tests/dht/fake_pool.h"

namespace wow {

using LineageName = std::pair<std::uint64_t, Address>;
LineageName lineage_of(const DhtStatus& status);
// Of all that are up, a line each: for a failure.
std::string states_text(FakePool& pool);
// All follow the same lineage, and a majority of its newest group serves.
bool is_resolved_everywhere(FakePool& pool);

}  // namespace wow
