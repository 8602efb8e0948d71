// The inside of Node where NATs are concerned: how it answers questions about them.
#include <algorithm>

#include "overlay/node_core.h"

namespace wow {

NatAnswers::Handlers Node::Impl::nat_handlers() {
  return {.send =
              [this](const Endpoint& to, ByteView packet) {
                const Datagram datagram{to, packet, {}};
                transport.send({&datagram, 1});
              },
          .send_other =
              [this](const Endpoint& to, ByteView packet) {
                if (send_from_other_port_) send_from_other_port_(to, packet);
              },
          .helper = [this](const Endpoint& asker) { return nat_helper(asker); },
          .ask =
              [this](const Address& helper, ByteView errand) {
                send_message(helper, static_cast<std::uint8_t>(Service::kNat), errand,
                             Answer::kNone);
              }};
}

// Any of those that the asker can be sure not to have spoken to by speaking to us.
std::optional<NatAnswers::Helper> Node::Impl::nat_helper(const Endpoint& asker) {
  const auto own = whereabouts_.candidates();
  std::vector<NatAnswers::Helper> fit;
  for (const auto& [peer, edge] : edges_.all()) {
    const Session* session = sessions_.find(peer);
    if (session == nullptr || !session->is_direct()) continue;
    const Endpoint& e = session->path().path.endpoint;
    const bool is_ours = std::ranges::find(own, e.ip, &Endpoint::ip) != own.end();
    if (e.ip.is_v4() == asker.ip.is_v4() && !e.ip.is_private() && e.ip != asker.ip && !is_ours &&
        !e.is_stream())
      fit.push_back({peer, e});
  }
  if (fit.empty()) return std::nullopt;
  return fit[random.below(fit.size())];
}

}  // namespace wow
