// What a pool's nodes could have reached, seen from outside: who is in which group of which
// lineage, and since when each node is without a majority of it. Says when a lineage was founded
// too early.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "dht/group.h"
#include "tests/dht/fake_pool.h"

namespace wow {

class MajorityWatch {
 public:
  // `patience`: a lineage may follow another once its founder was for so long without a majority.
  // Who has never heard of a group may begin one, unless another is named for that (then nobody
  // follows it).
  MajorityWatch(FakePool& pool, Duration patience) : pool_(pool), patience_(patience) {}

  // To be called with every message.
  void hear(int from, const pb::DhtMessage& message);
  // Just now it lost its store, with which it was a member.
  void forgot(int node);
  // To be called often.
  void look();
  // Whether some lineage has a majority that is at most cut off or paused.
  bool can_recover() const;
  std::size_t lineages() const { return lineages_.size(); }
  // What was wrong; empty if nothing.
  const std::string& objection() const { return objection_; }

 private:
  using Able = std::function<bool(int node)>;
  struct History {
    std::uint64_t newest = 0;
    std::map<std::uint64_t, std::set<std::uint64_t>> installed;  // incarnations, by epoch served
    std::map<std::uint64_t, dht::Group> groups;                  // by epoch
    std::map<int, TimePoint> reaching;  // since when each node reaches a majority
    std::map<int, TimePoint> reached;   // when it last did, for long enough to notice
    TimePoint heard{};
  };

  void hear_group(const dht::Group& group, bool by_newcomer);
  void judge_founding(const dht::Lineage& lineage);
  bool has_lost_its_own(const dht::Lineage& lineage) const;
  bool reaches(int node, const History& history) const;
  bool is_recoverable(const History& history) const;
  // Whether the members of the newest group among `able` are a majority that has its values.
  bool suffices(const History& history, const Able& able) const;
  // Members among `able`; with a history, of these who have said that they serve the group.
  std::size_t count(const dht::Group& group, const Able& able, const History* installed_in) const;

  FakePool& pool_;
  const Duration patience_;
  std::map<dht::Lineage, History> lineages_;
  std::map<int, std::uint64_t> incarnations_;
  std::set<int> knowing_;         // have ever known a group
  std::set<std::uint64_t> dead_;  // incarnations whose store is lost
  std::string objection_;
};

}  // namespace wow
