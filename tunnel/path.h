// One way for a session's packets to travel. A value, compared by content; a session holds several
// and uses the best. (The plan had a virtual class here; a value needs no owner and is what a
// datagram descriptor carries anyway.)
#pragma once

#include <compare>
#include <string>

#include "base/address.h"
#include "base/endpoint.h"

namespace wow {

enum class PathKind : std::uint8_t { kNone, kDirect, kRouted };

struct Path {
  PathKind kind = PathKind::kNone;
  Endpoint endpoint;  // direct: the peer's
  Address via;        // routed: a node to pass, which knows the peer; zero: plain greedy routing

  static Path direct(const Endpoint& to) { return {PathKind::kDirect, to, {}}; }
  static Path routed(const Address& via = {}) { return {PathKind::kRouted, {}, via}; }
  bool is_direct() const { return kind == PathKind::kDirect; }
  std::string text() const;

  auto operator<=>(const Path&) const = default;
};

}  // namespace wow
