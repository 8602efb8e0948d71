// What nodes say to each other about circuits, in the sessions of their legs.
#pragma once

#include "overlay/hub.h"
#include "proto/overlay.pb.h"

namespace wow {

struct CircuitOpen {
  std::uint32_t id = 0;  // of the leg to the receiver
  Address source, destination;
  unsigned relays = 0;  // that may be passed from here on, the receiver included
  bool link = false;    // it may link on purpose
  Address through;      // a second relay that is said to reach the destination; zero: none
};

// `relay` (a refusal): who passes our own packets to the far end on; zero: nobody.
inline void send_circuit(Hub& hub, const Address& to, pb::Circuit::Op op, std::uint32_t id,
                         const Address& relay = {}) {
  pb::Link link;
  if (!relay.is_zero()) link.mutable_circuit()->set_relay(to_string(relay.bytes()));
  link.mutable_circuit()->set_op(op);
  link.mutable_circuit()->set_id(id);
  hub.send_link(to, link);
}

inline void send_circuit_open(Hub& hub, const Address& to, const CircuitOpen& open) {
  pb::Link link;
  pb::Circuit& message = *link.mutable_circuit();
  message.set_op(pb::Circuit::OP_OPEN);
  message.set_id(open.id);
  message.set_source(to_string(open.source.bytes()));
  message.set_destination(to_string(open.destination.bytes()));
  message.set_relays(open.relays);
  message.set_link(open.link);
  if (!open.through.is_zero()) message.set_relay(to_string(open.through.bytes()));
  hub.send_link(to, link);
}

}  // namespace wow
