// The daemon's options and their file, /etc/wow/POOL.conf: TOML whose keys are the flags of `wow
// up` and `wow router`. A flag on the command line wins over the file.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>

#include "base/error.h"

namespace wow {

// Reads `path`, if it exists, into the options of `command` that were not given on the command
// line. A key that is no flag is refused, naming the nearest one; a flag of `other`, which may
// share the file, is left to it.
Result<void> apply_config(CLI::App& command, const std::filesystem::path& path,
                          const CLI::App* other = nullptr);

// What the file says under `key`; empty: nothing, or there is no such file, or it may not be read.
Result<std::string> config_word(const std::filesystem::path& path, const std::string& key);

// The one of `words` that `typed` most likely meant, or empty (Damerau-Levenshtein distance at most
// a third).
std::string nearest_word(const std::string& typed, const std::vector<std::string>& words);

}  // namespace wow
