#include "overlay/role_talk.h"

#include "overlay/limits.h"
#include "proto/overlay.pb.h"

namespace wow {

void RoleTalk::take(Edge& edge, EdgeRole role) {
  if (role == EdgeRole::kNone || (edge.ours & role_bit(role)) != 0) return;
  hub_.edges.set_ours(edge, edge.ours | role_bit(role));
  remind(edge);
  changed_(edge);
}

void RoleTalk::drop(Edge& edge, EdgeRole role) {
  if ((edge.ours & role_bit(role)) == 0) return;
  hub_.edges.set_ours(edge, edge.ours & ~role_bit(role));
  remind(edge);
  changed_(edge);
}

void RoleTalk::remind(Edge& edge) {
  edge.role_repeats = ring::kRoleRepeats;
  tell(edge);
  if (!repeat_.is_set()) repeat_.after(ring::kRoleRepeat, [this] { repeat(); });
}

void RoleTalk::on_roles(const Address& from, const pb::Roles& message) {
  Edge* edge = hub_.edges.find(from);
  if (edge == nullptr || message.roles_size() > static_cast<int>(kAllRoles.size())) {
    return hub_.metrics.add(Metric::kDropMalformed);
  }
  Roles theirs = 0;
  for (const int role : message.roles()) {
    if (!pb::EdgeRole_IsValid(role)) return hub_.metrics.add(Metric::kDropMalformed);
    theirs |= role_bit(static_cast<EdgeRole>(role));
  }
  if (theirs == edge->theirs) return;
  hub_.edges.set_theirs(*edge, theirs);
  changed_(*edge);
}

void RoleTalk::tell(Edge& edge) {
  pb::Link link;
  pb::Roles& message = *link.mutable_roles();
  for (const auto role : kAllRoles) {
    if ((edge.ours & role_bit(role)) != 0) message.add_roles(static_cast<pb::EdgeRole>(role));
  }
  hub_.send_link(edge.peer, link);
}

void RoleTalk::repeat() {
  bool more = false;
  for (auto& [peer, edge] : hub_.edges.all()) {
    if (edge.role_repeats == 0) continue;
    tell(edge);
    more = --edge.role_repeats > 0 || more;
  }
  if (more) repeat_.after(ring::kRoleRepeat, [this] { repeat(); });
}

}  // namespace wow
