#include "overlay/shortcuts.h"

#include <algorithm>
#include <vector>

#include "overlay/limits.h"

namespace wow {

void Shortcuts::want(const Address& peer, ByteView word) {
  if (peer == hub_.self) return;
  Wanted& wanted = wanted_[peer];
  wanted.at = hub_.clock.now();
  // Asked for each packet: no new memory.
  word = word.first(std::min(word.size(), ring::kShortcutWordMax));
  if (!word.empty()) wanted.word.assign(word.begin(), word.end());
  const Edge* edge = hub_.edges.find(peer);
  if (edge != nullptr && edge->direct && (edge->ours & kShortcutBit) != 0) return;
  hub_.connect({peer, {}}, EdgeRole::kShortcut);
  if (wanted_.size() <= ring::kShortcutsMax) return;
  const auto quietest =
      std::min_element(wanted_.begin(), wanted_.end(), [this](const auto& a, const auto& b) {
        return last_use(a.first, a.second.at) < last_use(b.first, b.second.at);
      });
  drop(Address(quietest->first));
}

Bytes Shortcuts::word(const Address& peer) const {
  const auto found = wanted_.find(peer);
  return found == wanted_.end() ? Bytes() : found->second.word;
}

void Shortcuts::sweep() {
  std::vector<Address> idle;
  for (const auto& [peer, wanted] : wanted_) {
    if (hub_.clock.now() - last_use(peer, wanted.at) >= ring::kShortcutIdle) idle.push_back(peer);
  }
  for (const Address& peer : idle) drop(peer);
}

// Packet workers send without asking us; the session's counters tell.
TimePoint Shortcuts::last_use(const Address& peer, TimePoint wanted) const {
  const Session* session = hub_.sessions.find(peer);
  const auto keys = session == nullptr ? nullptr : session->keys();
  if (keys == nullptr) return wanted;
  const Duration sent(keys->last_sent_frame_ns.load(std::memory_order_relaxed));
  return std::max(wanted, TimePoint(sent));
}

void Shortcuts::drop(const Address& peer) {
  wanted_.erase(peer);
  if (Edge* edge = hub_.edges.find(peer)) hub_.drop_role(*edge, EdgeRole::kShortcut);
}

}  // namespace wow
