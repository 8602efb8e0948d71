// What a laboratory's NAT does to UDP, in the words of RFC 4787 (4.1 mapping, 5 filtering), and the
// short names under which topology files and the grid speak of it: "eim-apdf",
// "apdm:sequential-eif".
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wow::lab {

// Which packets of one inside endpoint share an outside port.
enum class NatMapping {
  kLinux,  // what netfilter's masquerade does alone: the inside port while no other host has it
           // towards the same remote, so that one inside endpoint may have several
  kEndpointIndependent,
  kAddressDependent,
  kAddressPortDependent,
};

// Who may answer to an outside port.
enum class NatFiltering { kEndpointIndependent, kAddressDependent, kAddressPortDependent };

// How a new mapping gets its port.
enum class NatPorts {
  kKeep,        // the inside port while it is free
  kRandom,      // nobody can tell
  kSequential,  // the one after the last: can be predicted
};

struct NatKind {
  NatMapping mapping = NatMapping::kEndpointIndependent;
  NatFiltering filtering = NatFiltering::kAddressPortDependent;
  NatPorts ports = NatPorts::kKeep;
  bool hairpin = false;  // inside hosts reach each other at outside endpoints
  std::optional<std::chrono::seconds> timeout;  // of a silent mapping; else the kernel's (30-120 s)

  // MAPPING[:PORTS]-FILTERING, with MAPPING linux, eim, adm or apdm; PORTS keep, random or
  // sequential (by itself keep, and random where each destination has a port); FILTERING eif, adf
  // or apdf. Nothing if it is none, or one that cannot be: a port for each destination is not kept.
  static std::optional<NatKind> parse(std::string_view name);
  std::string name() const;
  // In words: "endpoint-independent mapping, ports kept; ... filtering".
  std::string words() const;

  bool operator==(const NatKind&) const = default;
};

// Every mapping (linux, eim, eim:random, adm, apdm) with every filtering: 15 names.
const std::vector<std::string>& nat_kind_names();

}  // namespace wow::lab
