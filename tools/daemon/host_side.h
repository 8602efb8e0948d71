// What a host has beyond a router: the TAP, packet workers, the virtual network, its names, and a
// watch over the host's own interfaces. Made while we are root; used after. Control thread only.
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dht/asio/node_host.h"
#include "tap/linux/change_hook.h"
#include "tap/linux/names_helper.h"
#include "tap/linux/netlink.h"
#include "tap/linux/tap_device.h"
#include "tap/virtual_network.h"
#include "tools/daemon/daemon.h"
#include "tools/daemon/data_plane.h"
#include "tools/daemon/lan_port.h"

namespace wow {

class HostSide {
 public:
  using Ready = std::function<void(Result<std::string>)>;

  // Makes the TAP. `names` and `hook` were started before any thread or socket was made; null:
  // names are off, nothing is run on changes.
  static Result<std::unique_ptr<HostSide>> open(NodeHost& host, const DaemonOptions& options,
                                                std::unique_ptr<NamesHelper> names,
                                                std::unique_ptr<ChangeHook> hook);
  ~HostSide();

  // Joins the virtual network; tells `ready` once, and again only when the lease was refused later.
  void start(Ready ready);

  VirtualNetwork& network() { return *network_; }
  const std::string& interface() const { return tap_.name(); }
  int interface_index() const { return tap_.index(); }
  // Why there is no lease, for `wow status`.
  const std::string& lease_state() const { return lease_state_; }

 private:
  HostSide(NodeHost& host, const DaemonOptions& options, TapDevice tap,
           std::optional<TapDevice> lan, std::unique_ptr<NamesHelper> names,
           std::unique_ptr<ChangeHook> hook);
  VirtualNetworkOptions network_options() const;
  bool names_by_resolved() const;
  void on_lease(const LeaseInfo& lease);
  void save_lease(const LeaseInfo& lease) const;
  void tell_names(const std::vector<LeaseRow>& rows);

  NodeHost& host_;
  const DaemonOptions options_;
  TapDevice tap_;
  std::unique_ptr<NamesHelper> names_;
  std::unique_ptr<ChangeHook> hook_;
  TapPort port_;
  std::unique_ptr<LanPort> lan_;  // of the bridge, if there is one
  DataPlane plane_;
  std::unique_ptr<VirtualNetwork> network_;
  Ready ready_;
  std::string lease_state_ = "joining the ring";
};

}  // namespace wow
