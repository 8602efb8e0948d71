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

// Where a list of a peer's neighbours says that they can be reached: those of `list`, a serialized
// pb::Neighbours of `teller` that was checked before; else those it only `knows`.
std::vector<Member> members_of(const Address& teller, const std::string& list,
                               std::span<const Address> knows);

}  // namespace wow
