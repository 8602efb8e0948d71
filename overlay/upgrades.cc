#include "overlay/upgrades.h"

#include <algorithm>

#include "overlay/limits.h"
#include "overlay/node.h"

namespace wow {

void Upgrades::on_path_changed(const Session& session) {
  const Path& path = session.path().path;
  if (path.is_stream()) {
    on_streams_.insert(session.peer());
    if (!timer_.is_set())
      timer_.after(hub_.random.jittered(ring::kUpgradeEvery), [this] { turn(); });
    return;
  }
  const bool back = on_streams_.erase(session.peer()) > 0 && session.is_direct();
  if (!back || on_streams_.empty()) return;
  hurried_ = on_streams_.size();
  timer_.after(ring::kUpgradePace, [this] { turn(); });
}

void Upgrades::stop() {
  timer_.cancel();
  on_streams_.clear();
}

void Upgrades::turn() {
  const std::size_t turns = std::min(on_streams_.size(), ring::kUpgradesPerTurn);
  hurried_ -= std::min(hurried_, turns);
  for (std::size_t i = 0; i < turns && !on_streams_.empty(); ++i) {
    auto next = on_streams_.upper_bound(last_);
    if (next == on_streams_.end()) next = on_streams_.begin();
    last_ = *next;
    ask(last_);
  }
  if (on_streams_.empty()) return;
  timer_.after(hurried_ > 0 ? ring::kUpgradePace : hub_.random.jittered(ring::kUpgradeEvery),
               [this] { turn(); });
}

void Upgrades::ask(const Address& peer) {
  const Edge* edge = hub_.edges.find(peer);
  Session* session = hub_.sessions.find(peer);
  if (edge == nullptr || session == nullptr || session->state() != SessionState::kOpen) return;
  for (const auto* known : {&edge->met_at, &edge->endpoints}) {
    for (const Endpoint& e : *known) {
      if (!e.is_stream() && hub_.pays(peer, e, ring::kCheckBytes)) hub_.sessions.probe(*session, e);
    }
  }
}

}  // namespace wow
