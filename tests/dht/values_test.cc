// What a value may be, who may write it, how long it lasts, and lists of many.
#include <gtest/gtest.h>

#include "dht/record.h"
#include "proto/dht.pb.h"
#include "tests/dht/fake_pool.h"

namespace wow {
namespace {

// Three nodes that serve, with a subnet to lease from, and one that does not.
class DhtValues : public ::testing::Test {
 protected:
  DhtValues() : pool_(11, with_subnet()) {
    pool_.add_all(3);
    EXPECT_TRUE(pool_.run_until_group(3, 10s));
    other_ = pool_.add();
  }
  static DhtOptions with_subnet() {
    auto options = founded_by_first();
    options.lease_subnet = Prefix::parse("10.128.0.0/16");
    options.records_per_owner_max = 1024;
    return options;
  }
  ErrorCode create_error(int node, const std::string& key) {
    const auto answer = pool_.create(node, key, "v");
    return answer ? ErrorCode{-1} : answer.error().code;
  }

  // What a member would send: asks node 0 to coordinate this record.
  pb::ClientReply::Status offer(const pb::Record& record, const std::string& key,
                                pb::ClientRequest::Op op = pb::ClientRequest::CREATE) {
    pb::DhtMessage message;
    message.set_id(++last_id_);
    auto& request = *message.mutable_client_request();
    request.set_op(op);
    request.set_key(key);
    *request.mutable_record() = record;
    std::optional<pb::ClientReply> reply;
    pool_.tamper = [&](int, int to, Bytes& bytes) {
      pb::DhtMessage seen;
      seen.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
      if (to == other_ && seen.id() == last_id_ && seen.has_client_reply())
        reply = seen.client_reply();
      return true;
    };
    pool_.inject(other_, 0, view_of(message.SerializeAsString()));
    pool_.run_until([&] { return reply.has_value(); }, 6s);
    pool_.tamper = nullptr;
    return reply ? reply->status() : pb::ClientReply::UNAVAILABLE;
  }

  FakePool pool_;
  int other_;
  std::uint64_t last_id_ = 1000;
};

TEST_F(DhtValues, OneCreatorHoldsAKeyUntilItRemovesIt) {
  ASSERT_TRUE(pool_.create(other_, "k", "first"));
  const auto second = pool_.create(1, "k", "second");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kAlreadyExists);
  EXPECT_NE(second.error().message.find(pool_.address(other_).hex()), std::string::npos)
      << "the holder is named";
  EXPECT_EQ(pool_.put(1, "k", "x").error().code, ErrorCode::kPermission);
  EXPECT_EQ(pool_.renew(1, "k").error().code, ErrorCode::kPermission);
  EXPECT_EQ(pool_.remove(1, "k").error().code, ErrorCode::kPermission);

  ASSERT_TRUE(pool_.create(other_, "k", "again")) << "idempotent for the owner";
  ASSERT_TRUE(pool_.put(other_, "k", "put"));
  ASSERT_TRUE(pool_.renew(other_, "k"));
  EXPECT_EQ(to_string(pool_.get(2, "k")->data), "put");

