#include "tools/lab/router_rules.h"

namespace wow::lab {
namespace {

// The ports of a NAT that counts.
constexpr int kSequenceFirst = 40'000;
constexpr int kSequenceLength = 4'096;

// How long the ruleset remembers a mapping that is not used; conntrack's own entries end earlier.
constexpr long kRememberSeconds = 300;

std::string match(const Service& service) {
  if (service.port) return service.protocol + " dport " + std::to_string(*service.port);
  if (service.protocol == "icmp") return "meta l4proto { icmp, ipv6-icmp }";
  return "meta l4proto " + service.protocol;
}

// What comes from outside and was not asked for.
std::string incoming(const Site& site) {
  std::string out;
  for (const Service& service : site.allow_in)
    out += "  iifname wan ct direction original " + match(service) + " accept\n";
  // Also for flows that began before UDP was blocked.
  if (site.allow_out) out += "  iifname wan ct direction original drop\n";
  if (site.nat) {
    out += "  iifname wan ct state new ct status dnat accept\n";
    if (site.ipv6 && !site.firewall) out += "  iifname wan meta nfproto ipv6 accept\n";
  }
  if (site.nat || site.firewall) out += "  iifname wan ct state != { established, related } drop\n";
  return out;
}

std::string outgoing(const Site& site) {
  if (!site.allow_out) return "";
  std::string out;
  for (const Service& service : *site.allow_out)
    out += "  iifname lan oifname wan ct direction original " + match(service) + " accept\n";
  return out + "  iifname lan oifname wan ct direction original drop\n";
}

std::string filter_table(const Site& site) {
  const std::string wan = site.wan.text();
  std::string out =
      "table inet site {\n"
      " chain forward { type filter hook forward priority filter\n"
      "  ct state related accept\n" +
      incoming(site) + outgoing(site) + " }\n";
  // A packet that gets through to the router makes a conntrack entry, which would remap the next
  // outgoing packet of a host that it resembles. So they are dropped even where all may pass.
  out +=
      " chain in { type filter hook input priority filter\n"
      "  iifname wan meta l4proto { udp, tcp } ct state new drop\n"
      "  iifname lan ip daddr " +
      wan + " meta l4proto { udp, tcp } drop\n }\n}\n";
  return out;
}

std::string declaration(const char* kind, const char* name, const char* type, long seconds) {
  return std::string(" ") + kind + " " + name + " { type " + type +
         "\n  flags dynamic,timeout\n  timeout " + std::to_string(seconds) + "s\n }\n";
}

// Numbers in a circle, looked up: the kernel cannot say "the port after the last one".
std::string next_in_sequence() {
  std::string out = "numgen inc mod " + std::to_string(kSequenceLength) + " map { ";
  for (int i = 0; i < kSequenceLength; ++i)
    out += (i == 0 ? "" : ", ") + std::to_string(i) + " : " + std::to_string(kSequenceFirst + i);
  return out + " }";
}

// A port for a flow that has none yet.
std::string new_port(const NatKind& kind, const std::string& wan) {
  switch (kind.ports) {
    case NatPorts::kKeep:
      return "  oifname wan masquerade\n";
    case NatPorts::kRandom:
      return "  oifname wan masquerade random,fully-random\n";
    case NatPorts::kSequential:
      break;
  }
  return "  oifname wan meta l4proto udp snat ip to " + wan + " : " + next_in_sequence() +
         "\n  oifname wan masquerade\n";
}

std::string maps(const NatKind& kind, long seconds) {
  std::string out =
      // Outside port -> whom it belongs to.
      declaration("map", "holder", "inet_service : ipv4_addr . inet_service", seconds) +
      declaration("set", "answered", "inet_service . ipv4_addr", seconds);
  if (kind.mapping == NatMapping::kEndpointIndependent)
    out += declaration("map", "port_of", "ipv4_addr . inet_service : inet_service", seconds);
  if (kind.mapping == NatMapping::kAddressDependent)
    out += declaration("map", "port_of", "ipv4_addr . inet_service . ipv4_addr : inet_service",
                       seconds);
  return out;
}

std::string prerouting(const NatKind& kind, const std::string& wan) {
  const std::string to_holder = " dnat ip addr . port to udp dport map @holder\n";
  std::string out = " chain before { type nat hook prerouting priority dstnat\n";
  if (kind.filtering == NatFiltering::kEndpointIndependent)
    out += "  iifname wan ip daddr " + wan + to_holder;
  if (kind.filtering == NatFiltering::kAddressDependent)
    out += "  iifname wan ip daddr " + wan + " udp dport . ip saddr @answered" + to_holder;
  // Packets that turn round inside are not filtered.
  if (kind.hairpin) out += "  iifname lan ip daddr " + wan + to_holder;
  return out + " }\n";
}

std::string postrouting(const NatKind& kind, const std::string& wan) {
  const bool is_eim = kind.mapping == NatMapping::kEndpointIndependent;
  const std::string by_source = " snat ip to " + wan + " : ip saddr . udp sport map @port_of\n";
  std::string out = " chain out { type nat hook postrouting priority srcnat\n";
  if (kind.hairpin) {
    const std::string turned = "  meta l4proto udp iifname lan oifname lan ct status dnat";
    if (is_eim) out += turned + by_source;
    out += turned + " snat ip to " + wan + "\n";
  }
  if (is_eim) out += "  oifname wan meta l4proto udp" + by_source;
  if (kind.mapping == NatMapping::kAddressDependent)
    out += "  oifname wan meta l4proto udp snat ip to " + wan +
           " : ip saddr . udp sport . ip daddr map @port_of\n";
  // Linux alone would give one outside port to two inside endpoints with the same port, to
  // different destinations.
  if (is_eim && kind.ports == NatPorts::kKeep)
    out += "  oifname wan udp sport @taken masquerade random,fully-random\n";
  return out + new_port(kind, wan) + " }\n";
}

// What the maps remember, from each packet that goes out; in flows that began outside, too.
std::string learning(const NatKind& kind) {
  std::string out = " chain learn { type filter hook postrouting priority 200\n";
  struct Words {
    const char *direction, *address, *inside_port, *outside_port;
  };
  constexpr Words kDirections[] = {
      {"original", "ct original ip saddr", "ct original proto-src", "ct reply proto-dst"},
      {"reply", "ct reply ip saddr", "ct reply proto-src", "ct original proto-dst"}};
  for (const Words& w : kDirections) {
    const std::string is_out =
        std::string("  oifname wan ct direction ") + w.direction + " meta l4proto udp update ";
    const std::string inside = std::string(w.address) + " . " + w.inside_port;
    const std::string port = w.outside_port;
    out += is_out + "@holder { " + port + " : " + inside + " }\n";
    out += is_out + "@answered { " + port + " . ip daddr }\n";
    if (kind.mapping == NatMapping::kEndpointIndependent)
      out += is_out + "@port_of { " + inside + " : " + port + " }\n";
    if (kind.mapping == NatMapping::kAddressDependent)
      out += is_out + "@port_of { " + inside + " . ip daddr : " + port + " }\n";
    if (kind.mapping == NatMapping::kEndpointIndependent && kind.ports == NatPorts::kKeep)
      out += is_out + "@taken { " + port + " }\n";
  }
  return out + " }\n";
}

std::string nat_table(const Site& site) {
  const NatKind& kind = *site.nat;
  const std::string wan = site.wan.text();
  const long seconds = kind.timeout ? kind.timeout->count() : kRememberSeconds;
  std::string out = "table ip nat {\n" + maps(kind, seconds);
  if (kind.mapping == NatMapping::kEndpointIndependent && kind.ports == NatPorts::kKeep)
    out += declaration("set", "taken", "inet_service", seconds);
  return out + prerouting(kind, wan) + postrouting(kind, wan) + learning(kind) + "}\n";
}

}  // namespace

std::string nft_rules(const Site& site) {
  std::string out = "flush ruleset\n";
  if (!site.nat && !site.firewall && !site.allow_out) return out;
  out += filter_table(site);
  if (site.nat) out += nat_table(site);
  return out;
}

}  // namespace wow::lab
