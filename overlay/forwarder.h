// Sends, forwards and delivers routed packets. Forwarding is over direct or relayed paths of edges
// only, so a routed packet is never inside another one, but for the one nesting that reaches a node
// which is not on the ring.
#pragma once

#include <functional>
#include <map>

#include "overlay/gateway.h"
#include "overlay/hop_acks.h"
#include "overlay/hop_reason.h"
#include "overlay/hub.h"
#include "overlay/rate_table.h"

namespace wow {

class Forwarder {
 public:
  struct Handlers {
    // A packet of the session with `source`, which `ingress` handed to us; a CTM for us.
    std::function<void(const Address& source, const Address& ingress, MutableBytes packet)> packet;
    std::function<void(ByteView ctm, const Address& ingress)> ctm;
    // A CTM for `to` that may go no further; it would have gone to `next`.
    std::function<void(ByteView ctm, const TraceNext& next)> expired;
  };
  Forwarder(Hub& hub, Handlers handlers);
  void stop() { acks_.stop(); }

  // To `to` or nobody; nested through `via`, or through whom `to` named, if it is not on the ring.
  void send(const Address& to, RoutedPayload kind, ByteView payload, const Address& via = {});
  // A CTM to whoever is nearest to `target`; `first_hop` zero: by routing. False: that is us.
  bool send_nearest(const Address& target, const Address& first_hop, ByteView ctm);
  // A CTM for `to` that may go `limit` hops.
  void send_probe(const Address& to, std::uint8_t limit, ByteView ctm);
  // Where a packet with this header would go, and why; zero: nowhere.
  TraceNext why_next(const RoutedHeader& header, const Address& came_from) const;
  // A CTM for the node nearest to `target` on another ring, to which `gateway` has a contact.
  void send_through(const Address& gateway, const Address& target, ByteView ctm);
  // We are such a gateway now, for kGatewayFor.
  void open_gateway(const Address& contact) { gateway_.open(contact); }
  void on_routed(const Address& from, ByteView packet);
  void on_acks(const Address& from, ByteView numbers) { acks_.on_acks(from, numbers); }
  // No more packets can be handed to this peer.
  void lost(const Address& peer) { acks_.lost(peer); }
  // It may be dead; it is heard again.
  void doubt(const Address& peer) { acks_.doubt(peer); }
  void trust(const Address& peer) { acks_.trust(peer); }
  // Where a packet with this header goes from here; `came_from` zero: our own.
  // `tried`: next hops that did not answer.
  Route route_of(const RoutedHeader& header, const Address& came_from,
                 const std::vector<Address>& tried = {}) const;

  // `peer` can be reached through `via`, it says. Forgotten after a minute, or with a zero `via`.
  void set_via(const Address& peer, const Address& via);
  // Every now and then: forgets ways and rates that are old.
  void forget_old();
  bool is_gateway() const { return gateway_.is_open(); }
  std::size_t unacknowledged() const { return acks_.size(); }
  std::size_t vias() const { return vias_.size(); }

 private:
  struct Via {
    Address via;
    TimePoint until;
  };

  Address via_to(const Address& peer);
  bool route(const RoutedHeader& header, ByteView payload, const Address& came_from,
             const std::vector<Address>& tried = {});
  void forward(RoutedHeader header, ByteView payload, const Address& next, bool uphill,
               std::optional<std::uint16_t> number = std::nullopt);
  void deliver(const RoutedHeader& header, ByteView payload, const Address& came_from);
  void unwrap(ByteView packet, const Address& came_from);
  void unwrap_as_gateway(const RoutedHeader& inner, ByteView payload, const Address& came_from);
  Address first_leaf(const Address& destination, bool around,
                     const std::vector<Address>& tried) const;

  Hub& hub_;
  Handlers handlers_;
  HopAcks acks_;
  std::map<Address, Via> vias_;
  Gateway gateway_;
  RateTable ctm_rates_{ring::kCtmPerHop, ring::kCtmPerHopBurst};
};

}  // namespace wow
