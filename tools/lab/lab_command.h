// `wow lab`: a laboratory of network namespaces on this machine.
#pragma once

#include <CLI/CLI.hpp>

namespace wow {

void add_lab_command(CLI::App& app);

}  // namespace wow
