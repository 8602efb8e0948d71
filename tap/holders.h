// Who holds an address inside the pool, of whatever kind it is: leased ones are asked for in the
// store (Resolver), hosts' own IPv6 addresses along the ring (Neighbours). Used for what hosts and
// guests send.
#pragma once

#include <functional>
#include <optional>

#include "tap/neighbours.h"
#include "tap/resolver.h"
#include "tunnel/forwarding.h"

namespace wow {

struct Holder {
  Address node;
  MacAddress mac{};  // of who has the address there: the host itself, or a guest on its bridge

  bool operator==(const Holder&) const = default;
};

class Holders {
 public:
  using Done = std::function<void(const std::optional<Holder>&)>;  // nothing: nobody does

  Holders(Resolver& resolver, Neighbours& neighbours)
      : resolver_(resolver), neighbours_(neighbours) {}

  // As was found lately. An old answer is asked for anew.
  std::optional<Holder> find(const IpAddress& ip);
  // At once (before this returns) if it was found lately, else later. `likely`: Dht::look_up()'s.
  void ask(const IpAddress& ip, Done done, Dht::Likely likely);

 private:
  bool is_hosts_own(const IpAddress& ip) const { return !ip.is_v4() && !resolver_.is_leased(ip); }

  Resolver& resolver_;
  Neighbours& neighbours_;
};

}  // namespace wow
