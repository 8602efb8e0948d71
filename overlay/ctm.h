// Connect-To-Me: "here is where I can be reached; do the same for me". It travels unsealed from hop
// to hop, so it is signed by its source, whose address is the hash of the key that checks it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "nat/reflexive.h"
#include "overlay/edge_role.h"
#include "overlay/hop_reason.h"
#include "overlay/member.h"
#include "tunnel/credentials.h"

namespace wow {

struct Ctm {
  std::uint64_t id = 0;  // the reply repeats it
  bool reply = false;
  bool locate = false;          // only "who are you?"; no edge is wanted
  bool only_strangers = false;  // who has a direct edge to the source need not answer
  EdgeRole role = EdgeRole::kNone;
  Member source;
  Address via;     // not zero: the source is not on the ring yet, reach it nested through this node
  Address target;  // what the request was routed to
  std::int64_t sent_at = 0;  // milliseconds since 1970, by whatever clock the source has
  // Reply for a near edge: members near the source, as the answering node knows. Else: to whom the
  // source has direct paths.
  std::vector<Member> neighbours;
  NatMapping nat = NatMapping::kUnknown;  // of the source
  Bytes word;                             // request for a shortcut: see Node::want_shortcut
  bool trace = false;                     // with `locate`: also where the hop limit ends
  std::optional<TraceNext> next;          // reply to a trace, unless it ends here
};

// A routed payload, at most kCtmBytesMax: neighbours that do not fit are left out.
Bytes sign_ctm(Ctm ctm, const Credentials& credentials, WallTime now);
// Nothing if it is malformed or not signed by its source; counted in `metrics`.
std::optional<Ctm> open_ctm(ByteView payload, const Credentials& credentials, MetricSlot& metrics);

}  // namespace wow
