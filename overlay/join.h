// The way into the ring: dials bootstraps and remembered members at once and again, asks through
// each that answers for our place, and keeps looking for members outside our ring afterwards.
#pragma once

#include <functional>
#include <set>

#include "overlay/hub.h"

namespace wow {

class Join {
 public:
  Join(Hub& hub, std::function<void()> state_changed);

  void start();
  void stop();
  void on_open(Session& session);
  void on_edge_usable(const Edge& edge);
  // A session ended; we may be off the ring, or alone.
  void on_closed();
  // Dials everybody anew, now: our network changed.
  void hurry();

  // Nobody to talk to: nobody configured, or none answered for kAloneAfter.
  bool alone() const;

 private:
  struct Start {
    Address address;  // zero for a bootstrap that has not answered yet
    std::vector<Endpoint> endpoints;
    bool is_bootstrap = false;
  };

  void tick();
  void dial(const Start& start);
  void dial_outsider();
  bool connected(const Start& start) const;
  void ask(const Address& leaf);
  void trim_leaves();
  void watch_loneliness();

  Hub& hub_;
  std::function<void()> state_changed_;
  std::vector<Start> starts_;
  Timer tick_, lonely_;
  Duration wait_{};
  TimePoint lonely_since_{};
  TimePoint next_outsider_{};
  bool started_ = false;
};

}  // namespace wow
