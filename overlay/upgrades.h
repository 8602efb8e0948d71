// Sessions whose packets travel over a stream, for want of UDP: whether it works by now is asked
// every few seconds, of a few at a time; once it does for one, of all the others at once.
#pragma once

#include <set>

#include "overlay/hub.h"

namespace wow {

class Upgrades {
 public:
  explicit Upgrades(Hub& hub) : hub_(hub), timer_(hub.clock) {}

  // A session has opened, or uses another path.
  void on_path_changed(const Session& session);
  void on_closed(const Address& peer) { on_streams_.erase(peer); }
  void stop();

 private:
  void turn();
  void ask(const Address& peer);

  Hub& hub_;
  std::set<Address> on_streams_;
  Address last_;             // who was asked last
  std::size_t hurried_ = 0;  // still to be asked without a pause
  Timer timer_;
};

}  // namespace wow
