// Where we can be reached: host and reflexive candidates, telling peers when they change, and the
// announcement of a move to another network.
#pragma once

#include <map>
#include <vector>

#include "nat/reflexive.h"
#include "overlay/hub.h"
#include "overlay/rate_table.h"

namespace wow {

namespace pb {
class Candidates;
}

class Whereabouts {
 public:
  struct Handlers {
    std::function<void(const Address& peer, const std::vector<Endpoint>& endpoints)> candidates;
    std::function<void(const Address& peer, const Address& via)> via;
    std::function<bool(const Address& peer)> is_linking;
  };
  Whereabouts(Hub& hub, Handlers handlers)
      : hub_(hub), handlers_(std::move(handlers)), announce_(hub.clock) {}
  void stop() { announce_.cancel(); }

  // Host, mapped, then reflexive ones, then streams; at most kCandidatesMax.
  std::vector<Endpoint> candidates() const;
  // What a router in front of us passes on to us; nothing: nothing any more.
  void set_mapped(const std::optional<Endpoint>& endpoint);
  NatMapping mapping() const;
  void on_reflexive(Session& session, const Endpoint& observed);

  // Our network changed. Peers are told in their sessions, by whatever path leads to them: as soon
  // as an edge works again, and repeatedly until theirs is direct again.
  void on_network_change();
  void on_edge_usable();
  bool lately_moved() const;

  void tell(const Address& peer, bool moved, bool answer = false);
  void on_told(Session& from, const pb::Candidates& message);
  void on_closed(const Address& peer) { told_.erase(peer); }
  // Every now and then: forgets whom it told long ago.
  void forget_old();

 private:
  void announce_move();
  void tell_if_changed();
  std::vector<Endpoint> streams(const std::vector<Endpoint>& own, bool translated) const;

  Hub& hub_;
  Handlers handlers_;
  ReflexiveVotes votes_, stream_votes_;
  std::optional<Endpoint> mapped_;
  RateTable rates_{ring::kCandidatesPerPeer, ring::kCandidatesPerPeerBurst};
  std::vector<Endpoint> last_;  // what peers were told
  NatMapping last_nat_ = NatMapping::kUnknown;
  std::map<Address, TimePoint> told_;  // when we sent our candidates last
  TimePoint moved_at_{};
  bool moved_ = false;
  Duration announce_wait_{};
  Timer announce_;
};

}  // namespace wow
