// Takes the registers of a new epoch, for a member of it: from a majority of the epoch before,
// which each seals first, or from any one member that has them already. Merging the highest (epoch,
// ballot) of each key is safe whatever else others merge: what was chosen is in every majority.
// What the others hold as we do is not sent: the old members of a group install the next in a few
// round trips, however much it is.
#pragma once

#include <functional>
#include <map>

#include "dht/replica.h"

namespace wow::dht {

class Installer {
 public:
  // `installed` is called after the replica serves the group.
  Installer(Context& context, Replica& replica, std::function<void()> installed);

  // Works on this group until it is installed; another one replaces it.
  void want(const Group& group);
  void on_reply(const ReplicaId& from, const pb::DhtMessage& message);

 private:
  struct Source {
    std::string after_key;
    Registers registers;
    std::vector<std::string> asked;  // where the ranges end that it was last asked about
    bool complete = false;
  };
  using SourceId = std::pair<EpochId, ReplicaId>;

  EpochId previous_id() const { return {group_.id.lineage, group_.id.epoch - 1}; }
  void ask_all();
  void ask(const SourceId& source);
  const Epoch* own() const;
  bool take(Source& source, const pb::FetchReply& page);
  bool take_same(Source& source, std::size_t ranges);
  void try_install();
  void stop();

  Context& context_;
  Replica& replica_;
  std::function<void()> installed_;
  Group group_;
  std::map<SourceId, Source> sources_;
  std::uint64_t id_ = 0;  // of our requests; 0: nothing to do
  Timer timer_;
};

}  // namespace wow::dht
