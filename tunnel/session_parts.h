// What the inside of Sessions shares: the world that was passed in, and the way out for packets.
#pragma once

#include <cstdint>
#include <functional>

#include "tunnel/handshake_codec.h"
#include "tunnel/receive_indexes.h"
#include "tunnel/sessions.h"

namespace wow {

struct SessionParts {
  SessionParts(Credentials& credentials, Clock& clock, Random& random, Transport& transport,
               MetricSlot& metrics, Sessions::Listener& listener, const SessionLimits& limits)
      : credentials(credentials),
        clock(clock),
        random(random),
        transport(transport),
        metrics(metrics),
        listener(listener),
        limits(limits),
        codec(credentials.pool_key(), random),
        indexes(random) {}

  Credentials& credentials;
  Clock& clock;
  Random& random;
  Transport& transport;
  MetricSlot& metrics;
  Sessions::Listener& listener;
  const SessionLimits limits;
  HandshakeCodec codec;
  ReceiveIndexes indexes;
  // Through a circuit that ends here.
  std::function<void(const Path& path, ByteView packet, bool dont_fragment)> send_relayed;
  // Which of two events on this node was first.
  std::uint64_t order = 0;

  TimePoint now() const { return clock.now(); }
  // `peer` matters for routed paths only.
  void send(const Address& peer, const Path& path, ByteView packet, bool dont_fragment = false) {
    if (path.is_direct()) {
      const Datagram datagram{path.endpoint, packet, {}, 0, 0, dont_fragment};
      transport.send({&datagram, 1});
    } else if (path.is_relayed()) {
      send_relayed(path, packet, dont_fragment);
    } else {
      listener.send_routed(peer, path.via, packet);
    }
  }
};

}  // namespace wow
