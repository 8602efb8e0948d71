// A node and where to try to reach it, as lists and CTMs carry it.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "base/endpoint.h"

namespace wow {

namespace pb {
class Member;
}

struct Member {
  Address address;
  std::vector<Endpoint> endpoints;  // best first
  // In lists: between it and the teller of the list, by a direct path; zero: not measured, or there
  // is none.
  Duration round_trip{};
  Address named_by{};  // who says so, of somebody else; zero: itself

  // Nothing on a bad address, a bad endpoint or more than kCandidatesMax of them.
  static std::optional<Member> parse(const pb::Member& message);
  // At most `endpoints_max` endpoints.
  void write(pb::Member& message, std::size_t endpoints_max) const;
};

// Whom `teller` knows, by its last list, and where they can be reached if `list` says: a serialized
// pb::Neighbours of the same members in the same order without their addresses, checked before.
std::vector<Member> members_of(const Address& teller, const std::string& list,
                               std::span<const Address> knows);

}  // namespace wow
