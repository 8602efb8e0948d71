// Starts the nodes of a laboratory: routers, which are a network namespace with a name, and hosts,
// which have a name, processes, /etc, /var, /run, /tmp and /root of their own, too. The caller is
// in the laboratory's namespaces. A node lives as long as its first process.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace wow::lab {

pid_t boot_router(const std::string& name);
// All at once; the numbers of their processes, in the order of the names. `folder`: the
// laboratory's, which each host sees at the same path, and has a folder hosts/NAME in.
std::vector<pid_t> boot_hosts(const std::vector<std::string>& names,
                              const std::filesystem::path& folder);

}  // namespace wow::lab
