// What `wow up` and `wow router` run: a node with its sockets, for hosts also TAP, packet workers
// and the virtual network, and the control socket. Returns when told to stop (SIGTERM, SIGINT, `wow
// down`).
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/asio/proxy.h"
#include "base/endpoint.h"
#include "base/error.h"
#include "nat/punch_plan.h"
#include "tunnel/circuit_table.h"

namespace wow {

struct DaemonOptions {
  std::string pool;
  bool router = false;              // no TAP, no lease
  std::filesystem::path directory;  // of the membership
  std::filesystem::path socket;     // control
  std::filesystem::path log;        // that stderr goes to; empty: not ours
  std::string name;                 // wanted in the pool
  bool name_is_explicit = false;
  std::optional<IpAddress> ip;
  std::optional<std::uint16_t> listen;
  std::optional<std::uint16_t> listen_tcp;  // empty: the number of the UDP port; 0: nowhere
  std::optional<std::uint16_t> listen_tls;
  std::optional<Proxy> proxy;
  std::vector<std::string> bootstraps;  // ADDRESS:PORT or NAME:PORT
  bool no_lan = false;                  // no search for members on the LAN
  bool no_port_map = false;             // the router in front of us is not asked for a port
  bool allow_loopback = false;
  int workers = 1;
  int relay_rate = CircuitLeg::kPacketsPerSecond;  // see NodeHostOptions
  PunchBudget punch;                               // hosts only: routers guess nobody's ports
  int poll_us = 0;  // how long a worker looks for more before it sleeps, while a core is free
  std::string names = "auto";  // auto, resolved, hosts or off: how the host learns the pool's names
  std::string on_change;       // program to run when the pool's names or addresses changed; or none
  std::string bridge;          // a bridge of this host whose guests join the pool; or none
  bool ignore_routes =
      false;  // a subnet that collides with a route of the host is used all the same
};

// What run_daemon returns when the pool wants this node no more: there is no use in starting it
// again.
inline constexpr int kExitExpelled = 3;

// `ready` is called once: with a line for the user when the node has joined (and holds its lease),
// or with why it never will; the latter also makes this return non-zero.
int run_daemon(const DaemonOptions& options, const std::function<void(Result<std::string>)>& ready);

}  // namespace wow
