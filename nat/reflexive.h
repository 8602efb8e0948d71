// What we look like from outside: peers tell from which endpoint they see us, and votes decide (RFC
// 8445 reflexive candidates; RFC 5780 for the mapping behaviour that several answers reveal).
#pragma once

#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "base/endpoint.h"

namespace wow {

enum class NatMapping : std::uint8_t {
  kUnknown,
  kNone,                 // seen as one of our own endpoints
  kEndpointIndependent,  // everybody sees the same endpoint
  kDependent,            // different peers see different ports
};
std::string_view to_string(NatMapping mapping);
// Another port for each peer, as far as is known.
constexpr bool may_depend(NatMapping mapping) {
  return mapping == NatMapping::kDependent || mapping == NatMapping::kUnknown;
}

class ReflexiveVotes {
 public:
  static constexpr std::size_t kVotesMax = 16;  // the newest vote of each of so many peers
  static constexpr Duration kVoteLife = 10min;

  // `peer` saw us at `seen`. `peer_endpoint` is where it was asked: peers behind our own NAT see
  // our LAN side, so votes count per family and scope. Returns whether endpoints() or mapping() may
  // have changed.
  bool vote(const Address& peer, const Endpoint& peer_endpoint, const Endpoint& seen,
            TimePoint now);
  void forget_all();  // our network changed

  static constexpr std::size_t kEndpointsMax = 4;
  // An address that only one peer has seen counts only while nobody else has voted: a single liar
  // must not have others check whomever it likes. Most-voted first, at most kEndpointsMax; our own
  // host endpoints are left out.
  std::vector<Endpoint> endpoints(const std::vector<Endpoint>& own, TimePoint now) const;
  // One peer that sees a foreign endpoint says only that there is a NAT: kUnknown until a second
  // one answers.
  NatMapping mapping(const std::vector<Endpoint>& own, TimePoint now) const;

 private:
  struct Vote {
    Address peer;
    Endpoint peer_endpoint;
    Endpoint seen;
    TimePoint at;
  };
  std::vector<Vote> votes_;
};

}  // namespace wow
