// Which group keeps the shard, as far as we know: the newest epoch of the best lineage heard of,
// kept in the store. Hearsay is enough within a lineage; another lineage must first be seen to live
// (a majority of its members say that they serve it), lest a founder long gone takes the pool
// along.
#pragma once

#include <functional>
#include <optional>
#include <set>

#include "dht/replica.h"

namespace wow::dht {

class GroupBook {
 public:
  GroupBook(Context& context, const Replica& replica) : context_(context), replica_(replica) {}

  void load(const std::string& key, ByteView value);
  // Called when newest() has changed, when rival() has, and when claim() has.
  void on_change(std::function<void()> newest, std::function<void()> rival,
                 std::function<void()> claim);

  const Group* newest() const { return newest_ ? &newest_->group : nullptr; }
  // Another lineage's group, not yet seen to live.
  const Group* rival() const { return rival_ ? &rival_->group : nullptr; }

  // A group named by somebody, or decided by ourselves.
  void learn(const Group& group);
  // A lineage that we have founded.
  void found(const Group& group) { adopt({group, {}, {}}); }
  // A later group that somebody named while we serve the newest that we know: not yet believed, and
  // not passed on.
  const Group* claim() const { return claim_ ? &*claim_ : nullptr; }
  // Our epoch is over, and `next` follows if we know; or it is not.
  void believe_claim(const std::optional<Group>& next);
  void drop_claim() { claim_.reset(); }
  // `from` says (by itself) that it serves this epoch.
  void hear_serving(const ReplicaId& from, const EpochId& serves);
  // The rival gave no sign of life.
  void give_up_rival() { rival_.reset(); }

 private:
  struct Known {
    Group group;
    std::set<Address> serving;
    TimePoint heard{};
  };

  static bool is_alive(const Known& known) {
    return known.serving.size() >= known.group.majority();
  }
  void adopt(Known known);
  bool should_switch() const;

  Context& context_;
  const Replica& replica_;
  std::optional<Known> newest_, rival_;
  std::optional<Group> claim_;
  std::function<void()> newest_changed_, rival_changed_, claim_changed_;
};

}  // namespace wow::dht
