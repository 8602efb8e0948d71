#include "tap/table_keeper.h"

#include <utility>

#include "dht/inner_ipv6.h"
#include "tap/mac_address.h"

namespace wow {

void TableKeeper::mark(const Address& peer) {
  marked_.insert(peer);
  for (auto i = behind_.lower_bound({peer, Address()}); i != behind_.end() && i->first == peer; ++i)
    marked_.insert(i->second);
}

void TableKeeper::write() {
  for (const Address& peer : std::exchange(marked_, {})) write(peer);
}

void TableKeeper::forget(const Address& peer) {
  const auto found = written_.find(peer);
  if (found == written_.end()) return;
  tables_.by_mac.erase(mac_key(mac_of(peer).data()));
  tables_.by_index.erase(found->second.index);
  behind_.erase({found->second.relay, peer});
  written_.erase(found);
}

void TableKeeper::write(const Address& peer) {
  const Session* session = node_.session(peer);
  const auto keys = session != nullptr && (session->is_direct() || session->is_relayed())
                        ? session->keys()
                        : nullptr;
  if (!keys) return forget(peer);
  const Path& path = session->path().path;
  // A relay's is the endpoint on our direct path to it.
  const Session* way = path.is_relayed() ? node_.session(path.via) : session;
  if (way == nullptr || !way->is_direct()) return forget(peer);
  // Workers have the node's own UDP socket; others are the control thread's.
  if (way->path().path.endpoint.socket != 0) return forget(peer);
  const Written now{keys->receive_index, path.is_relayed() ? path.via : Address()};
  if (const auto found = written_.find(peer);
      found != written_.end() &&
      (found->second.index != now.index || found->second.relay != now.relay)) {
    forget(peer);
  }
  const Endpoint to = way->path().path.endpoint;
  const std::uint64_t mac = mac_key(mac_of(peer).data());
  const IpAddress ip6 = inner_ipv6(subnet6_, peer);
  ReceiveEntry receive{keys, to, mac, {}, path.circuit, ip6};
  const Binding* binding = resolver_.of(peer);
  if (binding) receive.source_ip = binding->ip;
  if (binding || neighbours_.find(ip6)) {
    tables_.by_mac.set(mac, {keys, to, path.circuit, session->datagram_max()});
  } else {
    tables_.by_mac.erase(mac);
  }
  tables_.by_index.set(now.index, std::move(receive));
  written_[peer] = now;
  if (!now.relay.is_zero()) behind_.emplace(now.relay, peer);
}

}  // namespace wow
