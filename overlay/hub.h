// What the parts of a node share, and what they ask of each other. Implemented by Node; a part
// knows this and nothing of its sisters.
#pragma once

#include <functional>
#include <optional>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/transport.h"
#include "overlay/edge_table.h"
#include "overlay/member.h"
#include "tunnel/credentials.h"
#include "tunnel/sessions.h"

namespace wow {

namespace pb {
class Link;
}
struct NodeOptions;

class Hub {
 public:
  Hub(Credentials& credentials, Clock& clock, Random& random, Transport& transport,
      MetricSlot& metrics, const NodeOptions& options, Sessions& sessions, EdgeTable& edges)
      : credentials(credentials),
        clock(clock),
        random(random),
        transport(transport),
        metrics(metrics),
        options(options),
        sessions(sessions),
        edges(edges),
        self(credentials.address()) {}
  virtual ~Hub() = default;

  Credentials& credentials;
  Clock& clock;
  Random& random;
  Transport& transport;
  MetricSlot& metrics;
  const NodeOptions& options;
  Sessions& sessions;
  EdgeTable& edges;
  const Address self;

  // Runs `what` when the current event has been handled: for whatever may end a session that a
  // caller still holds.
  virtual void later(std::function<void()> what) = 0;
  // In a session that is open; else nothing happens.
  virtual void send_link(const Address& peer, pb::Link link, Answer answer = Answer::kExpected) = 0;
  // A message of one packet or more, in a session that is open; else nothing happens.
  virtual void send_message(const Address& peer, std::uint8_t service, ByteView message,
                            Answer answer = Answer::kExpected) = 0;
  // Wants an edge in this role (kNone: only a direct path); repeated, bounded, told when given up.
  virtual void connect(const Member& peer, EdgeRole role) = 0;
  // Takes or gives back a role of ours at an open session, and tells the peer.
  virtual void take_role(Edge& edge, EdgeRole role) = 0;
  virtual void drop_role(Edge& edge, EdgeRole role) = 0;
  // Sends a CTM for an edge in `role` to whoever is nearest to `target`, through `first_hop`
  // (zero: by routing).
  // `only_strangers`: who has an edge to us already need not answer.
  virtual void ask_nearest(const Address& target, EdgeRole role, const Address& first_hop,
                           bool only_strangers = false) = 0;
  // Who is nearest to `target`, by way of `first_hop` (zero: by routing); nothing after a while.
  virtual void locate(const Address& target, const Address& first_hop,
                      std::function<void(std::optional<Address>)> done) = 0;
  // Node::joined().
  virtual bool joined() const = 0;
  virtual Member own_member() = 0;
  // Through whom we can be reached while we are not on the ring; else zero.
  virtual Address own_via() const = 0;
  virtual double size_estimate() const = 0;
  virtual NatMapping own_nat() const = 0;
  // FlowTimeout::keepalive().
  virtual Duration flow_keepalive() const = 0;
  // Whether so many bytes may go to `endpoint`, where `peer`, or somebody for it, says that it is:
  // they are paid for (NamedCredit), and count as sent, unless we know it to be there.
  virtual bool pays(const Address& peer, const Endpoint& endpoint, std::size_t bytes) = 0;
  // `from` has named `to`: it pays for what is sent there, as far as it can.
  virtual void lend(const Address& from, const Address& to, std::size_t bytes) = 0;
};

}  // namespace wow
