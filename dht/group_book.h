// Which group keeps the shard, as far as we know: the newest epoch of the best lineage heard of,
// kept in the store. Hearsay is enough within a lineage; another lineage must first be seen to live
// (a majority of its members say by themselves that they serve it), and to be better.
//
// Where two live lineages meet, that with a group of at least kGroupMembersSafe wins, then the
// lower: a member that invents a lineage can say that it serves it, but nobody else will.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "dht/replica.h"

namespace wow::dht {

// Whether a lineage wins, by the sizes of both groups, wherever the two meet.
bool wins(const Group& group, const Group& over);

class GroupBook {
 public:
  GroupBook(Context& context, const Replica& replica) : context_(context), replica_(replica) {}

  void load(const std::string& key, ByteView value);
  // Called when newest() has changed, when rivals() have more to be asked, when claim() has
  // changed, and when newest() is of another lineage than before.
  void on_change(std::function<void()> newest, std::function<void()> rival,
                 std::function<void()> claim, std::function<void()> lineage);

  const Group* newest() const { return newest_ ? &newest_->group : nullptr; }
  // Groups of other lineages, and earlier ones of this, that have been named and may live.
  std::vector<Group> rivals() const;
  bool has_rivals() const { return !rivals_.empty(); }
  // A majority of newest() has said lately, and since that is of this lineage, that it serves.
  bool is_alive() const;
  // Since when newest() is of the lineage that it is.
  TimePoint lineage_since() const { return lineage_since_; }

  // A group named by somebody, or decided by ourselves.
  void learn(const Group& group);
  // A lineage that we have founded.
  void found(const Group& group) { adopt(Known{group, {}, {}, {}}); }
  // A later group that somebody named while we serve the newest that we know: not yet believed, and
  // not passed on.
  const Group* claim() const { return claim_ ? &*claim_ : nullptr; }
  // Our epoch is over, and `next` follows if we know; or it is not.
  void believe_claim(const std::optional<Group>& next);
  void drop_claim() { claim_.reset(); }
  // `from` says (by itself) that it serves this epoch.
  void hear_serving(const ReplicaId& from, const EpochId& serves);
  // Takes the best of those that live, and forgets rivals that gave no sign of life in time.
  void judge();

 private:
  struct Known {
    Group group;
    std::map<Address, TimePoint> heard;  // who says that it serves, and when it last did
    TimePoint lived{};                   // when a majority of it last did
    TimePoint since{};                   // known here
  };

  bool lives(const Known& known) const;
  std::size_t count_since(const Known& known, TimePoint since) const;
  bool may_follow(const Group& group) const;
  void note_shared(const Group& group);
  void adopt(Known known);
  void add_rival(Known known);
  bool should_switch(const Known& rival) const;

  Context& context_;
  const Replica& replica_;
  std::optional<Known> newest_;
  std::vector<Known> rivals_;
  std::optional<Group> claim_;
  TimePoint lineage_since_{};
  std::function<void()> newest_changed_, rival_changed_, claim_changed_, lineage_changed_;
};

}  // namespace wow::dht
