#include "base/asio/node_transport.h"

namespace wow {

void NodeTransport::send(std::span<const Datagram> batch) {
  std::size_t begin = 0;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const Endpoint& to = batch[i].to;
    if (!to.is_stream() && to.socket == 0) continue;
    if (i > begin) udp_.send(batch.subspan(begin, i - begin));
    if (to.is_stream()) {
      streams_.send(batch[i]);
    } else {
      side_.send(batch[i]);
    }
    begin = i + 1;
  }
  if (begin < batch.size()) udp_.send(batch.subspan(begin));
}

std::vector<Endpoint> NodeTransport::local_endpoints() const {
  const std::vector<Endpoint> hosts = udp_.local_endpoints();
  std::vector<Endpoint> out = hosts;
  for (const Carrier carrier : {Carrier::kTcp, Carrier::kTls}) {
    const auto port = streams_.port(carrier);
    for (const Endpoint& e : hosts) {
      if (port) out.push_back({e.ip, *port, carrier});
    }
  }
  return out;
}

}  // namespace wow
