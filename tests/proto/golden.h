// Reads tests/golden/headers.txt: a name and its bytes in each line.
#pragma once

#include <map>
#include <string>

#include "base/bytes.h"

namespace wow {

// Every entry of the file; an unreadable one throws.
std::map<std::string, Bytes> read_golden(const std::string& path);

}  // namespace wow
