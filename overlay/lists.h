// What neighbours tell each other: whom they know, and where to reach them. A list is made for its
// receiver, sent when an edge comes up and on near edges when it changes; a short summary every now
// and then makes good what was lost.
#pragma once

#include <functional>
#include <vector>

#include "overlay/hub.h"

namespace wow {

namespace pb {
class Neighbours;
class Summary;
}  // namespace pb

class Lists {
 public:
  struct Handlers {
    std::function<void()> heard;  // somebody's list came
    // A peer has got a new edge to this one, which so lives.
    std::function<void(const Address& member)> lives;
    // That a peer holds.
    std::function<void(const Address& peer, std::uint64_t number)> settings_number;
  };
  Lists(Hub& hub, Handlers handlers);

  void start();
  void stop();
  // Our near edges are others: all of them are told, soon, and once more.
  void near_changed();
  // Our list for this peer, now.
  void tell(Edge& edge, bool even_unchanged);
  void on_neighbours(const Address& from, const pb::Neighbours& message);
  void on_summary(const Address& from, const pb::Summary& message);
  // Members we know near `target`, with where to reach them, then others, `most` in all: also what
  // a CTM reply tells its source.
  std::vector<Member> known_near(const Address& target, std::size_t most) const;
  // Where we reach this peer ourselves, then what it says.
  Member described(const Edge& edge) const;

 private:
  std::uint32_t own_load() const;
  void announce(bool even_unchanged);
  void summarize();
  void send_summary(Edge& edge, bool send_list);

  Hub& hub_;
  Handlers handlers_;
  Timer announce_, repeat_, summary_;
  int rounds_ = 0;
};

}  // namespace wow
