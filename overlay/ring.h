// Keeps edges to our nearest neighbours on each side of the ring: whom to connect to, whom to let
// go, what to tell the neighbours, and how closely to watch them. Nobody is let go before having
// been told of nearer nodes (linearization: Onus, Richa, Scheideler, 2007).
#pragma once

#include <map>

#include "overlay/hub.h"

namespace wow {

namespace pb {
class Neighbours;
}

class Ring {
 public:
  explicit Ring(Hub& hub);

  void start();
  void stop();
  // Edges came, went or changed roles: acted upon when the current event is over.
  void changed();
  // A peer with a near role was lost, with its session or only its direct path.
  void lost(const Edge& edge);
  // Members near us that somebody told.
  void heard_of(const std::vector<Member>& members);
  void on_neighbours(const Address& from, const pb::Neighbours& message);
  // Not worth connecting to for a while; and worth it again.
  void avoid(const Address& peer);
  void welcome(const Address& peer) { avoid_.erase(peer); }
  // Members we know near `target`, with where to reach them: what a CTM reply tells its source.
  std::vector<Member> known_near(const Address& target) const;
  // Asks for our place on the ring through some edge, soon and then ever more rarely.
  void stabilize_soon();
  // Where we reach this peer ourselves, then what it says.
  Member described(const Edge& edge) const;
  // Our list for this peer, now.
  void tell(Edge& edge, bool even_unchanged);
  double size() const;
  std::size_t hints() const { return hints_.size(); }

 private:
  struct Hint {
    Member member;
    TimePoint until;
  };

  void reconcile();
  void connect_missing();
  std::map<Address, Member> candidates() const;
  void trim();
  void set_keepalives(const std::vector<Address>& near);
  void announce(bool far_too, bool even_unchanged);
  void announce_periodically();
  void stabilize();

  Hub& hub_;
  std::map<Address, Hint> hints_;
  struct Avoided {
    TimePoint until{};
    int times = 0;
  };
  std::map<Address, Avoided> avoid_;
  std::map<Address, TimePoint> tried_;  // asked for a near edge, not yet given up
  std::vector<Address> last_near_;
  Timer reconcile_, announce_, repeat_, periodic_, stabilize_;
  Duration stabilize_wait_{};
  int rounds_ = 0;
};

}  // namespace wow
