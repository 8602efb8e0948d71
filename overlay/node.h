// A member of the ring: keeps its edges, routes, connects on demand and carries messages of
// services. The very class runs in the daemon and in the simulator. Synchronous; control thread
// only. Ring words are Brunet's (Boykin et al., "A Symphony Conducted by Brunet", 2007): leaf,
// near, far, shortcut, CTM, linker.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/transport.h"
#include "nat/punch_plan.h"
#include "nat/reflexive.h"
#include "overlay/edge_role.h"
#include "overlay/hop_reason.h"
#include "overlay/member.h"
#include "overlay/router.h"
#include "overlay/second_relay.h"
#include "overlay/why_not.h"
#include "tunnel/credentials.h"
#include "tunnel/sessions.h"

namespace wow {

// Who a message is for at its receiver. Numbers are on the wire; users of the library take 16 and
// up.
enum class Service : std::uint8_t {
  kLink = 1,
  kDht = 2,
  kVnet = 3,
  kHopAcks = 4,
  kBroadcast = 5,
  kNat = 6,
  kFrame = 7,
  kUserFirst = 16
};

struct NodeOptions {
  std::vector<Endpoint> bootstraps;
  // More will be told (set_named_bootstraps, on_lan_member): a node without any is not alone before
  // it has waited for them.
  bool expects_more = false;
  // Members met before, with their endpoints: where to start when no bootstrap answers.
  using Remembered = Member;
  std::vector<Remembered> remembered;
  std::optional<Prefix> virtual_subnet;  // never a candidate
  bool allow_loopback = false;           // candidates on 127.0.0.1, for tests and examples
  bool streams = false;  // the transport can open streams: they are dialled where UDP leads nowhere
  PunchBudget punch;
  SessionLimits limits;
};

// One row of `wow peers`.
struct EdgeInfo {
  Address peer;
  std::vector<EdgeRole> roles;  // of an edge; empty for a session that is none
  Path path;
  Duration round_trip{};
  Duration open_for{};
  std::uint64_t bytes_in = 0, bytes_out = 0;
  float loss = 0;                // 0..1, of what keeps and proves the path
  std::size_t datagram_max = 0;  // UDP payload that was found to pass; 0: not asked
  bool direct = false;           // by UDP
  bool stream = false;
  bool relayed = false;               // by circuit: path.via is the relay
  Duration path_for{};                // since when the path is in use
  WhyNot why_not = WhyNot::kNothing;  // direct by UDP
  int tries = 0;                      // rounds of checks begun, while they go on
};

// How full the bounded tables are, for status and tests.
struct NodeTables {
  std::size_t sessions = 0, links = 0, requests = 0, hints = 0, vias = 0, shortcuts = 0;
  std::size_t outbox_bytes = 0, partial_bytes = 0;
  std::size_t circuits = 0, circuit_ends = 0;  // passed on for others; that end here
  std::size_t circuit_requests = 0, relay_searches = 0, relays_asked = 0;
  std::size_t broadcasts = 0, unacknowledged = 0;
  bool gateway = false;  // between two rings
};

class Node {
 public:
  static constexpr std::size_t kMessageBytesMax = 64 * 1024;

  using MessageHandler = std::function<void(const Address& from, ByteView message)>;

  Node(Credentials& credentials, Clock& clock, Random& random, Transport& transport,
       MetricSlot& metrics, NodeOptions options);
  ~Node();

  // Dials bootstraps and remembered members all at once (serial tries were Brunet's slowness) and
  // joins the ring.
  void start();
  // To be called kDrain before stop(), if it can wait: whose packets we pass on are told to find
  // another way, and lose nothing. False: there is nobody to wait for.
  static constexpr Duration kDrain = 300ms;
  bool drain();
  // Says goodbye to peers; nothing is sent afterwards.
  void stop();

