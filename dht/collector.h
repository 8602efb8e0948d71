// Forgets what has long expired, without letting anything older come back: a register leaves this
// replica only after every member of its epoch has said that it holds the same write, expired by
// its own count, too, or nothing. Who lags behind is brought up to date first. A member that does
// not answer stops it, until it returns or the group changes: a new epoch begins without what has
// expired.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "dht/coordinator.h"

namespace wow::dht {

class Collector {
 public:
  Collector(Context& context, Replica& replica, Coordinator& coordinator)
      : context_(context), replica_(replica), coordinator_(coordinator), timer_(context.clock) {}

  // To be called now and then.
  void collect();
  void on_reply(const ReplicaId& from, const pb::DhtMessage& message);

 private:
  struct Key {
    std::size_t agreeing = 0;  // members
    bool differs = false;
  };

  void finish();

  Context& context_;
  Replica& replica_;
  Coordinator& coordinator_;
  EpochId epoch_;
  std::uint64_t id_ = 0;  // of our question; 0: none is open
  std::map<std::string, Key> keys_;
  std::set<Address> answered_;
  std::string after_key_;  // where the next batch begins
  Timer timer_;
};

}  // namespace wow::dht