  ASSERT_TRUE(pool_.remove(other_, "k"));
  EXPECT_EQ(pool_.get(2, "k").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(pool_.remove(other_, "k").error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(pool_.create(1, "k", "second"));
  EXPECT_EQ(pool_.get(other_, "k")->owner, pool_.address(1));
}

TEST_F(DhtValues, AnOwnerThatRestartedWritesOnWithoutItsVersions) {
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(pool_.put(other_, "k", std::to_string(i)));
  const auto before = pool_.get(1, "k")->version;
  pool_.restart(other_, false);
  const auto after = pool_.put(other_, "k", "after");
  ASSERT_TRUE(after);
  EXPECT_GT(after->version, before);
  EXPECT_EQ(to_string(pool_.get(1, "k")->data), "after");
}

TEST_F(DhtValues, AValueEndsWithItsTimeAndNotBefore) {
  ASSERT_TRUE(pool_.create(other_, "k", "v", 30s));
  pool_.run_for(29s);
  ASSERT_TRUE(pool_.get(1, "k"));
  EXPECT_GE(pool_.get(1, "k")->age, 28s);
  EXPECT_EQ(create_error(1, "k"), ErrorCode::kAlreadyExists);
  ASSERT_TRUE(pool_.renew(other_, "k", 30s));
  pool_.run_for(35s);
  EXPECT_EQ(create_error(1, "k"), ErrorCode::kAlreadyExists) << "replicas wait 10 s and 1 % longer";
  pool_.run_for(6s);
  EXPECT_EQ(pool_.get(2, "k").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(pool_.renew(other_, "k").error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(pool_.create(1, "k", "v"));
}

TEST_F(DhtValues, ExpiredRegistersAreForgottenInTheStoreToo) {
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(pool_.create(other_, "k" + std::to_string(i), "v", 5s));
  const auto full = pool_.store(0).entries.size();
  pool_.run_for(5min);
  EXPECT_LE(pool_.store(0).entries.size() + 20, full);
  ASSERT_TRUE(pool_.create(1, "k0", "v"));
}

TEST_F(DhtValues, ReadingWhatIsNotThereWritesNothing) {
  pool_.run_for(5s);
  const auto writes = pool_.store(0).writes;
  for (int i = 0; i < 10; ++i) pool_.get(other_, "nothing" + std::to_string(i));
  EXPECT_EQ(pool_.store(0).writes, writes);
}

TEST_F(DhtValues, ALostReadIsAskedForAgainAsSoonAsItIsLate) {
  ASSERT_TRUE(pool_.create(other_, "k", "v"));
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(pool_.look_up(other_, "k"));
  for (const bool answer_too : {false, true}) {
    bool lost = false;
    pool_.tamper = [&](int from, int to, Bytes&) {
      const bool passes = lost || (answer_too ? to : from) != other_;
      lost = lost || !passes;
      return passes;
    };
    const TimePoint asked = pool_.now();
    EXPECT_TRUE(pool_.look_up(other_, "k"));
    EXPECT_TRUE(lost);
    EXPECT_LT(pool_.now() - asked, 300ms) << "700 ms for one that is silent";
    pool_.tamper = nullptr;
  }
}

TEST_F(DhtValues, WhoIsLikelyToHoldAKeyIsKnownBeforeAMajorityWasAsked) {
  ASSERT_TRUE(pool_.create(other_, "k", "v"));
  ASSERT_TRUE(pool_.look_up(1, "k"));
  const Address holder = pool_.look_up(1, "k")->owner, liar = FakeCredentials::address_of(77);
  for (const bool lies : {false, true}) {
    if (lies) {
      pool_.tamper = [&](int, int, Bytes& bytes) {
        pb::DhtMessage seen;
        seen.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
        if (!seen.has_client_reply() || seen.client_reply().holder().empty()) return true;
        seen.mutable_client_reply()->set_holder(to_string(liar.bytes()));
        bytes = to_bytes(seen.SerializeAsString());
        return true;
      };
    }
    std::vector<Address> likely;
    std::optional<Result<DhtRecord>> answer;
    pool_.dht(other_).look_up(
        "k", [&](auto record) { answer = std::move(record); },
        [&](const Address& who) {
          EXPECT_FALSE(answer);
          likely.push_back(who);
        });
    pool_.run_until([&] { return answer.has_value(); }, 6s);
    EXPECT_EQ(likely, std::vector{lies ? liar : holder});
    ASSERT_TRUE(*answer);
    EXPECT_EQ((*answer)->owner, holder);
  }
}

TEST_F(DhtValues, NobodyIsLikelyToHoldWhatIsRemovedOrWasNeverThere) {
  ASSERT_TRUE(pool_.create(other_, "k", "v"));
  ASSERT_TRUE(pool_.remove(other_, "k"));
  for (const char* key : {"k", "nothing"}) {
    std::optional<Result<DhtRecord>> answer;
    pool_.dht(other_).look_up(
        key, [&](auto record) { answer = std::move(record); },
        [](auto&) { ADD_FAILURE() << "likely"; });
    pool_.run_until([&] { return answer.has_value(); }, 6s);
    EXPECT_EQ(answer->error().code, ErrorCode::kNotFound);
  }
}

TEST_F(DhtValues, NamespacesHaveRules) {
  const auto ok = ErrorCode{-1};
  EXPECT_EQ(create_error(0, "ip/10.128.0.9"), ok);
  for (const char* ip : {"10.129.0.9", "10.128.0.0", "10.128.255.255", "10.128.255.254",
                         "10.128.0.09", "x", "", "::ffff:10.128.0.9", "fd00::1"}) {
    EXPECT_EQ(create_error(1, std::string("ip/") + ip), ErrorCode::kPermission) << ip;
  }
  EXPECT_EQ(create_error(0, "name/node-7"), ok);
  for (const std::string& name :
       {std::string("Node"), std::string(), std::string("a.b"), std::string(64, 'a')}) {
    EXPECT_EQ(create_error(1, "name/" + name), ErrorCode::kPermission) << name;
  }
  EXPECT_EQ(create_error(0, "node/" + pool_.address(0).hex()), ok);
  EXPECT_EQ(create_error(1, "node/" + pool_.address(2).hex()), ErrorCode::kPermission);
  EXPECT_EQ(create_error(0, std::string(256, 'k')), ErrorCode::kInvalidArgument);
  EXPECT_EQ(create_error(0, std::string(255, 'k')), ok);
  EXPECT_EQ(pool_.create(0, "big", std::string(1025, 'x')).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_TRUE(pool_.create(0, "big", std::string(1024, 'x')));
}

TEST_F(DhtValues, ANodeHoldsOneLease) {
  ASSERT_TRUE(pool_.create(other_, "ip/10.128.0.1", "v"));
  const auto second = pool_.create(other_, "ip/10.128.0.2", "v");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kPermission);
  EXPECT_NE(second.error().message.find("ip/10.128.0.1"), std::string::npos);
  ASSERT_TRUE(pool_.renew(other_, "ip/10.128.0.1"));
  ASSERT_TRUE(pool_.remove(other_, "ip/10.128.0.1"));
  EXPECT_TRUE(pool_.create(other_, "ip/10.128.0.2", "v"));
}

TEST_F(DhtValues, WhatTheSettingsReserveIsKeptForItsNode) {
  pb::Settings settings;
  settings.set_number(2);
  auto& reserved = *settings.add_reservations();
  reserved.set_name("head");
  reserved.set_ip("10.128.0.1");
  reserved.set_node(to_string(pool_.address(2).bytes()));
  pb::SignedSettings signed_settings;
  signed_settings.set_settings(settings.SerializeAsString());
  // The stand-in's own form of settings is a number and addresses: 8 bytes and a multiple of 20.
  while (signed_settings.ByteSizeLong() % 20 != 8)
    signed_settings.mutable_signature()->push_back('x');
  for (int i = 0; i < pool_.size(); ++i) {
    const auto bytes = signed_settings.SerializeAsString();
    ASSERT_TRUE(pool_.credentials(i).adopt_settings(view_of(bytes)));
  }
  EXPECT_EQ(create_error(1, "name/head"), ErrorCode::kPermission);
  EXPECT_EQ(create_error(1, "ip/10.128.0.1"), ErrorCode::kPermission);
  EXPECT_TRUE(pool_.create(2, "name/head", "v"));
}

TEST_F(DhtValues, ForgedRecordsAreRefusedByReplicas) {
  const auto& own = pool_.credentials(other_);
  const dht::Value value{"k", to_bytes("v"), own.address(), 1, 1h, false};
  const auto right = dht::sign_record(own, value);
  auto changed = right;
  pb::Value wire;
  wire.ParseFromString(changed.value());
  wire.set_data("w");
  changed.set_value(wire.SerializeAsString());
  EXPECT_EQ(offer(changed, "k"), pb::ClientReply::REFUSED) << "data not signed";

  auto foreign = value;
  foreign.owner = pool_.address(1);
  EXPECT_EQ(offer(dht::sign_record(own, foreign), "k"), pb::ClientReply::REFUSED) << "owner";
  EXPECT_EQ(offer(right, "other"), pb::ClientReply::REFUSED) << "signed for another key";
  auto large = value;
  large.data.resize(1025);
  EXPECT_EQ(offer(dht::sign_record(own, large), "k"), pb::ClientReply::REFUSED) << "too large";
  FakeCredentials stranger(77, {.pool = "another"});
  auto strange = value;
  strange.owner = stranger.address();
  EXPECT_EQ(offer(dht::sign_record(stranger, strange), "k"), pb::ClientReply::REFUSED);
  EXPECT_EQ(offer(right, "k"), pb::ClientReply::OK);
  EXPECT_EQ(offer(right, "k"), pb::ClientReply::OK) << "the same again";
  auto old = value;
  old.version = 0;
  EXPECT_EQ(offer(dht::sign_record(own, old), "k"), pb::ClientReply::TAKEN) << "an older version";
  EXPECT_EQ(to_string(pool_.get(1, "k")->data), "v");
}

TEST_F(DhtValues, AReaderRefusesForgedAndOlderAnswers) {
  ASSERT_TRUE(pool_.create(0, "k", "one"));
  std::optional<pb::Record> old;
  bool lie = false;
  // Replies to the reader are replaced by what it was told first, or by a forgery.
  pool_.tamper = [&](int, int to, Bytes& bytes) {
    pb::DhtMessage seen;
    seen.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
    if (to != other_ || seen.client_reply().records_size() == 0) return true;
    if (!old) old = seen.client_reply().records(0);
    if (lie) {
      *seen.mutable_client_reply()->mutable_records(0) = *old;
      bytes = to_bytes(seen.SerializeAsString());
    }
    return true;
  };
  ASSERT_TRUE(pool_.get(other_, "k"));
  ASSERT_TRUE(pool_.put(0, "k", "two"));
  EXPECT_EQ(to_string(pool_.get(other_, "k")->data), "two");
  lie = true;
  EXPECT_EQ(pool_.get(other_, "k").error().code, ErrorCode::kUnavailable) << "rolled back";
  old->set_signature("x");
  EXPECT_EQ(pool_.get(other_, "k").error().code, ErrorCode::kUnavailable) << "forged";
  EXPECT_GT(pool_.metric(other_, Metric::kDropBadSignature), 0u);
}

TEST_F(DhtValues, AMemberSentAwayHoldsNothing) {
  ASSERT_TRUE(pool_.create(other_, "k", "v"));
  const auto settings = FakeCredentials::make_settings(5, {pool_.address(other_)});
  for (int i = 0; i < 3; ++i) pool_.credentials(i).adopt_settings(settings);
  EXPECT_EQ(pool_.get(1, "k").error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(pool_.create(1, "k", "mine"));
}

TEST_F(DhtValues, GarbageIsCountedAndHarmless) {
  SeededRandom random(5);
  for (int i = 0; i < 2000; ++i) {
    Bytes garbage(random.below(200));
    random.fill(garbage);
    pool_.inject(other_, static_cast<int>(random.below(3)), garbage);
    pool_.run_for(1ms);
  }
  EXPECT_GT(pool_.metric(0, Metric::kDropMalformed), 100u);
  EXPECT_TRUE(pool_.create(other_, "k", "v"));
}

TEST_F(DhtValues, AFloodOfOneSenderIsLimited) {
  pb::DhtMessage query;
  query.mutable_query();
  for (int i = 0; i < 5000; ++i) pool_.inject(other_, 0, view_of(query.SerializeAsString()));
  EXPECT_GT(pool_.metric(0, Metric::kDropRateLimited), 4000u);
  EXPECT_TRUE(pool_.create(1, "k", "v"));
}

TEST_F(DhtValues, ListsManyAndSaysWhenNothingChanged) {
  for (int i = 0; i < 240; ++i) {
    ASSERT_TRUE(pool_.create(i % 4, "a/" + std::to_string(1000 + i), std::string(600, 'x')));
  }
  ASSERT_TRUE(pool_.create(0, "b/1", "no"));
  Bytes digest;
  const auto all = pool_.list(other_, "a/", digest);
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 240u);
  for (std::size_t i = 0; i < all->size(); ++i) {
    EXPECT_EQ((*all)[i].key, "a/" + std::to_string(1000 + i));
    EXPECT_EQ((*all)[i].owner, pool_.address(static_cast<int>(i) % 4));
  }
  Bytes elsewhere;
  ASSERT_TRUE(pool_.list(1, "a/", elsewhere));
  EXPECT_EQ(elsewhere, digest) << "the same whoever coordinates";
  const Bytes same = digest;
  EXPECT_TRUE(pool_.list(other_, "a/", digest)->empty());
  EXPECT_EQ(digest, same);
  ASSERT_TRUE(pool_.remove(0, "a/1000"));
  EXPECT_EQ(pool_.list(other_, "a/", digest)->size(), 239u);
  EXPECT_NE(digest, same);
}

TEST_F(DhtValues, AListIsCompleteThoughItsCoordinatorSlept) {
  pool_.crash(1);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(pool_.create(0, "a/" + std::to_string(i), "v"));
  pool_.restart(1);
  pool_.crash(2);
  Bytes digest;
  const auto all = pool_.list(1, "a/", digest);
  ASSERT_TRUE(all);
  EXPECT_EQ(all->size(), 100u);
}

TEST_F(DhtValues, AListDoesNotShowWhatOnlyAMinorityHolds) {
  bool lost = true;
  pool_.tamper = [&](int, int, Bytes& bytes) {
    pb::DhtMessage message;
    message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
    return !lost || message.accept().key() != "a/half";
  };
  ASSERT_TRUE(pool_.create(0, "a/whole", "v"));
  // Whoever coordinates has it in its own store.
  EXPECT_EQ(pool_.create(1, "a/half", "v").error().code, ErrorCode::kUnavailable);
  for (int node = 0; node < pool_.size(); ++node) {
    Bytes digest;
    const auto listed = pool_.list(node, "a/", digest);
    EXPECT_TRUE(!listed || listed->size() == 1) << "node " << node;
  }
  lost = false;
  for (int node = 0; node < pool_.size(); ++node) {
    Bytes digest;
    const auto listed = pool_.list(node, "a/", digest);
    ASSERT_TRUE(listed);
    ASSERT_EQ(listed->size(), 2u) << "now a majority could be asked to hold it";
    // It stays, whoever dies.
    for (int dead = 0; dead < pool_.size(); ++dead) {
      pool_.crash(dead);
      EXPECT_TRUE(pool_.get((dead + 1) % pool_.size(), "a/half")) << dead;
      pool_.restart(dead);
      pool_.run_for(1s);
    }
  }
}

// Lists of many keys after somebody died: nothing is written again for them, and soon they work.
TEST_F(DhtValues, AListOfManySurvivesADeath) {
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(pool_.create(i % 3, "m/" + std::to_string(i), "v", 7 * 24h));
  }
  std::size_t accepts = 0;
  pool_.delivering = [&](int, int, ByteView bytes) {
    pb::DhtMessage message;
    message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
    accepts += message.has_accept();
  };
  const auto list = [&](int node) {
    Bytes digest;
    const auto listed = pool_.list(node, "m/", digest);
    return listed ? listed->size() : 0;
  };
  EXPECT_EQ(list(0), 300u);
  pool_.add_all(2);
  ASSERT_TRUE(pool_.run_until_group(5, 60s));
  EXPECT_EQ(list(1), 300u);
  pool_.crash(4);
  EXPECT_EQ(list(2), 300u) << "four of five hold what was installed";
  const auto epoch = pool_.dht(0).status().epoch;
  ASSERT_TRUE(pool_.run_until([&] { return pool_.dht(0).status().epoch > epoch; }, 60s));
  ASSERT_TRUE(pool_.run_until_group(5, 60s));
  accepts = 0;
  for (int node = 0; node < 4; ++node) EXPECT_EQ(list(node), 300u) << "node " << node;
  EXPECT_LT(accepts, 10u) << "all five hold the same";
}

// Two who write one key at once come between each other: a member lets its own wait, and those of
// different members draw back for longer than an attempt takes.
TEST(DhtWriters, OfOneKeyAreAnsweredThoughTheirNetworkIsSlow) {
  constexpr int kNodes = 8, kKeys = 40;
  FakePool pool(3, founded_by_first());
  pool.add_all(kNodes);
  ASSERT_TRUE(pool.run_until_group(5, 30s));
  pool.run_for(30s);
  pool.delay = 50ms;
  pool.jitter = 100ms;
  int won = 0, lost = 0;
  for (int i = 0; i < kKeys; ++i) {
    for (int node = 0; node < kNodes; ++node) {
      pool.dht(node).create("key/" + std::to_string(i), view_of("v"), 1h, [&](const auto& answer) {
        won += answer.has_value();
        lost += !answer && answer.error().code == ErrorCode::kAlreadyExists;
      });
    }
    pool.run_for(kDhtOperationLimit);
  }
  EXPECT_LE(won, kKeys);
  EXPECT_GE(won + lost, kNodes * kKeys * 9 / 10);
}

TEST(DhtQuota, AnOwnerHasSoManyRecordsAndTheStoreToo) {
  auto options = founded_by_first();
  options.records_per_owner_max = 3;
  options.records_max = 6;
  FakePool pool(1, options);
  pool.add_all(3);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(pool.create(0, "a" + std::to_string(i), "v"));
  EXPECT_EQ(pool.create(0, "a3", "v").error().code, ErrorCode::kPermission);
  EXPECT_TRUE(pool.put(0, "a1", "w"));
  for (int i = 0; i < 10; ++i) pool.create(1 + i % 2, "b" + std::to_string(i), "v");
  EXPECT_LE(pool.dht(0).status().records, 6u);
  EXPECT_TRUE(pool.renew(0, "a1"));
}

}  // namespace
}  // namespace wow
