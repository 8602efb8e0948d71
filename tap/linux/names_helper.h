// How the host learns the pool's names: a marked block in /etc/hosts, or systemd-resolved told by
// resolvectl. Both need root, which the daemon gives up; so a child is forked before, does these
// two things when told to over a socket, and undoes them when the socket closes, however the daemon
// ended.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/endpoint.h"
#include "base/error.h"
#include "tap/linux/helper_process.h"

namespace wow {

struct HostName {
  IpAddress ip;
  std::string name;  // as the lease says, without the pool's suffix
};

class NamesHelper {
 public:
  enum class Way { kHosts, kResolved };

  // Forks: call it before threads and sockets are made. A block left behind by a killed predecessor
  // is removed. `hosts_file` and `pool` are fixed here; nothing told later can name another file.
  static Result<std::unique_ptr<NamesHelper>> start(const std::string& pool,
                                                    const std::string& hosts_file = "/etc/hosts");
  // Ends the child, which undoes what it did; waits for it.
  ~NamesHelper();

  // Whether systemd-resolved runs here and resolvectl is there to talk to it.
  static bool resolved_runs();

  // Replaces the block: "IP  NAME.POOL.internal NAME" for each. At most kNamesMax; false if the
  // child is gone.
  bool set_hosts(const std::vector<HostName>& names);
  // resolved asks `dns_server` on `interface` for POOL.internal. False if the child is gone.
  bool set_resolved(const std::string& interface, const IpAddress& dns_server);

  static constexpr std::size_t kNamesMax = 4096;

 private:
  explicit NamesHelper(HelperProcess helper) : helper_(helper) {}
  bool tell(const std::string& message);

  const HelperProcess helper_;
};

}  // namespace wow
