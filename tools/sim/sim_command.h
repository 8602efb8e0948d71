// `wow sim`: runs scenarios with the very Node that the daemon runs.
#pragma once

#include <CLI/CLI.hpp>

namespace wow {

void add_sim_command(CLI::App& app);

}  // namespace wow
