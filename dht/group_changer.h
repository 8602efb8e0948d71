// Keeps the group where the ring says it belongs: surveys who is alive near the shard's centre, and
// when the nearest differ from the members for long enough, has the next group decided, of members
// and of others that have been there as long. Every serving member runs one; those further from the
// centre wait a little longer.
#pragma once

#include <functional>
#include <map>
#include <set>

#include "dht/coordinator.h"
#include "dht/group_book.h"

namespace wow::dht {

class GroupChanger {
 public:
  GroupChanger(Context& context, const Replica& replica, GroupBook& book, Coordinator& coordinator);

  // Serving or not may have changed, or the ring around us: look soon.
  void look_soon();
  // Looks soon if the ring around the centre has changed.
  void watch();
  // `from` is alive and knows these near the centre.
  void on_announce(const ReplicaId& from, const pb::DhtMessage& message);
  // Carries on with a decision that somebody began and did not end.
  void finish_started();

 private:
  const Epoch* current() const;
  // How old an answer that another shard had from this node may be; zero: it has to be asked.
  Duration freshness(const Address& node) const;
  void survey();
  void ask(const Address& node);
  void query(const Address& node);
  void close_survey();
  void note_alive(TimePoint now);
  // The nearest of the living, who are members or have been there for `lasting`.
  std::vector<ReplicaId> wanted(const Group& now, Duration lasting) const;
  // How long they have to differ, for the nearest member.
  Duration base_patience(const Group& now) const;
  int own_rank(const Group& now) const;  // how many living members are nearer
  void change(const Group& now, std::vector<ReplicaId> members);

  Context& context_;
  const Replica& replica_;
  GroupBook& book_;
  Coordinator& coordinator_;
  std::vector<Address> near_;  // when last watched
  std::set<Address> asked_;
  std::map<Address, std::uint64_t> alive_;      // and their incarnations
  std::map<ReplicaId, TimePoint> alive_since_;  // in each survey since then
  std::set<Address> elsewhere_;                 // of these, who follow another lineage
  std::optional<TimePoint> differs_since_;
  EpochId differs_in_;
  bool is_deciding_ = false;
  bool is_routine_ = false;  // nothing hints at a change: others' answers will do
  Timer next_survey_, survey_end_;
};

}  // namespace wow::dht
