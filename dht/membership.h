// Finds the group, founds it where there is none or its majority is lost, and follows it from epoch
// to epoch: installs what we are a member of, seals and forgets what is over, compares lineages and
// gives up the lesser one. Speaks query, announce and fetch.
#pragma once

#include <deque>

#include "dht/collector.h"
#include "dht/group_changer.h"
#include "dht/installer.h"
#include "dht/majority_watch.h"

namespace wow::dht {

class Membership {
 public:
  Membership(Context& context, Replica& replica, GroupBook& book, Coordinator& coordinator,
             std::function<void()> lineage_changed);

  void start();
  void on_ring_change();
  // Another may answer with what this replica promised.
  void on_store_copied();
  // The group is not known, or does not answer: asks who might know better. Limited in rate.
  void look_up();
  // Founds where there is no group, if that is ours to do.
  void consider_founding();
  bool knows_group() const;
  // A majority of the group has not answered us, though we asked.
  bool is_lost() const { return watch_.is_lost(); }

  // Anything from `from`; if it said so, it serves this epoch.
  void hear(const ReplicaId& from, const EpochId& serves);
  void on_query(const Address& from, const pb::DhtMessage& message);
  void on_announce(const ReplicaId& from, const pb::DhtMessage& message);
  void on_list_keys_reply(const ReplicaId& from, const pb::DhtMessage& message) {
    collector_.on_reply(from, message);
  }
  void on_fetch(const ReplicaId& from, const pb::DhtMessage& message);
  void on_fetch_reply(const ReplicaId& from, const pb::DhtMessage& message);

 private:
  void tick();
  Duration tick_interval() const;
  void on_group_change();
  void follow(Group group);
  void check_over();
  void on_next(const Group& of, Coordinator::Reading reading, const std::optional<Group>& next);
  void hear_unreachable(const ReplicaId& from);
  bool may_install(const Group& group) const;
  bool is_nearest() const;
  bool is_located_nearest() const;
  bool may_found() const;
  bool others_know_none() const;
  void found(std::uint64_t number);
  WallTime founded_at() const;
  void watch_majority();
  void consider_yielding();
  bool renounce();
  void tell_owners();
  void probe_rivals();
  void query(const Address& node);
  void query_members(const Group& group);
  void announce(const Address& node);

  Context& context_;
  Replica& replica_;
  GroupBook& book_;
  Coordinator& coordinator_;
  GroupChanger changer_;
  Installer installer_;
  MajorityWatch watch_;
  Collector collector_;
  TimePoint started_{}, looked_up_{}, asked_members_{}, asked_rivals_{}, asked_winner_{},
      cleaned_{};
  TimePoint asked_next_{};
  std::optional<Group> verified_;  // follows an epoch that we hold, as a majority of that says
  std::set<Address> in_verified_;  // members that said that they serve it, or a later one
  std::set<EpochId> reading_next_;
  EpochId unreachable_;     // held by us; no majority of it answers any more
  bool is_gone_ = false;    // because most have dropped it
  std::set<Address> back_;  // else: members heard since
  std::optional<TimePoint> joined_;
  TimePoint searched_{};
  Duration searched_for_{};         // a group, in vain
  std::set<Address> know_none_;     // nodes that said that they know no group
  bool located_ = false;            // a look-up of the centre has ended
  std::optional<Address> nearest_;  // with this
  std::deque<Address> owners_;      // of what we gave up, who are to know
  Timer timer_;
};

}  // namespace wow::dht
