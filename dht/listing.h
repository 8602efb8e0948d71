// Finds the keys under a prefix at a majority: asks each member for the states of its keys, page by
// page, and merges them. Which records are then behind the latest state is the coordinator's to
// repair.
#pragma once

#include <functional>
#include <map>

#include "dht/replica.h"

namespace wow::dht {

class Listing {
 public:
  struct Found {
    Stamp latest;
    Duration age{};  // the least of those that hold the latest
  };
  using Keys = std::map<std::string, Found>;
  using Done = std::function<void(const Keys* keys)>;  // null: no majority in time

  Listing(Context& context, const Replica& replica, std::uint64_t id, const Group& group,
          std::string prefix, Done done);

  // `done` is called once, maybe inside start(); the listing may be destroyed only later.
  void start();
  void on_reply(const ReplicaId& from, const pb::ListKeysReply& page);
  void abort() { finish(nullptr); }
  const EpochId& epoch() const { return group_.id; }

 private:
  struct Source {
    std::string after_key;
    bool complete = false;
  };

  void ask(const ReplicaId& member);
  bool take(const Address& from, const pb::ListKeysReply& page);
  void resend();
  void finish(const Keys* keys);

  Context& context_;
  const Replica& replica_;
  const std::uint64_t id_;
  const Group group_;
  const std::string prefix_;
  Done done_;
  const TimePoint deadline_;
  std::map<Address, Source> sources_;
  std::size_t complete_ = 0;
  Keys keys_;
  Timer timer_;
};

}  // namespace wow::dht
