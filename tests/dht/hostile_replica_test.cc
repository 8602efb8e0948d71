// One of five replicas lies: to clients as their coordinator, to coordinators as an acceptor, to
// new members as a source of registers. It may withhold; what a reader is given was written by its
// owner, and never goes back.
#include <gtest/gtest.h>

#include <set>

#include "dht/record.h"
#include "tests/dht/fake_pool.h"

namespace wow {
namespace {

enum class Lie { kDrops, kStale, kForges, kEquivocates, kWritesWrongly };
constexpr Lie kLies[] = {Lie::kDrops, Lie::kStale, Lie::kForges, Lie::kEquivocates,
                         Lie::kWritesWrongly};
constexpr int kNodes = 8;
constexpr int kRounds = 40;
constexpr const char* kSubnet = "10.128.0.0/16";

class HostileReplica : public ::testing::TestWithParam<std::tuple<Lie, int>> {
 protected:
  static DhtOptions options() {
    auto out = founded_by_first();
    out.lease_subnet = Prefix::parse(kSubnet);
    out.group_change_after = 2s;
    return out;
  }

  // The group is whole; its member of the given rank turns hostile.
  void begin() {
    pool_.add_all(kNodes);
    ASSERT_TRUE(pool_.run_until_group(5, 60s));
    liar_ = pool_.nearest()[static_cast<std::size_t>(std::get<1>(GetParam()))];
    pool_.tamper = [this](int from, int to, Bytes& bytes) {
      return from != liar_ || from == to || tamper(std::get<0>(GetParam()), to, bytes);
    };
    pool_.delivering = [this](int, int to, ByteView bytes) {
      pb::DhtMessage message;
      if (to != liar_ || !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
        return;
      // What it hears first of each key it says for ever.
      remember(message.accept().record());
      remember(message.client_request().record());
      if (message.has_accept()) accept_ = message;
    };
  }

  void remember(const pb::Record& record) {
    if (const auto value = dht::Value::parse(record)) first_heard_.try_emplace(value->key, record);
  }

  bool tamper(Lie lie, int to, Bytes& bytes) {
    if (lie == Lie::kEquivocates)
      lie = kLies[(static_cast<std::size_t>(to) + pool_.random.below(2)) % 3];
    if (lie == Lie::kDrops) return false;
    if (lie == Lie::kWritesWrongly) return true;
    pb::DhtMessage message;
    message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
    if (message.has_client_reply()) {
      for (auto& record : *message.mutable_client_reply()->mutable_records()) change(lie, record);
    } else if (message.replica_reply().has_state()) {
      change(lie, *message.mutable_replica_reply()->mutable_state());
    } else if (message.has_fetch_reply()) {
      for (auto& state : *message.mutable_fetch_reply()->mutable_registers()) change(lie, state);
    }
    bytes = to_bytes(message.SerializeAsString());
    return true;
  }

  // The latest of all, by its stamp.
  void change(Lie lie, pb::Register& state) {
    if (state.accepted_epoch() == 0 || state.key().empty()) return;
    change(lie, *state.mutable_record());
    state.mutable_accepted()->set_round(state.accepted().round() + 1000);
    state.set_age_ms(0);
  }

  void change(Lie lie, pb::Record& record) {
    const auto value = dht::Value::parse(record);
    if (!value) return;
    if (lie == Lie::kStale) {
      if (first_heard_.contains(value->key)) record = first_heard_[value->key];
      return;
    }
    auto forged = *value;
    forged.version += 1000;
    forged.data = to_bytes("forged");
    const auto by_liar = dht::sign_record(pool_.credentials(liar_), forged);
    // With its own certificate, with the owner's, or with the owner's right signature of another.
    switch (pool_.random.below(3)) {
      case 0:
        record = by_liar;
        return;
      case 1:
        record.set_value(by_liar.value());
        record.set_signature(by_liar.signature());
        return;
      default:
        record.set_value(by_liar.value());
    }
  }

  // Requests and acceptances that break a rule each, sent to everybody.
  void write_wrongly() {
    const auto& own = pool_.credentials(liar_);
    const int victim = liar_ == 0 ? 1 : 0;
    const std::string other_node = "node/" + pool_.address(victim).hex();
    dht::Value value{"k0", to_bytes("forged"), own.address(), 1'000'000'000'000, 1h, false};
    std::vector<pb::Record> wrong;
    const auto add = [&](auto change) {
      auto copy = value;
      change(copy);
      wrong.push_back(dht::sign_record(own, copy));
    };
    add([&](dht::Value& v) { v.owner = pool_.address(victim); });
    add([&](dht::Value& v) { v.key = other_node; });
    add([&](dht::Value& v) { v.data.resize(kDhtValueBytesMax + 1); });
    add([&](dht::Value& v) { v.key = "ip/192.168.0.9"; });
    add([&](dht::Value& v) { v.key = "name/Bad Name"; });
    add([&](dht::Value& v) { v.ttl = 400 * 24h; });
    for (const auto& [key, record] : first_heard_) wrong.push_back(record);  // old, and another's
    for (const auto& record : wrong) {
      pb::Value wire;
      wire.ParseFromString(record.value());
      pb::DhtMessage request;
      request.set_id(pool_.random.u64());
      request.mutable_client_request()->set_op(pb::ClientRequest::PUT);
      request.mutable_client_request()->set_key(wire.key());
      *request.mutable_client_request()->mutable_record() = record;
      // As another owner than the record's is a rule of acceptors, too.
      auto accept = accept_;
      accept.mutable_accept()->set_key(wire.key());
      *accept.mutable_accept()->mutable_record() = record;
      accept.mutable_accept()->mutable_ballot()->set_round(accept_.accept().ballot().round() +
                                                           1000);
      const bool is_old = first_heard_.contains(wire.key()) && wire.data() != "forged";
      for (int to = 0; to < kNodes; ++to) {
        pool_.inject(liar_, to, view_of(request.SerializeAsString()));
        if (accept_.has_accept() && !is_old)
          pool_.inject(liar_, to, view_of(accept.SerializeAsString()));
      }
    }
  }

  // Each honest node writes its own key with growing numbers.
  void write(int node, int number) {
    const std::string key = "k" + std::to_string(node);
    const std::string data = std::to_string(number) + " by " + std::to_string(node);
    written_[key].insert(data);
    if (pool_.put(node, key, data)) ++writes_;
  }

  void read(int reader, int writer) {
    const std::string key = "k" + std::to_string(writer);
    const auto record = pool_.get(reader, key);
    if (!record) return;
    ++reads_;
    const std::string data = to_string(record->data);
    ASSERT_EQ(record->owner, pool_.address(writer)) << key;
    ASSERT_TRUE(written_[key].contains(data)) << "forged: " << data;
    auto& seen = seen_[{reader, key}];
    ASSERT_GE(record->version, seen) << key << " was rolled back for node " << reader;
    seen = record->version;
  }

  // What honest replicas keep is authentic, and of a size and a name that the rules allow.
  void check_stores() {
    for (int node = 0; node < kNodes; ++node) {
      if (node == liar_) continue;
      for (const auto& [key, bytes] : pool_.store(node).entries) {
        pb::Register wire;
        if (key[0] != 'r' || !wire.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
          continue;
        if (wire.accepted_epoch() == 0 || wire.key().empty()) continue;
        const auto value = dht::Value::parse(wire.record());
        ASSERT_TRUE(value) << "malformed";
        EXPECT_NE(value->owner, pool_.address(liar_)) << value->key;
        EXPECT_TRUE(written_[value->key].contains(to_string(value->data))) << value->key;
      }
    }
  }

  FakePool pool_{1, options()};
  int liar_ = -1;
  std::map<std::string, pb::Record> first_heard_;
  pb::DhtMessage accept_;  // the last one heard
  std::map<std::string, std::set<std::string>> written_;
  std::map<std::pair<int, std::string>, std::uint64_t> seen_;
  int writes_ = 0, reads_ = 0;
};

TEST_P(HostileReplica, NeitherForgesNorRollsAReaderBack) {
  ASSERT_NO_FATAL_FAILURE(begin());
  int tried = 0;
  for (int round = 0; round < kRounds; ++round) {
    if (std::get<0>(GetParam()) == Lie::kWritesWrongly) write_wrongly();
    const int node = static_cast<int>(pool_.random.below(kNodes));
    if (node == liar_) continue;
    ++tried;
    write(node, round);
    for (int reader = 0; reader < kNodes; ++reader) {
      if (reader == liar_) continue;
      ASSERT_NO_FATAL_FAILURE(read(reader, node)) << "round " << round;
    }
    pool_.run_for(500ms);
  }
  if (std::get<0>(GetParam()) == Lie::kWritesWrongly) check_stores();
  // It withholds, for a while, but most is done.
  EXPECT_GE(writes_, tried / 2);
  EXPECT_GE(reads_, tried * (kNodes - 1) / 2);
}

std::string name_of(const ::testing::TestParamInfo<std::tuple<Lie, int>>& info) {
  static constexpr const char* kNames[] = {"Drops", "Stale", "Forges", "Equivocates",
                                           "WritesWrongly"};
  return std::string(kNames[static_cast<int>(std::get<0>(info.param))]) + "Rank" +
         std::to_string(std::get<1>(info.param));
}

INSTANTIATE_TEST_SUITE_P(, HostileReplica,
                         ::testing::Combine(::testing::ValuesIn(kLies), ::testing::Range(0, 5)),
                         name_of);

}  // namespace
}  // namespace wow
