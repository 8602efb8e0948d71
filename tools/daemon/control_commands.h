// What the daemon answers on its control socket.
#pragma once

#include <functional>

#include "dht/asio/node_host.h"
#include "tools/daemon/control_server.h"
#include "tools/daemon/daemon.h"
#include "tools/daemon/host_side.h"

namespace wow {

struct ControlContext {
  const DaemonOptions& options;
  NodeHost& host;
  HostSide* host_side;  // null: a router
  TimePoint started;
  std::function<void()> stop;
};

// Registers all commands; `context` lives as long as `server`.
void add_control_commands(ControlServer& server, const ControlContext& context);

}  // namespace wow
