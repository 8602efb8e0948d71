#include "tests/tap/virtual_pool.h"

#include <algorithm>

#include "dht/inner_ipv6.h"

namespace wow {

VirtualHost& VirtualPool::add(const std::string& ip, const std::string& name, Site* site) {
  VirtualNetworkOptions options;
  options.pool = "lab";
  options.subnet = *Prefix::parse("10.128.0.0/16");
  options.subnet6 = inner_ipv6_prefix(view_of("a pool of tests"));
  options.lease_ttl = 1h;
  options.name = name;
  VirtualHost& host = hosts.emplace_back(VirtualHost{
      nodes.add(world.add_host(ip, site)), std::move(options), {}, {}, {}, {}, {}, {}, {}, {}});
  start(host);
  return host;
}

void VirtualPool::start(VirtualHost& host) {
  Node& node = *host.member;
  host.network = std::make_unique<NodeNetwork>(node);
  DhtOptions options;
  options.founder = hosts.front().member.address();
  options.lease_subnet = host.options.subnet;
  SimHost& machine = host.member.host;
  host.dht =
      std::make_unique<Dht>(*host.network, host.store, *host.member.credentials, machine.clock(),
                            machine.random(), host.member.metrics.slot, options);
  host.network->attach(*host.dht);
  host.dht->start();
  VirtualNetwork::Hooks hooks;
  hooks.lease_held = [&host](const LeaseInfo& lease) {
    host.options.last_ip = lease.ip;
    host.options.last_name = lease.name;
  };
  hooks.lease_refused = [&host](const Error& error) { host.refused = error; };
  hooks.names_changed = [&host](const std::vector<LeaseRow>& rows) { host.names = rows; };
  host.tables = std::make_unique<ForwardingTables>(0);
  hooks.tables = host.tables.get();
  host.vnet =
      std::make_unique<VirtualNetwork>(node, *host.dht, machine.clock(), machine.random(),
                                       host.port, host.member.metrics.slot, host.options, hooks);
  host.vnet->start();
}

void VirtualPool::down(VirtualHost& host) {
  if (!host.vnet) return;
  host.vnet.reset();
  nodes.crash(host.member);
  host.dht.reset();
  host.network.reset();
}

void VirtualPool::restart(VirtualHost& host) {
  down(host);
  nodes.restart(host.member);
  start(host);
}

bool VirtualPool::all_up() const {
  return std::all_of(hosts.begin(), hosts.end(), [](auto& host) { return host.is_up(); });
}

}  // namespace wow
