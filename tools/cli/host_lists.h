// The pool's hosts as the files that schedulers want. Pure: rows in, text out.
#pragma once

#include <string>
#include <vector>

namespace wow {

struct PoolHost {
  std::string name;  // as the lease says, without the pool's suffix
  std::string ip;
  std::string ip6 = {};
};

struct HostListOptions {
  std::string pool;
  int cpus = 1;  // of each host; the pool does not know them
};

// The formats that host_list knows, in the order in which help names them.
const std::vector<std::string>& host_formats();

// `format` is one of host_formats(). In the order of `hosts`, which must not be empty.
//   hosts    hosts(5)
//   pbs      server_priv/nodes of Torque
//   slurm    lines of slurm.conf(5): a node each, and a partition that is called as the pool
//   pvm      hostfile of pvmd(1)
//   mpi      hostfile of Open MPI
//   mpich    machine file of MPICH
//   ansible  inventory in INI, the group "wow_POOL"
std::string host_list(const std::string& format, const std::vector<PoolHost>& hosts,
                      const HostListOptions& options);

// Those whose name matches a shell pattern (fnmatch(3), with "!(head)" and its like); node2 before
// node10.
std::vector<PoolHost> chosen_hosts(std::vector<PoolHost> hosts, const std::string& pattern);

struct Variable {
  std::string name, value;
};
// What makes MPI libraries (Open MPI, MPICH, UCX, libfabric) talk through the pool's `interface`
// alone.
std::vector<Variable> mpi_environment(const std::string& interface);

}  // namespace wow
