// Runs a program that makes something for a command.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace wow {

// As exec and posix_spawn want them, good as long as `words` are.
std::vector<char*> pointers(const std::vector<std::string>& words);

// Runs COMMAND (its first word is looked for in $PATH) with "NAME=VALUE"s added to our environment,
// and waits for its end. What it says is kept to itself, unless it fails: kIo has the last line of
// that. kNotFound: there is no such program.
Result<void> run_program(const std::vector<std::string>& command,
                         const std::vector<std::string>& environment = {});

}  // namespace wow
