// Finds the keys under a prefix at a majority: asks each member for the states of its keys, page by
// page, and merges them. What is not settled (a minority may have accepted it, or members may have
// installed it from different majorities) is the coordinator's to settle before it shows it.
#pragma once

#include <functional>
#include <map>

#include "dht/replica.h"

namespace wow::dht {

class Listing {
 public:
  struct Found {
    Stamp latest;
    Duration age{};           // the least of those that hold the latest
    std::size_t holders = 0;  // of the latest
    bool live = false;        // one of them says that it has not expired
    bool mixed = false;       // somebody holds another
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

  // Nobody can see anything else any more, unless it is written again. All hold it, or a majority
  // accepted it in this very epoch: what was only installed at a majority may yet give way to a
  // later write of the epoch before, that others have installed (dht/round says the same).
  static bool is_settled(const Found& found, const Group& group) {
    const bool is_chosen =
        found.latest.epoch == group.id.epoch && found.holders >= group.majority();
    return is_chosen || found.holders == group.members.size();
  }
  // Enough for a directory, whose readers may be corrected.
  static bool is_alike(const Found& found, const Group& group) {
    return found.holders >= group.majority() && !found.mixed;
  }
  // Nobody has anything to show: some have forgotten it already, which is no reason to write it.
  static bool is_dead(const Found& found) { return !found.live && !found.mixed; }

 private:
  struct Source {
    std::string after_key;
    bool complete = false;
  };

  void ask(const ReplicaId& member);
  bool take(const Address& from, const pb::ListKeysReply& page);
  bool is_enough() const;
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
