// Whether the proxy that streams have to pass leads to the pool's members: it is asked as they ask
// it (base/asio/proxy.h). Blocking, for seconds: for `wow doctor`.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/asio/proxy.h"
#include "base/endpoint.h"

namespace wow {

struct ProxyTry {
  HostPort to;             // a member's address or a bootstrap's name, and a TCP port
  bool connected = false;  // somebody listens at the proxy's address
  ProxyAnswer answer = ProxyAnswer::kSilent;
  std::string why;  // in words, if it is no way
};

// Ways to all of these at once, each over a connection of its own, which ends at once. `patience`:
// for all together, the look-up of the proxy's name aside.
std::vector<ProxyTry> try_proxy(const Proxy& proxy, const std::vector<HostPort>& to,
                                std::chrono::milliseconds patience);

// The one that says most about the proxy; null if nothing was tried.
const ProxyTry* best_of(const std::vector<ProxyTry>& tries);

std::string_view to_string(ProxyAnswer answer);  // "passes"

}  // namespace wow
