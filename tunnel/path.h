// One way for a session's packets to travel. A value, compared by content; a session holds several
// and uses the best. (The plan had a virtual class here; a value needs no owner and is what a
// datagram descriptor carries anyway.)
#pragma once

#include <compare>
#include <string>

#include "base/address.h"
#include "base/endpoint.h"

namespace wow {

enum class PathKind : std::uint8_t { kNone, kDirect, kStream, kRelayed, kRouted };

struct Path {
  PathKind kind = PathKind::kNone;
  Endpoint endpoint;  // direct, stream: the peer's
  Address via;        // routed: a node to pass, which knows the peer; zero: plain greedy routing.
                      // relayed: who passes our packets on, with whom we have a direct path
  std::uint32_t circuit = 0;  // relayed: what that relay knows it by

  // By UDP, or over a stream: straight to the peer either way.
  static Path direct(const Endpoint& to) {
    return {to.is_stream() ? PathKind::kStream : PathKind::kDirect, to, {}, 0};
  }
  static Path relayed(const Address& relay, std::uint32_t circuit) {
    return {PathKind::kRelayed, {}, relay, circuit};
  }
  static Path routed(const Address& via = {}) { return {PathKind::kRouted, {}, via, 0}; }
  // To an endpoint of the peer, with nobody between: UDP or a stream.
  bool is_direct() const { return kind == PathKind::kDirect || kind == PathKind::kStream; }
  bool is_stream() const { return kind == PathKind::kStream; }
  bool is_relayed() const { return kind == PathKind::kRelayed; }
  bool is_routed() const { return kind == PathKind::kRouted; }
  std::string text() const;

  auto operator<=>(const Path&) const = default;
};

}  // namespace wow
