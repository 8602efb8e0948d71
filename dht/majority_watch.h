// Whether a majority of the newest group answers us, judged by having asked: for those who would
// act on its loss (who hold its registers, and who is nearest to the shard's centre). Time in which
// we were frozen, or did not ask, does not count.
#pragma once

#include <map>
#include <optional>
#include <set>

#include "dht/group_book.h"

namespace wow::dht {

class MajorityWatch {
 public:
  MajorityWatch(Context& context, const Replica& replica) : context_(context), replica_(replica) {}

  // `from` is alive; it serves this epoch, or none.
  void hear(const ReplicaId& from, const EpochId& serves);
  // Looks again, from time to time; returns the members to ask now.
  std::vector<Address> look(const Group& newest);
  // For how long no majority has answered, while we asked.
  Duration lost_for() const { return lost_for_; }
  // The same of the lineage whose registers we hold, when the newest became another.
  Duration held_lost_for() const { return held_lost_for_; }
  bool is_asking() const { return asking_since_.has_value(); }
  bool is_lost() const { return asking_since_.has_value() && lost_for_ >= kLostAfter; }

  static constexpr Duration kLostAfter = 3s;  // until then an answer may be under way

 private:
  bool has_quorum(TimePoint since) const;

  Context& context_;
  const Replica& replica_;
  Group group_;
  std::set<Address> served_;  // members that said that they serve group_
  std::map<Address, TimePoint> heard_;
  std::optional<TimePoint> asking_since_;
  TimePoint asked_{}, answered_{}, looked_{};
  Duration lost_for_{}, held_lost_for_{};
};

}  // namespace wow::dht
