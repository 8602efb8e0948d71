// Finds the group, founds it where there is none, and follows it from epoch to epoch: installs what
// we are a member of, seals and forgets what is over, probes other lineages. Speaks query, announce
// and fetch.
#pragma once

#include "dht/group_changer.h"
#include "dht/installer.h"

namespace wow::dht {

class Membership {
 public:
  Membership(Context& context, Replica& replica, GroupBook& book, Coordinator& coordinator);

  void start();
  void on_ring_change();
  // The group is not known, or does not answer: asks who might know better. Limited in rate.
  void look_up();

  // `from` says (by itself) that it serves this epoch.
  void hear_serving(const ReplicaId& from, const EpochId& serves);
  void on_query(const Address& from, const pb::DhtMessage& message);
  void on_announce(const ReplicaId& from, const pb::Announce& announce);
  void on_fetch(const ReplicaId& from, const pb::DhtMessage& message);
  void on_fetch_reply(const ReplicaId& from, const pb::DhtMessage& message);

 private:
  bool knows_group() const;
  void tick();
  Duration tick_interval() const;
  void on_group_change();
  void follow(Group group);
  void check_over();
  void on_next(const Group& of, Coordinator::Reading reading, const std::optional<Group>& next);
  bool may_install(const Group& group) const;
  void consider_founding();
  bool may_found() const;
  void found();
  void probe_rival();
  void query(const Address& node);
  void query_members(const Group& group);
  void announce(const Address& node);

  Context& context_;
  Replica& replica_;
  GroupBook& book_;
  Coordinator& coordinator_;
  GroupChanger changer_;
  Installer installer_;
  TimePoint started_{}, looked_up_{}, asked_members_{}, asked_rival_{}, cleaned_{};
  TimePoint asked_next_{};
  std::optional<Group> verified_;  // follows an epoch that we hold, as a majority of that says
  std::set<Address> in_verified_;  // members that said that they serve it, or a later one
  bool is_reading_next_ = false;
  EpochId unreachable_;  // held by us; no majority of it answers any more
  std::optional<TimePoint> joined_;
  std::optional<TimePoint> rival_since_;
  bool located_ = false;            // a look-up of the centre has ended
  std::optional<Address> nearest_;  // with this
  Timer timer_;
};

}  // namespace wow::dht
