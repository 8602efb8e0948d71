#include "tools/cli/host_lists.h"

#include <fnmatch.h>

#include <algorithm>
#include <cstring>

namespace wow {
namespace {

using Hosts = std::vector<PoolHost>;

std::string hosts_file(const Hosts& hosts, const HostListOptions& options) {
  std::string out;
  for (const PoolHost& host : hosts)
    for (const std::string& ip : {host.ip, host.ip6})
      out += ip + "\t" + host.name + "." + options.pool + ".internal " + host.name + "\n";
  return out;
}

std::string pbs_nodes(const Hosts& hosts, const HostListOptions& options) {
  std::string out;
  for (const PoolHost& host : hosts)
    out += host.name + " np=" + std::to_string(options.cpus) + "\n";
  return out;
}

std::string slurm_nodes(const Hosts& hosts, const HostListOptions& options) {
  std::string out, names;
  for (const PoolHost& host : hosts) {
    out += "NodeName=" + host.name + " NodeAddr=" + host.ip +
           " CPUs=" + std::to_string(options.cpus) + " State=UNKNOWN\n";
    names += (names.empty() ? "" : ",") + host.name;
  }
  return out + "PartitionName=" + options.pool + " Nodes=" + names +
         " Default=YES MaxTime=INFINITE State=UP\n";
}

std::string pvm_hosts(const Hosts& hosts, const HostListOptions&) {
  std::string out;
  for (const PoolHost& host : hosts) out += host.name + "\n";
  return out;
}

// A name alone would have Open MPI count the cores itself.
std::string open_mpi_machines(const Hosts& hosts, const HostListOptions& options) {
  std::string out;
  for (const PoolHost& host : hosts)
    out += host.name + " slots=" + std::to_string(options.cpus) + "\n";
  return out;
}

std::string mpich_machines(const Hosts& hosts, const HostListOptions& options) {
  std::string out;
  for (const PoolHost& host : hosts) out += host.name + ":" + std::to_string(options.cpus) + "\n";
  return out;
}

std::string ansible_inventory(const Hosts& hosts, const HostListOptions& options) {
  // A group's name is a Python name.
  std::string group = "wow_" + options.pool;
  std::replace(group.begin(), group.end(), '-', '_');
  std::string out = "[" + group + "]\n";
  for (const PoolHost& host : hosts) out += host.name + " ansible_host=" + host.ip + "\n";
  return out;
}

struct Format {
  const char* name;
  std::string (*write)(const Hosts&, const HostListOptions&);
};
constexpr Format kFormats[] = {{"hosts", hosts_file},         {"pbs", pbs_nodes},
                               {"slurm", slurm_nodes},        {"pvm", pvm_hosts},
                               {"mpi", open_mpi_machines},    {"mpich", mpich_machines},
                               {"ansible", ansible_inventory}};

}  // namespace

const std::vector<std::string>& host_formats() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const Format& format : kFormats) out.emplace_back(format.name);
    return out;
  }();
  return names;
}

std::string host_list(const std::string& format, const Hosts& hosts,
                      const HostListOptions& options) {
  for (const Format& known : kFormats) {
    if (format == known.name) return known.write(hosts, options);
  }
  return "";
}

Hosts chosen_hosts(Hosts hosts, const std::string& pattern) {
  std::erase_if(hosts, [&](const PoolHost& host) {
    return host.name.empty() || fnmatch(pattern.c_str(), host.name.c_str(), FNM_EXTMATCH) != 0;
  });
  std::sort(hosts.begin(), hosts.end(), [](const PoolHost& a, const PoolHost& b) {
    return strverscmp(a.name.c_str(), b.name.c_str()) < 0;
  });
  return hosts;
}

std::vector<Variable> mpi_environment(const std::string& interface) {
  return {
      // Open MPI: data and its daemons; ob1 is the layer that has TCP.
      {"OMPI_MCA_pml", "ob1"},
      {"OMPI_MCA_btl_tcp_if_include", interface},
      {"OMPI_MCA_oob_tcp_if_include", interface},
      // MPICH: its launcher, and data over UCX or libfabric.
      {"HYDRA_IFACE", interface},
      {"UCX_NET_DEVICES", interface},
      {"UCX_TLS", "tcp,self,sm"},
      {"FI_PROVIDER", "tcp"},
      {"FI_TCP_IFACE", interface},
  };
}

}  // namespace wow
