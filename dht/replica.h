// What this node keeps as a member of groups: registers by epoch, in the store before anybody hears
// of them (CASPaxos acceptor). Usually at most two epochs: the one that it serves, and the sealed
// one before until the members of the next have its registers. Knows nothing of messages' ways.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "dht/key_range.h"

namespace wow::dht {

struct Epoch {
  Group group;
  bool sealed = false;
  std::uint64_t round_floor = 0;
  Registers registers;
  std::optional<TimePoint> sealed_at = {};  // by this run
};

class Replica {
 public:
  Replica(Context& context, RecordChecker& checker) : context_(context), checker_(checker) {}

  // One entry of the store at start, then the end of it. Entries of others are left alone.
  void load(const std::string& key, ByteView value);
  void loaded();

  // The epoch that we serve: installed and not sealed.
  const Epoch* serving() const;
  EpochId serving_id() const { return serving() ? serving()->group.id : EpochId{}; }
  const Epoch* held(const EpochId& id) const { return const_cast<Replica*>(this)->find(id); }
  // Whether epochs before `id` are held.
  const Epoch* held_before(const EpochId& id) const;
  // The latest of them.
  const Epoch* last_before(const EpochId& id) const;
  // Whether epochs of another lineage than this are held.
  bool holds_other(const Lineage& lineage) const { return !epochs_.empty() && lineage_ != lineage; }
  const Epoch* last() const { return epochs_.empty() ? nullptr : &epochs_.rbegin()->second; }
  bool holds_lineage(const Lineage& lineage) const {
    return !epochs_.empty() && lineage_ == lineage;
  }

  // Takes an epoch with its registers, whose timers start now. False if the store failed.
  bool install(const Group& group, Registers registers);
  // No more promises or accepts, except in `next`.
  bool seal(const EpochId& id);
  // Drops epochs before `id`, which is of the lineage held.
  void forget_before(const EpochId& id);
  // Drops all. The caller has become another replica first: what was promised here is forgotten.
  void forget_all();

  std::size_t size() const;
  // Of the latest epoch, without the key `except`.
  void add_usage(const Address& owner, const std::string& invite, const std::string& except,
                 Usage& out) const;

  // A replica's answers; nothing if the store failed, for what is not on disk was not promised.
  using Reply = std::optional<pb::ReplicaReply>;
  Reply prepare(const EpochId& id, const pb::Prepare& request);
  Reply accept(const EpochId& id, const pb::Accept& request);
  // Registers in key order: all accepted of a held epoch, but for those that the asker holds alike,
  // or (only their states, and without those that have expired) of the one served.
  std::optional<pb::FetchReply> fetch(const EpochId& id, const pb::Fetch& request) const;
  std::optional<pb::ListKeysReply> list(const EpochId& id, const pb::ListKeys& request) const;

  // Whether a member that is still welcome signed what a replica says that it holds.
  bool is_authentic(const Register& state) const {
    return checker_.authentic(state.record, *state.value);
  }

  // A round that nobody has promised here yet.
  std::uint64_t next_round(const EpochId& id, const std::string& key) const;
  // Forgets promises that were followed by nothing, and whole epochs that were followed by others
  // and whose registers have all expired.
  void collect_promises();
  // Keys of the epoch served, after this one, that have expired so long ago that nobody can still
  // be at work on them; at most `count`.
  std::vector<std::string> long_expired(const std::string& after_key, std::size_t count) const;
  void forget_keys(const EpochId& id, const std::vector<std::string>& keys);

 private:
  Epoch* find(const EpochId& id);
  Epoch* open(const EpochId& id, const std::string& key);
  Register state_of(const Epoch& epoch, const std::string& key) const;
  std::string objection(const Epoch& epoch, const pb::Accept& request, const Register& wanted);
  bool is_able(const Group& next) const;
  std::string lease_objection(const Epoch& epoch, const Value& value, const pb::Record& record);
  std::string quota_objection(const Value& value, const std::string& invite) const;
  bool is_full(const Epoch& epoch) const;
  bool write(Epoch& epoch, const std::string& key, Register wanted);
  DhtStore::Entry meta_entry(const Epoch& epoch) const;
  void drop(std::map<std::uint64_t, Epoch>::iterator it);

  Context& context_;
  RecordChecker& checker_;
  Lineage lineage_;
  std::map<std::uint64_t, Epoch> epochs_;
  std::map<std::uint64_t, std::vector<std::pair<std::string, Register>>> loading_;
};

}  // namespace wow::dht
