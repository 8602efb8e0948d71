// What the daemon answers on its control socket.
#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <string>
#include <vector>

#include "dht/asio/node_host.h"
#include "tools/daemon/control_server.h"
#include "tools/daemon/daemon.h"
#include "tools/daemon/host_side.h"
#include "tools/daemon/port_mapping.h"

namespace wow {

struct ControlContext {
  const DaemonOptions& options;
  NodeHost& host;
  HostSide* host_side;  // null: a router
  TimePoint started;
  std::function<void()> stop;
  const PortMapping* mapping = nullptr;  // null: not asked for
};

// Registers all commands; `context` lives as long as `server`.
void add_control_commands(ControlServer& server, const ControlContext& context);
// Of these, those of the store.
void add_dht_control_commands(ControlServer& server, const ControlContext& context);

// The pool's leases; a router reads them from the store as a host does.
void all_leases(const ControlContext& context,
                std::function<void(Result<std::vector<LeaseRow>>)> done);

// A text among a command's arguments; empty if it is not there.
inline std::string argument(const boost::json::object& arguments, const char* key) {
  const auto* value = arguments.if_contains(key);
  return value && value->is_string() ? std::string(value->get_string()) : "";
}

}  // namespace wow
