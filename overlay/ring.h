// Keeps edges to our nearest neighbours on each side of the ring: whom to connect to, whom to let
// go, and how closely to watch them. Nobody is let go before having been introduced to a nearer
// node (linearization: Onus, Richa, Scheideler, 2007).
#pragma once

#include <functional>
#include <map>
#include <optional>

#include "overlay/lists.h"

namespace wow {

class Ring {
 public:
  // `settled` is called when settled() becomes true.
  Ring(Hub& hub, Lists& lists, std::function<void()> settled);

  void stop();
  // Edges came, went or changed roles: acted upon when the current event is over.
  void changed();
  // A peer with a near role was lost, with its session or only its path, which was direct or not.
  void lost(const Edge& edge, bool was_direct);
  // Members near us that somebody told.
  void heard_of(const std::vector<Member>& members);
  // Not worth connecting to for a while; and worth it again.
  void avoid(const Address& peer);
  void welcome(const Address& peer) { avoid_.erase(peer); }
  // Asks for our place on the ring through some edge, soon and then ever more rarely.
  void stabilize_soon();
  // On the ring, and the nearest on either side count on us, as far as we have heard of any:
  // packets for what is nearest to us end with us, and others' do not. After a while (kSettleLimit)
  // as well.
  bool settled() const { return settled_; }
  double size() const;
  // Every now and then: forgets hints and whom it avoided long ago.
  void forget_old();
  std::size_t hints() const { return hints_.size(); }

 private:
  struct Hint {
    Member member;
    TimePoint until;
  };

  void reconcile();
  void settle(const std::vector<Address>& near);
  bool is_counted_on(const std::vector<Address>& near) const;
  void connect_missing(const std::vector<Address>& near);
  std::size_t tried_more() const;
  std::vector<Address> candidates(const std::vector<Address>& near) const;
  bool is_linked(const Address& peer) const;
  Member known(const Address& peer) const;
  void trim(const std::vector<Address>& near);
  bool is_introduced(const Edge& edge) const;
  void set_keepalives(const std::vector<Address>& near);
  void stabilize();

  Hub& hub_;
  Lists& lists_;
  const std::function<void()> on_settled_;
  bool settled_ = false;
  std::optional<TimePoint> on_ring_since_;
  std::map<Address, Hint> hints_;
  struct Avoided {
    TimePoint until{};
    int times = 0;
  };
  std::map<Address, Avoided> avoid_;
  std::map<Address, TimePoint> tried_;  // asked for a near edge, not yet given up
  std::optional<TimePoint> lost_at_;    // a direct near edge, the last time
  std::vector<Address> last_near_;
  std::uint32_t told_extra_ = 0;  // changes of the edges when those not yet introduced were told
  Timer reconcile_, stabilize_;
  Duration stabilize_wait_{};
};

}  // namespace wow
