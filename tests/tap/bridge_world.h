// Hosts with bridges, without sockets or kernels: what a bridge puts on its LAN is a list.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "dht/inner_ipv6.h"
#include "tap/bridge.h"
#include "tests/tap/fake_pool.h"
#include "tools/sim/fake_credentials.h"

namespace wow {

inline constexpr MacAddress kBroadcast = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
inline constexpr MacAddress kGuest = {0x52, 0x54, 0, 0, 0, 1}, kOther = {0x52, 0x54, 0, 0, 0, 2};
inline constexpr MacAddress kHostsOwn = {0x06, 0, 0, 0, 0, 1};  // its interface to the bridge
inline constexpr Duration kOneWay = 10ms;

struct BridgeWorld {
  ManualClock clock;
  FakeDht dht{clock};
  FakeRing ring{clock, {}};
  std::map<Address, struct BridgeHost*> hosts;
  std::set<Address> may_bridge;
  int lose = 0;  // so many of the messages to come
};

struct BridgeHost {
  BridgeHost(BridgeWorld& world, std::uint8_t n, bool bridges = true)
      : world(world), number(n), credentials(n), random(n) {
    world.hosts[address] = this;
    world.ring.members.push_back(address);
    if (bridges) {
      world.may_bridge.insert(address);
      world.dht.hold_many.insert(address);
    }
  }

  void send(const Address& to, const pb::VnetMessage& message) {
    if (world.lose > 0) return void(--world.lose);
    world.clock.schedule(world.clock.now() + kOneWay, [this, to, message] {
      BridgeHost& peer = *world.hosts.at(to);
      peer.got.push_back(message);
      peer.bridge.on_message(address, message);
    });
  }

  BridgeWorld& world;
  const int number;
  FakeCredentials credentials;
  SeededRandom random;
  const Address address = credentials.address();
  MetricSlot metrics;
  Prefix subnet = *Prefix::parse("10.128.0.0/16"), subnet6 = *Prefix::parse("fd00::/48");
  std::vector<Bytes> to_lan, to_host, forwarded;
  std::vector<pb::VnetMessage> got;
  std::vector<std::pair<Address, Bytes>> to_node;
  Resolver resolver{subnet, world.dht.calls_for(address), world.clock, [](const Address&) {},
                    subnet6};
  Neighbours neighbours{subnet6, world.ring.locate(), world.clock, [](const Address&) {}};
  Directory directory{world.dht.calls_for(address), resolver, world.clock, "lab", subnet6};
  DnsResponder dns{"lab", subnet, subnet6, directory};
  Bridge bridge{
      credentials,
      {subnet, subnet6, "lab.internal", 1380, 1h},
      resolver,
      neighbours,
      world.dht.calls_for(address),
      dns,
      world.clock,
      random,
      metrics,
      {.to_lan = [this](ByteView frame) { to_lan.push_back(to_bytes(frame)); },
       .to_host = [this](ByteView frame) { to_host.push_back(to_bytes(frame)); },
       .announce = [](auto&) {},
       .own_ip = [this] { return std::optional(ip("10.128.0." + std::to_string(number))); },
       .own_ip6 = [this] { return std::optional(inner_ipv6(subnet6, address)); },
       .is_leasable = [](auto&) { return true; },
       .is_hosts_own = [](auto& mac) { return mac == kHostsOwn; },
       .forward = [this](ByteView frame, auto&) { forwarded.push_back(to_bytes(frame)); },
       .want_session = [](auto&, auto&) {},
       .send = [this](auto& to, auto& message) { send(to, message); },
       .broadcast =
           [this](const pb::VnetMessage& message) {
             for (const auto& [node, host] : world.hosts) {
               if (node != address) host->bridge.on_broadcast(address, message.bridge_hello());
             }
           },
       .to_node = [this](auto& node,
                         ByteView frame) { to_node.emplace_back(node, to_bytes(frame)); },
       .may_bridge = [this](auto& peer) { return world.may_bridge.contains(peer); },
       .for_each_peer =
           [this](auto& visit) {
             for (const auto& [node, host] : world.hosts) {
               if (node != address) visit(node);
             }
           }}};
};

inline Bytes announcement(const MacAddress& mac, const std::string& address) {
  const ArpPacket arp{ArpPacket::kRequest, mac, {}, ip(address), ip(address)};
  return write_ethernet(kBroadcast, mac, EtherType::kArp, arp.write());
}
inline Bytes question(const MacAddress& mac, const std::string& from, const std::string& target) {
  const ArpPacket arp{ArpPacket::kRequest, mac, {}, ip(from), ip(target)};
  return write_ethernet(kBroadcast, mac, EtherType::kArp, arp.write());
}
inline Bytes packet(const MacAddress& mac, const std::string& from, const std::string& to,
                    std::size_t bytes = 5) {
  return write_ethernet(kOther, mac, EtherType::kIpv4,
                        write_udp({ip(from), 1}, {ip(to), 2}, Bytes(bytes)));
}

}  // namespace wow
