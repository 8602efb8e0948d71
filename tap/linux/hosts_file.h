// The marked block of one pool in a hosts file (hosts(5)).
#pragma once

#include <string>

#include "base/error.h"

namespace wow {

// `text` with the block of `pool` replaced by `lines` (removed if empty); everything else, other
// pools' blocks too, stays.
std::string with_hosts_block(const std::string& text, const std::string& pool,
                             const std::string& lines);

// Applies that to a file: by rename, or in place where the file is mounted by itself (containers,
// namespaces).
Result<void> write_hosts_block(const std::string& path, const std::string& pool,
                               const std::string& lines);

}  // namespace wow
