// What a NAT or a stateful firewall does to UDP, as a table with time passed in. The three scopes
// are RFC 4787's (4.1, 5): mapping says who shares an outside port, filtering who may answer to it.
#pragma once

#include <map>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/endpoint.h"
#include "base/random.h"

namespace wow {

enum class NatScope { kEndpointIndependent, kAddressDependent, kAddressPortDependent };

struct NatRules {
  NatScope mapping = NatScope::kEndpointIndependent;
  NatScope filtering = NatScope::kAddressPortDependent;  // "port restricted", the commonest
  bool translate = true;                                 // false: a firewall without NAT
  bool preserve_port = true;  // the inside port while it is free, else (or never) a random one
  // Not 0: a new mapping has the port so far after the last one's, instead.
  int step = 0;
  bool hairpin = false;     // inside hosts reach each other at their outside endpoints
  Duration timeout = 2min;  // RFC 4787, REQ-5; only outgoing packets refresh (REQ-6)
};

class NatModel {
 public:
  // `outside` is the NAT's public address; a firewall has none.
  NatModel(const IpAddress& outside, const NatRules& rules, std::uint64_t seed)
      : outside_(outside), rules_(rules), random_(seed) {}

  const IpAddress& outside() const { return outside_; }
  const NatRules& rules() const { return rules_; }

  // The source that a packet from `inside` to `to` has outside; makes or refreshes the mapping.
  Endpoint outgoing(const Endpoint& inside, const Endpoint& to, TimePoint now);
  // Whom a packet from `from` to our outside endpoint `to` is for; nothing if it is filtered.
  std::optional<Endpoint> incoming(const Endpoint& from, const Endpoint& to, TimePoint now) const;
  // Who last held the outside endpoint, filtered or not.
  std::optional<Endpoint> inside_of(const Endpoint& outside) const;
  // Loses every mapping, as a restarted router does.
  void forget();
  // Outside ports and remotes let in, of mappings that have not timed out.
  std::size_t entries(TimePoint now) const;

 private:
  using Key =
      std::pair<Endpoint, Endpoint>;  // inside, and the remote as far as the mapping minds it
  struct Mapping {
    Endpoint outside;
    TimePoint last_out{};
    std::map<Endpoint, TimePoint> permitted;  // remotes as far as the filter minds them
  };

  Endpoint free_outside(const Endpoint& inside);

  IpAddress outside_;
  NatRules rules_;
  SeededRandom random_;
  std::uint16_t last_port_ = 40'000;  // with `step`
  std::map<Key, Mapping> mappings_;
  std::map<Endpoint, Key> by_outside_;
};

}  // namespace wow
