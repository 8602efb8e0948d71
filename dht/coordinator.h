// Carries out what clients ask of the group, as one of its serving members: each operation is a
// change function on a register (get, create, put, renew, remove) or a listing. Bounded; whatever
// does not fit is answered "unavailable", and the client asks another member.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "dht/group_book.h"
#include "dht/listing.h"
#include "dht/round.h"

namespace wow::dht {

class Coordinator {
 public:
  using Answer = std::function<void(pb::ClientReply)>;
  using Decided = std::function<void(std::optional<Group>)>;

  Coordinator(Context& context, Replica& replica, const GroupBook& book, RecordChecker& checker);

  void on_request(const Address& from, const pb::DhtMessage& message);
  // Replies to rounds and listings.
  void on_reply(const ReplicaId& from, const pb::DhtMessage& message);
  // Decides the group after the one served: `wanted`, unless another was decided before.
  void decide_next(const Group& wanted, Decided decided);
  // What a majority of `of` holds as the group after it: nothing if none was decided. kUnreachable:
  // no majority answered; kGone: most have dropped this epoch; kInterrupted: ask again.
  enum class Reading { kDone, kUnreachable, kGone, kInterrupted };
  using Read = std::function<void(Reading, std::optional<Group>)>;
  void read_next(const Group& of, Read read);
  // Writes what is the latest of a key to whoever lags behind, even if it has expired.
  void refresh(const Group& group, const std::string& key);
  // Operations in other epochs than the one served end.
  void on_group_change();

 private:
  // A list that was made and is read page by page.
  struct Shown {
    pb::Record record;
    Duration age{};
  };
  struct Snapshot {
    std::map<std::string, Shown> records;
    std::string digest;
    bool look_up = false;  // made for a directory
    std::size_t bytes = 0;
    TimePoint made{};
  };
  struct Gathering;

  void run(const Address& from, const Group& group, const pb::ClientRequest& request,
           Answer answer);
  // Who holds it by our own register, before the others are asked.
  void tell_likely(const Address& to, std::uint64_t id, const Epoch& epoch, const std::string& key);
  // To who looks something up, while the group changes: what was accepted here before.
  std::optional<pb::ClientReply> from_sealed(const pb::ClientRequest& request);
  void list(const Group& group, const pb::ClientRequest& request, Answer answer);
  void gather(const Group& group, const pb::ClientRequest& request, const Listing::Keys& keys,
              std::function<void(const Snapshot*)> done);
  void end_gathering(Gathering& gathering);
  const Snapshot& keep(const std::string& prefix, Snapshot snapshot);
  pb::ClientReply page(const Snapshot& snapshot, const pb::ClientRequest& request);
  void get(const Group& group, const std::string& key, bool look_up, Answer answer);
  void refresh(const Group& group, const std::string& key, Round::Done done);
  void start_round(const Group& group, const std::string& key, bool read_first,
                   Round::Change change, Round::Done done);
  std::uint64_t fresh_id() { return context_.fresh_id() << 16; }
  bool is_held(const Seen& seen);
  Decision change(const pb::ClientRequest& request, const Value& value, const Seen& seen);
  Decision decide(pb::ClientReply::Status status, const Seen& seen);
  void bury(std::uint64_t id);
  void leave_queue(const Round& round, std::uint64_t id);

  Context& context_;
  Replica& replica_;
  const GroupBook& book_;
  RecordChecker& checker_;
  std::map<std::uint64_t, std::unique_ptr<Round>> rounds_;
  // Rounds that write one register: the first is at work. Two would come between each other.
  std::map<std::pair<EpochId, std::string>, std::vector<std::uint64_t>> writers_;
  std::vector<std::uint64_t> next_writers_;  // to be begun on the next turn
  std::map<std::uint64_t, std::unique_ptr<Listing>> listings_;
  std::map<std::string, Snapshot> snapshots_;
  std::set<std::pair<Address, std::uint64_t>> in_progress_;
  std::map<std::string, std::vector<Round::Done>> refreshing_;  // who waits for each
  // Ended, maybe inside their own calls: destroyed on the next turn.
  std::vector<std::unique_ptr<Round>> ended_rounds_;
  std::vector<std::unique_ptr<Listing>> ended_listings_;
  Timer sweep_;
};

}  // namespace wow::dht
