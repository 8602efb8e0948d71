// This node's own operations: signs what is written, asks one member after another until one
// answers, verifies what is read. Each operation ends within kDhtOperationLimit.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dht/answer_time.h"
#include "dht/shard.h"
#include "dht/version_memory.h"

namespace wow::dht {

class Client {
 public:
  using ShardOf = std::function<Shard&(std::uint32_t number)>;
  Client(Context& context, RecordChecker& checker, ShardOf shard);

  void get(const std::string& key, Dht::Done done);
  void look_up(const std::string& key, Dht::Done done, Dht::Likely likely);
  // CREATE or PUT.
  void write(pb::ClientRequest::Op op, const std::string& key, ByteView data, Duration ttl,
             Dht::Done done);
  void renew(const std::string& key, Duration ttl, Dht::Done done);
  void remove(const std::string& key, Dht::Done done);
  void list(const std::string& prefix, const Bytes& digest, Dht::Listed done, bool look_up = false);
  void stat(const std::string& key, Dht::Stated done);

  void on_reply(const ReplicaId& from, const pb::DhtMessage& message);

 private:
  // Null: no answer in time.
  using Handler = std::function<void(const pb::ClientReply* reply)>;
  struct Call {
    explicit Call(Clock& clock) : timer(clock) {}
    std::uint64_t id = 0;
    std::uint32_t shard = 0;
    pb::ClientRequest request;
    Handler handler;
    Dht::Likely likely;  // until it was called
    TimePoint deadline{};
    TimePoint sent_at{};
    bool early = false;  // another is asked beside it if the answer is later than most
    Address asked;
    std::vector<Address> tried;  // in this turn through the members
    Timer timer;
  };
  struct List;
  struct Lists;

  void call(std::uint32_t shard, pb::ClientRequest request, TimePoint deadline, Handler handler,
            Dht::Likely likely = nullptr);
  void send(Call& call);
  std::optional<Address> choose(Call& call) const;
  void retry_after(Call& call, Duration delay);
  void end(std::uint64_t id, const pb::ClientReply* reply);
  void on_likely(Call& call, const pb::ClientReply& reply);
  bool believe(const Call& call, const pb::ClientReply& reply);
  std::optional<DhtRecord> verified(const pb::Record& record, std::uint64_t age_ms) const;

  void write_signed(pb::ClientRequest::Op op, Value value, TimePoint deadline, Dht::Done done);
  void read(const std::string& key, pb::ClientRequest request, TimePoint deadline, Dht::Done done,
            Dht::Likely likely = nullptr);
  // Reads our own record of the key first; `then` is called with it.
  void with_own(const std::string& key, TimePoint deadline, Dht::Done done,
                std::function<void(DhtRecord own)> then);
  void list_shard(std::uint32_t shard, const std::string& prefix, const Bytes& digest, bool look_up,
                  TimePoint deadline, Dht::Listed done);
  void list_next_shard(const std::shared_ptr<Lists>& lists);
  void next_page(std::shared_ptr<List> list);
  std::uint32_t shard_of_key(const std::string& key) const {
    return shard_of(key, context_.options.shards);
  }
  std::uint64_t next_version(const std::string& key);
  TimePoint deadline() const { return context_.clock.now() + kDhtOperationLimit; }

  Context& context_;
  RecordChecker& checker_;
  ShardOf shard_;
  std::map<std::uint64_t, std::unique_ptr<Call>> calls_;
  std::map<Address, TimePoint> silent_;  // members that did not answer lately
  AnswerTime answer_time_;
  VersionMemory versions_;
  std::map<std::uint32_t, Lineage> lineages_;  // that versions_ are of
  std::uint64_t last_version_ = 0;
  std::optional<Address> answered_;  // whose reply is being handled; none: nobody's
};

}  // namespace wow::dht