  // What the owner of the sockets hands in: a datagram, or a packet of a stream.
  void on_datagram(MutableBytes packet, const Endpoint& from);
  void on_stream_closed(const Endpoint& far);  // whoever closed it; or it could not be opened
  // `circuit`: it came through it, from a relay at `from`; 0: directly. From a packet worker.
  void on_opened(std::uint32_t receive_index, ByteView plain, const Endpoint& from,
                 std::uint32_t circuit = 0);
  // Addresses of this machine changed (netlink), or it slept: tell everybody at once.
  void on_network_change();
  // What the names among the bootstraps stand for now; those told before are forgotten.
  void set_named_bootstraps(const std::vector<Endpoint>& endpoints);
  // Where a port mapping makes us reachable: a candidate until it is told otherwise.
  void set_mapped_endpoint(const std::optional<Endpoint>& endpoint);
  // Questions about NATs (nat/nat_question.h) can be answered from another port of this machine,
  // too: its number, and how to send from there.
  void set_other_port(std::uint16_t port,
                      std::function<void(const Endpoint& to, ByteView packet)> send);
  // What came in there.
  void on_other_port(MutableBytes packet, const Endpoint& from);
  // A member of this pool says that it is on our LAN (overlay/lan_discovery.h).
  void on_lan_member(const Member& member);

  const Address& address() const;
  // Joined: near edges on the ring, and the nearest on either side count on this node; or known to
  // be alone (no bootstrap answered for 3 s, or none is configured).
  bool joined() const;
  bool alone() const;
  // Calls `fire` each time joined() becomes true.
  void on_joined(std::function<void()> fire);

  // Best effort: a session to `to` is opened on demand, routed at once and upgraded to a direct
  // path in place. At most kMessageBytesMax; false if larger. An own address is delivered locally,
  // later.
  bool send(const Address& to, Service service, ByteView message);
  void set_handler(Service service, MessageHandler handler);
  // To every other member, best effort: delivered once to each. At most kBroadcastMax bytes; false
  // if larger. One a second, ten at once, are passed on for an origin.
  static constexpr std::size_t kBroadcastMax = 1024;
  using BroadcastHandler =
      std::function<void(const Address& origin, ByteView payload, std::uint32_t hops)>;
  bool broadcast(Service service, ByteView payload);
  void set_broadcast_handler(Service service, BroadcastHandler handler);
  // The member nearest to `target` (maybe ourselves), asked along the ring; nothing after 3 s
  // without an answer.
  void locate(const Address& target, std::function<void(std::optional<Address>)> done);

  // The way that routed packets take to another member, asked hop by hop; ends at the target, or
  // where the way is lost. Nothing if too many are asked for at once.
  void trace(const Address& target, std::function<void(std::vector<TraceStep>)> done);

  // For the virtual network: a session for frames, with the shortcut role while in use. The peer's
  // observer hears `word` (at most ring::kShortcutWordMax bytes, signed by us, not secret) about a
  // round trip before the first frame; not if there is an edge already.
  void want_shortcut(const Address& peer, ByteView word = {});
  void set_shortcut_observer(std::function<void(const Address& peer, ByteView word)> observer);
  bool send_frame(const Address& peer, ByteView frame, std::uint8_t facts);
  void set_frame_handler(
      std::function<void(Session& from, ByteView frame, std::uint8_t facts)> handler);
  // Called when a session opens, changes its best path or keys, or closes (null): forwarding tables
  // follow.
  void set_session_observer(std::function<void(const Address& peer, Session* session)> observer);

  // Takes newer settings (from a command or a file) and spreads them.
  bool adopt_settings(ByteView signed_settings);
  // Called after settings from anywhere were adopted.
  void set_settings_observer(std::function<void()> observer);

  Session* session(const Address& peer);
  // Behind the first relay of a circuit that ends here.
  SecondRelay second_relay(std::uint32_t circuit) const;
  Sessions& sessions();
  std::vector<EdgeInfo> edges() const;
  // The members nearest to `target` in our own view (edges and ourselves), nearest first.
  std::vector<Address> nearest_known(const Address& target, std::size_t count) const;
  // For restart: members with endpoints worth remembering, at most 64.
  std::vector<NodeOptions::Remembered> remember() const;
  std::vector<Endpoint> own_candidates() const;
  NatMapping nat_mapping() const;
  // Where our NAT or firewall forgets flows that are silent for as long as edges mostly are: after
  // what silence we send a packet to keep them. Else zero.
  Duration flow_keepalive() const;
  // The network size as the density of near neighbours suggests; at least 1.
  double size_estimate() const;
  NodeTables tables() const;
  // For simulations, which look at many nodes at once: where a routed packet goes from here (zero
  // `came_from`: our own), and whether an edge that carries packets joins us to `peer` as a
  // neighbour.
  Route route_of(const RoutedHeader& header, const Address& came_from) const;
  bool is_neighbour(const Address& peer) const;
  std::vector<Address> neighbours() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace wow
