// The inside of Node where it meets others: what CTMs and attempts to link lead to.
#include <algorithm>

#include "overlay/node_core.h"

namespace wow {

Introducer::Handlers Node::Impl::introducer_handlers() {
  return {.asked =
              [this](const Ctm& ctm) {
                ring_.welcome(ctm.source.address);
                if (!ctm.word.empty() && shortcut_observer_)
                  shortcut_observer_(ctm.source.address, ctm.word);
                // Whoever asks for its place beside us is wanted as much as it wants us.
                // Requests cost their sender nothing: half of the room for hints is for them.
                if (ctm.role == EdgeRole::kNear && ring_.hints() < ring::kHintsMax / 2) {
                  ring_.heard_of({ctm.source});
                }
                on_introduced(ctm);
                linker_.answer(ctm.source);
              },
          .answered =
              [this](const Ctm& ctm) {
                on_introduced(ctm);
                linker_.on_candidates(ctm.source.address, ctm.source.endpoints);
              },
          .found =
              [this](const Member& found, EdgeRole role) {
                if (role == EdgeRole::kFar) return far_.on_found(found);
                edges_.set_placed();
                ring_.welcome(found.address);
                // On the ring already: connected to only if it is nearer than whom we have.
                if (edges_.on_ring()) return ring_.heard_of({found});
                linker_.connect(found, role);
                linker_.on_candidates(found.address, found.endpoints);
              },
          .heard_of = [this](const std::vector<Member>& members) { ring_.heard_of(members); },
          .accepts =
              [this](EdgeRole role) { return role != EdgeRole::kFar || far_.accepts_one_more(); },
          .neighbours =
              [this](const Address& target) {
                return lists_.known_near(target, ring::kListDescribedMax);
              },
          .direct_peers = [this] { return direct_peers(); },
          .word = [this](const Address& peer) { return shortcuts_.word(peer); }};
}

Linker::Handlers Node::Impl::linker_handlers() {
  return {.ask = [this](const Address& peer, EdgeRole role) { introducer_.ask(peer, role); },
          .given_up =
              [this](const Address& peer) {
                ring_.avoid(peer);
                messages_.give_up(peer);
                ring_.changed();
              },
          .tell_candidates = [this](const Address& peer,
                                    bool moved) { whereabouts_.tell(peer, moved); },
          .lately_moved = [this] { return whereabouts_.lately_moved(); },
          .stuck = [this](const Address& peer) { relays_.want(peer); },
          .unlinked = [this](const Address& peer) { punch_.want(peer); }};
}

void Node::Impl::count_bytes_of(const Address& peer) {
  const Session* session = sessions_.find(peer);
  const auto keys = session == nullptr ? nullptr : session->keys();
  if (keys == nullptr) return;
  credit_.count(peer, keys->receive_index, keys->bytes_in.load(std::memory_order_relaxed));
}

bool Node::Impl::pays(const Address& peer, const Endpoint& endpoint, std::size_t bytes) {
  if (join_.knows(peer, endpoint)) return true;
  count_bytes_of(peer);
  if (credit_.spend(peer, bytes)) return true;
  metrics.add(Metric::kDropAmplification);
  return false;
}

void Node::Impl::lend(const Address& from, const Address& to, std::size_t bytes) {
  count_bytes_of(from);
  credit_.lend(from, to, bytes);
}

// A first flight to where somebody else says that the peer is; and the check there once the session
// is open. Busy bootstraps pay for whom they name, all from one account: nobody's.
bool Node::Impl::may_dial(const Address& peer, const Path& path, std::size_t bytes) {
  if (stopped_) return false;
  const Session* session = sessions_.find(peer);
  if (session != nullptr && session->state() == SessionState::kOpen) {
    const auto paths = session->paths();
    if (std::ranges::any_of(paths,
                            [&](const PathState& p) { return p.validated && p.path == path; }))
      return true;
  }
  return pays(peer, path.endpoint, bytes + ring::kCheckBytes);
}

}  // namespace wow
