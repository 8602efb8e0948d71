// A laboratory that runs, from inside its namespaces: what Keeper::run_inside runs. Each change is
// made by one process at a time; a file keeps what is there now.
#pragma once

#include <sys/types.h>

#include <boost/json/object.hpp>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tools/lab/linux/system.h"
#include "tools/lab/topology.h"

namespace wow::lab {

class Laboratory {
 public:
  Laboratory();  // takes the lock
  ~Laboratory() = default;

  const Topology& topology() const { return topology_; }

  // Makes what is in `more`, beside what there is.
  void add(const Topology& more);
  // A new cable with a new MAC into a site or onto the internet; `ip` unspecified: any free one.
  void plug(const std::string& host, const std::string& site, const IpAddress& ip);
  void unplug(const std::string& host);
  // Nothing passes a host's or site's cable any more, though it sees a carrier; and again.
  void cut(const std::string& node);
  void heal(const std::string& node);
  // A host's power fails: all its processes are killed, its files are gone, it is no more.
  void power_off(const std::string& host);
  // A site's router is no more; hosts and sites below it must be gone.
  void remove_site(const std::string& site);
  // Another NAT, firewall or line for a site; other lines for a host. Keys as in the file.
  void change(const std::string& node, const boost::json::object& fields);
  // The router forgets all flows and mappings, as by a restart.
  void reset_router(const std::string& site);

  // What `wow lab status --json` says.
  boost::json::object status() const;

 private:
  // Commands for `ip -batch`, collected so that it is started once a node.
  struct Batches {
    std::string cables;                        // run in the laboratory's own namespace
    std::map<std::string, std::string> nodes;  // run in a node's
  };

  void save() const;
  Namespaces network_of(const std::string& node) const;
  pid_t pid_of(const std::string& node) const;
  void remember_pid(const std::string& node, pid_t pid) const;
  void run(const Batches& batches) const;

  void make_internet();
  void make_router(const Site& site, Batches& batches);
  void connect_host(const Host& host, Batches& batches);
  // From `device` of `node` to a port, named like the node, of the bridge of a site or the
  // internet.
  void lay_cable(const std::string& node, const std::string& device, const std::string& site,
                 const std::optional<LineQuality>& line, Batches& batches);
  static std::size_t mtu_of(const std::optional<LineQuality>& line);
  // Of what is behind a site's router, or on the internet.
  std::size_t mtu_within(const std::string& site) const;
  void load_rules(const Site& site) const;
  // Kills a node's first process, and with it the node; returns when it is gone.
  void end_node(const std::string& node) const;
  void end_line(const std::string& node) const;
  void set_port(const std::string& node, int state) const;
  // Where the cable of a host or site ends: a site's name, or the internet.
  const std::string& upper_end(const std::string& node) const;
  Host& host(const std::string& name);

  Fd lock_;
  Topology topology_;
};

// Runs a command in a host or router with a clean environment; its status. From where the caller
// stands: `root` leads to the laboratory's files (Keeper::path("/")).
int exec_in_node(const std::filesystem::path& root, const std::string& node,
                 const std::vector<std::string>& command);

}  // namespace wow::lab
