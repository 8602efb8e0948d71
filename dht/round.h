// One operation on one register at a majority of an epoch (CASPaxos: a proposer): read, or prepare,
// apply a change function, accept; with a higher ballot after a conflict, until it ends or its time
// is over. Rystsov, "CASPaxos: Replicated State Machines without logs", 2018.
#pragma once

#include <functional>
#include <map>
#include <set>

#include "dht/replica.h"

namespace wow::dht {

// What a majority holds.
struct Seen {
  const pb::Record* record = nullptr;  // of the latest write; null: never written, or forgotten
  const Value* value = nullptr;        // the same, without its data; null for `next`
  bool live = false;                   // not removed, and somebody says not expired
  Duration age{};                      // the least that a holder of the latest write said
  VersionFloors floors;
  bool only_installed = false;  // all of the majority hold this write, but as installed
};

// What to answer, and what to write first. What was seen but is not yet at a majority is written
// again before the answer even if nothing new is: only then it is what later readers see, too.
struct Decision {
  pb::ClientReply reply;
  std::optional<pb::Record> write;
  bool rewrite = false;                 // write what was seen again, even if a majority has it
  std::optional<VersionFloor> floor{};  // kept with what is written
  bool force = false;                   // and even if it has expired
  bool unsettled = false;               // answer without writing what was only installed
};

class Round {
 public:
  using Change = std::function<Decision(const Seen&)>;
  using Done = std::function<void(pb::ClientReply)>;

  // `id`: its messages are `id` + phase; the lowest 16 bits must be zero. `done` is called once,
  // maybe inside start(); the round may be destroyed only later. With `read_first` nothing is
  // written as long as a majority agrees: enough for a change that writes nothing.
  Round(Context& context, Replica& replica, std::uint64_t id, const Group& group, std::string key,
        bool read_first, Change change, Done done);

  void start();
  void on_reply(const ReplicaId& from, const pb::DhtMessage& message);
  // Its epoch is over.
  void abort() { finish(pb::ClientReply::WRONG_GROUP); }
  const EpochId& epoch() const { return group_.id; }
  const std::string& key() const { return key_; }

 private:
  enum class Phase { kRead, kPrepare, kAccept, kPause, kOver };

  void begin(Phase phase);
  void ask(const ReplicaId& member);
  pb::DhtMessage request() const;
  void on_answer(const Address& from, const pb::ReplicaReply& answer);
  void on_gone(const Address& from);
  void on_refused(const Address& from, const std::string& reason);
  bool is_credible(const Address& from, const Register& state) const;
  void on_states();
  void on_resend();
  void pause();
  void finish(pb::ClientReply::Status status, std::string reason = {});
  void finish(pb::ClientReply reply);
  bool is_last() const;
  bool out_of_reach(std::size_t lost) const;

  Context& context_;
  Replica& replica_;
  const std::uint64_t id_;
  const Group group_;
  const std::string key_;
  const bool read_first_;
  const Change change_;
  Done done_;
  const TimePoint deadline_;
  Phase phase_ = Phase::kPause;
  std::uint16_t phase_number_ = 0;
  int attempts_ = 0;
  TimePoint begun_{};  // the attempt under way
  Ballot ballot_;
  std::uint64_t highest_round_ = 0;
  pb::Accept accept_;
  pb::ClientReply reply_;
  std::map<Address, Register> states_;
  std::set<Address> accepted_, rejected_, refused_, gone_;
  std::string refusal_;
  Timer timer_;
};

}  // namespace wow::dht
