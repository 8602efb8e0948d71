// What the network between this host and its pool does to UDP, found out by asking members as RFC
// 5780 does (4.3 mapping, 4.4 filtering, 4.5 hairpinning). Blocking, for seconds: for `wow doctor`.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/endpoint.h"

namespace wow {

// In the words of RFC 4787.
enum class Mapping {
  kUnknown,
  kNone,                 // no NAT
  kEndpointIndependent,  // one outside port for all
  kAddressDependent,
  kAddressPortDependent,
  kDependent,  // one of the last two: no member's other port answered
  kNotByPort,  // the same for two ports of one address; nobody else was there to ask
};
enum class Filtering {
  kUnknown,
  kEndpointIndependent,  // everybody may answer
  kAddressDependent,
  kAddressPortDependent,
  kNotByPort,  // one of the first two: no other member was there to answer
};
enum class PortChoice { kUnknown, kKept, kNext, kRandom };

std::string_view to_string(Mapping mapping);  // "endpoint-independent"
std::string_view to_string(Filtering filtering);
std::string_view to_string(PortChoice choice);

struct NatFindings {
  bool has_address = false;     // of this family, with a route to some member
  std::vector<Endpoint> asked;  // bootstraps and members
  std::vector<Endpoint> answered;
  bool udp() const { return !answered.empty(); }
  std::chrono::milliseconds round_trip{};
  Endpoint outside;  // as the first that answered saw us
  Mapping mapping = Mapping::kUnknown;
  Filtering filtering = Filtering::kUnknown;
  PortChoice ports = PortChoice::kUnknown;
  std::optional<bool> hairpin;  // only behind a NAT
  std::size_t mtu = 0;          // the longest of a few packets that came through whole
  std::optional<std::chrono::seconds> clock_ahead;  // of the members' calendars
};

// IPv4 or IPv6 servers, not both. `pool_key`: 32 bytes.
NatFindings survey_nat(ByteView pool_key, const std::vector<Endpoint>& servers);

}  // namespace wow
