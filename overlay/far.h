// Keeps far edges, in the order of log2(N), drawn from the harmonic distribution, so that greedy
// routes are short (Kleinberg, STOC 2000; Manku, Bawa, Raghavan, "Symphony", USITS 2003). Each is
// compared with a few neighbours of its peer, which do as well, and goes to the quickest (proximity
// neighbour selection: Gummadi et al., "The Impact of DHT Routing Geometry", SIGCOMM 2003).
#pragma once

#include "overlay/hub.h"

namespace wow {

// A draw at distance d of 2^160, with density proportional to 1/d on [1/N, 1/2], on either side.
Address draw_far(const Address& self, double size, Random& random);
// How many far edges a node of a ring of so many wants; none where near edges reach everybody.
int far_wanted(double size);

class FarEdges {
 public:
  explicit FarEdges(Hub& hub) : hub_(hub), tick_(hub.clock), trial_tick_(hub.clock) {}

  void start();  // harmless if it runs
  void stop();
  // The node nearest to a draw, or to the place of a candidate.
  void on_found(const Member& found);
  // At most twice our own number may be drawn by others to us, lest one node carry the ring.
  bool accepts_one_more() const;
  // An edge came or went: looking for more is worth while again, and soon.
  void changed();

 private:
  // A candidate for the place of a far edge of ours, while it is being measured.
  struct Trial {
    Address candidate, instead_of;
    TimePoint begun{};
  };

  void tick();
  void trial_tick();
  void judge(const Trial& trial);
  bool begin_trial();
  Edge* slowest();
  Address candidate_beside(const Edge& edge) const;

  Hub& hub_;
  Timer tick_, trial_tick_;
  std::optional<Trial> trial_;
  int had_ = -1;
  Duration wait_{};
};

}  // namespace wow
