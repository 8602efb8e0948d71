// Keeps the workers' tables as sessions and bindings are. A node of which something changed is
// marked, and its entries, no others, are written once the event is over. Control thread only.
#pragma once

#include <cstdint>
#include <map>
#include <set>

#include "base/address.h"
#include "overlay/node.h"
#include "tap/neighbours.h"
#include "tap/resolver.h"
#include "tunnel/forwarding.h"

namespace wow {

class TableKeeper {
 public:
  // `subnet6`: of the inner IPv6 addresses.
  TableKeeper(Node& node, const Resolver& resolver, const Neighbours& neighbours,
              const Prefix& subnet6, ForwardingTables& tables)
      : node_(node),
        resolver_(resolver),
        neighbours_(neighbours),
        subnet6_(subnet6),
        tables_(tables) {}

  // A session with `peer`, or an address that it holds, came, went or changed.
  void mark(const Address& peer);
  // Brings what is marked up to date.
  void write();

 private:
  // What the tables say of a node.
  struct Written {
    std::uint32_t index = 0;
    Address relay;  // zero: the path is direct
  };
  void write(const Address& peer);
  void forget(const Address& peer);

  Node& node_;
  const Resolver& resolver_;
  const Neighbours& neighbours_;
  const Prefix subnet6_;
  ForwardingTables& tables_;
  std::set<Address> marked_;
  std::map<Address, Written> written_;
  // Whose entries hold the endpoint of a relay, which may change: (relay, node).
  std::set<std::pair<Address, Address>> behind_;
};

}  // namespace wow
