// The way into the ring: dials bootstraps and remembered members at once and again, asks through
// each that answers for our place, and keeps looking for members outside our ring afterwards.
#pragma once

#include <functional>
#include <set>
#include <vector>

#include "overlay/hub.h"

namespace wow {

class Join {
 public:
  struct Handlers {
    std::function<void()> state_changed;
    // A session opened to somebody whom we dialled from outside of our ring.
    std::function<void(const Address& peer)> met_outsider;
    // We have joined, and these are members that we joined through.
    std::function<void(const std::vector<Address>& leaves)> joined_through;
  };
  Join(Hub& hub, Handlers handlers);

  void start();
  void stop();
  void on_open(Session& session);
  void on_edge_usable(const Edge& edge);
  // Whom we dialled is busy and names others.
  void on_referred(const Path& path, const std::vector<Endpoint>& endpoints);
  // The addresses that names of bootstraps stand for now, instead of those told before.
  void set_named(const std::vector<Endpoint>& endpoints);
  // A member that is near, while we are not on the ring.
  void on_heard(const Member& member);
  // A session ended; we may be off the ring, or alone.
  void on_closed();
  // A member was lost without a word: it may live on, on the other side of a cut.
  void remember(Member lost);
  // We are on the ring.
  void on_joined();
  // Dials everybody anew, now: our network changed.
  void hurry();

  // Nobody to talk to: nobody configured or to be expected, or none answered for kAloneAfter.
  bool alone() const;
  // Whether we dial `peer` (zero: whoever is there) of our own accord at this endpoint: it was met
  // there, or the user said so.
  bool knows(const Address& peer, const Endpoint& endpoint) const;

 private:
  struct Start {
    Address address;  // zero for a bootstrap that has not answered yet
    std::vector<Endpoint> endpoints;
    bool is_bootstrap = false;
    bool is_referral = false;  // forgotten once we are on the ring
    bool is_named = false;     // a bootstrap's address that may change
  };

  void tick();
  void dial(const Start& start);
  void dial(const Member& member);
  // What UDP does not reach: streams to a few, once it has had a head start.
  void dial_streams(Carrier carrier);
  bool has_leaf() const;
  void dial_outsider();
  void dial_if_outside(const Member& member);
  void compare_leaves();
  bool connected(const Start& start) const;
  bool is_start(const Endpoint& endpoint) const;
  bool expects_nobody() const;
  void ask(const Address& leaf);
  void trim_leaves();
  void watch_loneliness();

  Hub& hub_;
  Handlers handlers_;
  std::vector<Start> starts_;
  std::vector<Member> lost_;     // the newest last
  std::set<Address> outsiders_;  // dialled while on the ring, not open yet
  Timer tick_, lonely_, compare_, streams_;
  Duration wait_{};
  TimePoint lonely_since_{};
  TimePoint next_outsider_{};
  bool started_ = false;
};

}  // namespace wow
