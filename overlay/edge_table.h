// The open sessions of a node as the ring sees them: which are edges, in which roles on either
// side, which can carry routed packets now, and whom each peer says it knows. Filled by Node; read
// by all parts.
#pragma once

#include <array>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "nat/reflexive.h"
#include "overlay/edge_role.h"
#include "overlay/member.h"
#include "overlay/router.h"
#include "tunnel/session.h"

namespace wow {

inline constexpr std::size_t kLinkKinds = 12;  // fields of pb::Link are below

struct Edge {
  Address peer;
  Roles ours = 0;         // what we use it for
  Roles theirs = 0;       // what the peer told us that it uses it for
  bool direct = false;    // has a validated direct path
  bool relayed = false;   // else: has a validated one through a relay
  bool up = false;        // Node has reported it usable
  Duration round_trip{};  // smoothed, as of a minute ago at most; zero: not measured
  TimePoint opened{};
  TimePoint path_since{};  // when the path in use came into use
  Duration keepalive{};
  NatMapping nat = NatMapping::kUnknown;  // the peer's, as it told last
  std::uint8_t load = 0;                  // of the peer as a relay, in percent, as it told last
  std::uint8_t far_trials = 0;            // others that were measured for its far role of ours
  int role_repeats = 0;                   // how often we tell `ours` once more
  std::vector<Endpoint> endpoints;        // the peer's candidates, as told last
  std::vector<Endpoint> met_at;           // of a leaf edge of ours: the endpoints we dialled it at
  TimePoint no_checks_before{};           // of its candidates: see Linker
  Endpoint proven_at;                     // where it answered last, if it can be dialled there
  std::vector<Address> knows;             // its neighbours, as told last
  std::string list;                       // where to reach them, if it said: see members_of()
  std::uint32_t list_sent = 0, list_heard = 0;  // versions of the last lists, ours and the peer's
  std::array<std::uint32_t, kLinkKinds> newest{};  // number of the newest Link message of each kind

  bool is_edge() const { return (ours | theirs) != 0; }
  // Can carry routed packets: never over a path that is routed itself.
  bool usable() const { return (direct || relayed) && is_edge(); }
  // On the ring, as far as we know: our own leaf edges lead to members.
  bool is_member() const { return ((ours | theirs) & kRingBits) != 0 || (ours & kLeafBit) != 0; }
  std::vector<Member> members() const { return members_of(peer, list, knows); }
  bool is_leaf() const { return ((ours | theirs) & kLeafBit) != 0; }
  bool is_near() const { return ((ours | theirs) & kNearBit) != 0; }
};

class EdgeTable {
 public:
  // Of an open session. If there is one already, its roles hold until the peer tells them anew.
  Edge& add(const Address& peer, TimePoint now);
  void erase(const Address& peer);
  Edge* find(const Address& peer);
  const Edge* find(const Address& peer) const;
  // Every change of roles, direct or members goes through these, so that hops() is never stale.
  void set_ours(Edge& edge, Roles roles);
  void set_theirs(Edge& edge, Roles roles);
  void set_path(Edge& edge, const Session& session, TimePoint now);
  void set_round_trip(Edge& edge, const Session& session);
  void set_knows(Edge& edge, std::vector<Address> knows);

  const std::map<Address, Edge>& all() const { return edges_; }
  std::map<Address, Edge>& all() { return edges_; }
  // Where packets can be forwarded to now.
  std::span<const Hop> hops() const;
  // Usable edges to members of the ring. Those that we are but a leaf of count once a reply has
  // told us our place: before, whoever happens to be our bootstrap would pass for a neighbour.
  std::vector<Address> members() const;
  void set_placed() { placed_ = true; }
  // Grows with every change of edges, their roles or paths; not of what peers know.
  std::uint32_t changes() const { return changes_; }
  std::size_t count_ours(Roles roles) const;
  std::size_t count_theirs(Roles roles) const;
  // A near edge is usable: we are on the ring.
  bool on_ring() const;

 private:
  static void note_proven(Edge& edge, const Session& session);

  std::map<Address, Edge> edges_;  // ordered: the same seed must give the same run
  std::uint32_t changes_ = 0;
  bool placed_ = false;  // until the last edge is gone
  mutable std::vector<Hop> hops_;
  mutable bool hops_stale_ = false;
};

}  // namespace wow
