// Faults that no random run is likely to show: each acceptor's and proposer's rule by itself.
#include <gtest/gtest.h>

#include "tests/dht/bench.h"

namespace wow {
namespace {

using dht::Ballot;
using dht::Group;
using dht::Register;

pb::DhtMessage answer_to(const pb::DhtMessage& request, pb::ReplicaReply reply) {
  pb::DhtMessage out;
  out.set_id(request.id());
  *out.mutable_replica_reply() = std::move(reply);
  return out;
}

pb::ReplicaReply ok() {
  pb::ReplicaReply out;
  out.set_status(pb::ReplicaReply::OK);
  return out;
}

TEST(DhtRound, ANextGroupThatOneReplicaAcceptedIsDecidedOnlyByAMajority) {
  Bench bench;
  const Group now = bench.group_of_three();
  ASSERT_TRUE(bench.replica.install(now, {}));
  Group theirs = bench.group_of_three(2), ours = theirs;
  theirs.members = {Bench::id(2), Bench::id(3), Bench::id(4)};
  std::optional<Group> decided;
  bench.coordinator.decide_next(ours, [&](auto group) { decided = group; });
  ASSERT_EQ(bench.sent.size(), 2u);
  // Node 2 accepted another's proposal, whose accepts to the others were lost.
  auto reply = ok();
  pb::Record record;
  record.set_value(theirs.to_wire().SerializeAsString());
  const Register state{{1, Bench::address(4)}, {1, {1, Bench::address(4)}}, record, {}, {}, {}};
  *reply.mutable_state() = state.to_wire(dht::kNextKey, TimePoint{}, true);
  bench.coordinator.on_reply(Bench::id(2), answer_to(bench.sent[0].second, reply));
  EXPECT_FALSE(decided) << "decided by the word of one replica";
  ASSERT_EQ(bench.sent.size(), 4u);
  ASSERT_TRUE(bench.sent[2].second.has_accept());
  bench.coordinator.on_reply(Bench::id(3), answer_to(bench.sent[2].second, ok()));
  ASSERT_TRUE(decided);
  EXPECT_EQ(*decided, theirs);
}

TEST(DhtRound, ANextGroupThatOthersRefuseIsNotAcceptedByItsProposerEither) {
  Bench bench;
  const Group now = bench.group_of_three();
  ASSERT_TRUE(bench.replica.install(now, {}));
  bool ended = false;
  bench.coordinator.decide_next(bench.group_of_three(2), [&](auto group) {
    ended = true;
    EXPECT_FALSE(group);
  });
  ASSERT_EQ(bench.sent.size(), 2u);
  auto promise = ok();
  promise.mutable_state()->set_key(dht::kNextKey);
  bench.coordinator.on_reply(Bench::id(2), answer_to(bench.sent[0].second, promise));
  ASSERT_EQ(bench.sent.size(), 4u);
  pb::ReplicaReply refused;
  refused.set_status(pb::ReplicaReply::REFUSED);
  bench.coordinator.on_reply(Bench::id(2), answer_to(bench.sent[2].second, refused));
  bench.coordinator.on_reply(Bench::id(3), answer_to(bench.sent[3].second, refused));
  EXPECT_TRUE(ended);
  EXPECT_FALSE(bench.replica.held(now.id)->registers.at(dht::kNextKey).accepted.is_set())
      << "no other could ever follow";
}

TEST(DhtRound, AnEpochWhoseMembersAreOtherReplicasNowIsGone) {
  Bench bench;
  const Group now = bench.group_of_three();
  ASSERT_TRUE(bench.replica.install(now, {}));
  std::optional<dht::Coordinator::Reading> reading;
  bench.coordinator.read_next(now, [&](auto result, const auto&) { reading = result; });
  ASSERT_EQ(bench.sent.size(), 2u);
  pb::ReplicaReply gone;
  gone.set_status(pb::ReplicaReply::WRONG_EPOCH);
  bench.coordinator.on_reply({Bench::address(2), 77}, answer_to(bench.sent[0].second, gone));
  EXPECT_FALSE(reading);
  bench.coordinator.on_reply(Bench::id(3), answer_to(bench.sent[1].second, gone));
  ASSERT_TRUE(reading) << "at once: nobody else can answer";
  EXPECT_EQ(*reading, dht::Coordinator::Reading::kGone);
}

TEST(DhtReplica, ANextGroupMostOfWhoseMembersAreNotHeardIsRefused) {
  Bench bench;
  dht::Peers peers;
  bench.context.peers = &peers;
  const Group now = bench.group_of_three();
  ASSERT_TRUE(bench.replica.install(now, {}));
  const auto offer = [&](std::uint64_t round) {
    pb::Record record;
    record.set_value(bench.group_of_three(2).to_wire().SerializeAsString());
    return bench.replica.accept(now.id, Bench::accept_of(dht::kNextKey, round, 2, record))
        ->status();
  };
  EXPECT_EQ(offer(1), pb::ReplicaReply::REFUSED);
  const dht::ReplicaId other{Bench::address(2), 77};
  for (const bool same_everywhere : {true, false}) {
    peers.hear(other, 0, same_everywhere, bench.clock.now());
    EXPECT_EQ(offer(2), pb::ReplicaReply::REFUSED) << "it has lost its store since";
  }
  peers.hear(Bench::id(3), 1, false, bench.clock.now());
  EXPECT_EQ(offer(3), pb::ReplicaReply::REFUSED) << "in another shard";
  peers.hear(Bench::id(3), 0, false, bench.clock.now());
  EXPECT_EQ(offer(4), pb::ReplicaReply::OK);
  bench.clock.run_for(61s);
  EXPECT_EQ(offer(5), pb::ReplicaReply::REFUSED) << "that was long ago";
}

TEST(DhtReplica, WhatWasCopiedWithinAnEpochIsNotOverwrittenByAnOlderBallot) {
  Bench bench;
  const Group group = bench.group_of_three(2);
  auto copied = *Register::parse([&] {
    pb::Register wire;
    wire.set_key("k");
    wire.set_accepted_epoch(2);
    Ballot{7, Bench::address(2)}.to_wire(*wire.mutable_accepted());
    *wire.mutable_record() = Bench::record(2, "k", 1);
    return wire;
  }());
  auto older = copied;
  older.accepted.epoch = 1;
  ASSERT_TRUE(bench.replica.install(group, {{"k", copied}, {"k2", older}}));
  const auto prepared = bench.replica.prepare(group.id, Bench::prepare_of("k", 3, 3));
  EXPECT_EQ(prepared->status(), pb::ReplicaReply::HIGHER_BALLOT);
  const auto accepted =
      bench.replica.accept(group.id, Bench::accept_of("k", 3, 3, Bench::record(3, "k", 1)));
  EXPECT_EQ(accepted->status(), pb::ReplicaReply::HIGHER_BALLOT);
  EXPECT_EQ(bench.replica.prepare(group.id, Bench::prepare_of("k2", 3, 3))->status(),
            pb::ReplicaReply::OK)
      << "ballots of an earlier epoch bind nobody";
}

TEST(DhtCoordinator, ARecordIsTakenOnlyFromItsOwner) {
  FakePool pool(1);
  pool.add_all(3);
  ASSERT_TRUE(pool.run_until_group(3, 30s));
  // What node 1 once asked for, as anybody may have read it.
  pb::DhtMessage request;
  request.set_id(1);
  request.mutable_client_request()->set_op(pb::ClientRequest::CREATE);
  request.mutable_client_request()->set_key("k");
  *request.mutable_client_request()->mutable_record() =
      Bench::record(static_cast<std::uint64_t>(1) + 1, "k", 5);
  pool.inject(2, 0, view_of(request.SerializeAsString()));
  pool.run_for(2s);
  EXPECT_EQ(pool.get(0, "k").error().code, ErrorCode::kNotFound);
  pool.inject(1, 0, view_of(request.SerializeAsString()));
  pool.run_for(2s);
  EXPECT_TRUE(pool.get(0, "k"));
}

// A coordinator that was asked first may get to it long after another has answered.
class LateRequest : public ::testing::Test {
 protected:
  LateRequest() {
    pool.add_all(3);
    EXPECT_TRUE(pool.run_until_group(3, 30s));
    pool.delivering = [this](int from, int to, ByteView bytes) {
      pb::DhtMessage message;
      message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
      if (from == 2 && message.has_client_request()) late = {to, to_bytes(bytes)};
    };
  }
  void deliver_late() {
    pool.delivering = nullptr;
    pool.inject(2, late.first, late.second);
    pool.run_for(2s);
  }
  FakePool pool{1};
  std::pair<int, Bytes> late;
};

TEST_F(LateRequest, OfACreateThatWasLostDoesNotWinOnceTheKeyIsFree) {
  ASSERT_TRUE(pool.create(1, "k", "1"));
  ASSERT_EQ(pool.create(2, "k", "2").error().code, ErrorCode::kAlreadyExists);
  ASSERT_TRUE(pool.remove(1, "k"));
  deliver_late();
  EXPECT_EQ(pool.get(0, "k").error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(pool.create(2, "k", "again"));
}

TEST_F(LateRequest, OfACreateThatWasRemovedDoesNotWinAgain) {
  ASSERT_TRUE(pool.create(2, "k", "2"));
  const auto create = late;
  ASSERT_TRUE(pool.remove(2, "k"));
  ASSERT_TRUE(pool.create(1, "k", "1"));
  ASSERT_TRUE(pool.remove(1, "k"));
  late = create;
  deliver_late();
  EXPECT_EQ(pool.get(0, "k").error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(pool.create(2, "k", "again"));
}

TEST(DhtRegister, KeepsTheNewestOfManyVersionFloors) {
  dht::VersionFloors floors;
  for (std::uint64_t node = 1; node <= 2 * dht::kVersionFloorsMax; ++node) {
    floors = dht::with_floor(floors, {Bench::address(node), node});
  }
  floors = dht::with_floor(floors, {Bench::address(20), 3});
  EXPECT_EQ(floors.size(), dht::kVersionFloorsMax);
  EXPECT_EQ(dht::floor_of(floors, Bench::address(1)), 0u);
  EXPECT_EQ(dht::floor_of(floors, Bench::address(32)), 32u);
  EXPECT_EQ(dht::floor_of(floors, Bench::address(20)), 20u) << "it does not fall";
}

class ForgedGroup : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(ForgedGroup, NamedByAnyMemberNeitherEmptiesNorSealsTheStore) {
  FakePool pool(2);
  pool.add_all(6);
  ASSERT_TRUE(pool.run_until_group(5, 60s));
  ASSERT_TRUE(pool.create(0, "k", "v"));
  // The lineage and epoch as they are, from what a member says of itself.
  pb::DhtMessage said;
  pool.tamper = [&](int, int, Bytes& bytes) {
    pb::DhtMessage message;
    if (message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) &&
        message.has_known() && message.known().epoch() > 1) {
      said = message;
    }
    return true;
  };
  ASSERT_TRUE(pool.run_until([&] { return said.has_known(); }, 60s));
  const int forger = pool.nearest().back();
  pb::DhtMessage forged;
  forged.set_incarnation(77);
  *forged.mutable_known() = said.known();
  auto& group = *forged.mutable_known();
  group.set_epoch(group.epoch() + GetParam());
  *group.mutable_previous() = group.members();
  group.clear_members();
  group.add_members()->set_address(to_string(pool.address(forger).bytes()));
  group.mutable_members(0)->set_incarnation(77);
  forged.set_lineage(group.lineage());
  forged.set_founder(group.founder());
  forged.set_founded(group.founded());
  // It is said, it is said to be served, and the registers of the epoch before are asked for.
  forged.set_epoch(group.epoch());
  forged.mutable_announce();
  auto fetch = forged;
  fetch.set_epoch(said.known().epoch());
  fetch.mutable_fetch();
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 6; ++i) {
      pool.inject(forger, i, view_of(forged.SerializeAsString()));
      pool.inject(forger, i, view_of(fetch.SerializeAsString()));
    }
    pool.run_for(2s);
  }
  pool.run_for(30s);
  for (const int i : pool.nearest()) {
    if (i == forger) continue;
    EXPECT_TRUE(pool.dht(i).status().serving) << i;
    EXPECT_GE(pool.dht(i).status().records, 1u) << i;
    EXPECT_TRUE(pool.get(i, "k")) << i;
    EXPECT_TRUE(pool.create(i, "k" + std::to_string(i), "v")) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(, ForgedGroup, ::testing::Values(1, 2, 1000));

// A member proposes to the others that three dead nodes follow.
TEST(DhtGroup, AMemberCannotHandTheShardToTheDead) {
  FakePool pool(4);
  pool.options.majority_lost_after = 60s;
  pool.add_all(9);
  ASSERT_TRUE(pool.run_until_group(5, 60s));
  ASSERT_TRUE(pool.create(0, "k", "v"));
  const auto near = pool.nearest();
  for (int i = 6; i < 9; ++i) pool.crash(near[static_cast<std::size_t>(i)]);
  const int liar = near[1];
  pb::DhtMessage said;
  pool.delivering = [&](int from, int, ByteView bytes) {
    pb::DhtMessage message;
    message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
    if (from == liar && message.has_known()) said = message;
  };
  pool.run_for(100s);
  ASSERT_GT(said.known().epoch(), 0u);
  pb::Group next = said.known();
  next.set_epoch(next.epoch() + 1);
  *next.mutable_previous() = said.known().members();
  next.clear_members();
  for (int i = 6; i < 9; ++i) {
    auto& member = *next.add_members();
    member.set_address(to_string(pool.address(near[static_cast<std::size_t>(i)]).bytes()));
    member.set_incarnation(7);
  }
  pb::DhtMessage forged;
  forged.set_incarnation(said.incarnation());
  forged.set_lineage(said.known().lineage());
  forged.set_founder(said.known().founder());
  forged.set_founded(said.known().founded());
  forged.set_epoch(said.known().epoch());
  forged.set_id(77);
  auto accept = forged;
  dht::Ballot{1000, pool.address(liar)}.to_wire(*forged.mutable_prepare()->mutable_ballot());
  dht::Ballot{1000, pool.address(liar)}.to_wire(*accept.mutable_accept()->mutable_ballot());
  accept.mutable_accept()->mutable_record()->set_value(next.SerializeAsString());
  for (int i = 0; i < 5; ++i) {
    const int member = near[static_cast<std::size_t>(i)];
    pool.inject(liar, member, view_of(forged.SerializeAsString()));
    pool.inject(liar, member, view_of(accept.SerializeAsString()));
  }
  pool.run_for(30s);
  EXPECT_EQ(pool.dht(near[0]).status().epoch, said.known().epoch());
  EXPECT_TRUE(pool.get(near[5], "k"));
  EXPECT_TRUE(pool.create(near[5], "k2", "v"));
}

TEST(DhtGroup, AMemberThatMissedSeveralGroupsComesBack) {
  FakePool pool(3);
  pool.options.group_change_after = 3s;
  pool.add_all(7);
  ASSERT_TRUE(pool.run_until_group(5, 60s));
  ASSERT_TRUE(pool.create(0, "k", "v"));
  const auto before = pool.dht(0).status().epoch;
  const auto near = pool.nearest();
  pool.crash(near[0]);
  const int watcher = near[6];
  ASSERT_TRUE(pool.run_until([&] { return pool.dht(watcher).status().epoch > before; }, 60s));
  pool.run_for(5s);
  pool.crash(near[1]);
  ASSERT_TRUE(pool.run_until([&] { return pool.dht(watcher).status().epoch > before + 1; }, 60s));
  pool.run_for(5s);
  pool.restart(near[1]);
  pool.restart(near[0]);
  EXPECT_TRUE(pool.get(near[0], "k")) << "at once, as a client";
  ASSERT_TRUE(pool.run_until([&] { return pool.dht(near[0]).status().serving; }, 90s));
  ASSERT_TRUE(pool.run_until_group(5, 90s));
  EXPECT_TRUE(pool.get(near[0], "k"));
}

TEST(DhtRound, WhatOneReplicaAcceptedIsNotCalledRefused) {
  Bench bench;
  ASSERT_TRUE(bench.replica.install(bench.group_of_three(), {}));
  std::optional<pb::ClientReply> answer;
  const auto record = Bench::record(1, "k", 1);
  dht::Round round(
      bench.context, bench.replica, 1 << 16, bench.group_of_three(), "k", false,
      [&](const dht::Seen&) {
        return dht::Decision{{}, record};
      },
      [&](auto reply) { answer = reply; });
  round.start();
  auto promise = ok();
  promise.mutable_state()->set_key("k");
  ASSERT_EQ(bench.sent.size(), 2u);
  round.on_reply(Bench::id(2), answer_to(bench.sent[0].second, promise));
  ASSERT_EQ(bench.sent.size(), 4u);
  // We have accepted; both others have not.
  pb::ReplicaReply refused;
  refused.set_status(pb::ReplicaReply::REFUSED);
  round.on_reply(Bench::id(2), answer_to(bench.sent[2].second, refused));
  round.on_reply(Bench::id(3), answer_to(bench.sent[3].second, refused));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status(), pb::ClientReply::UNAVAILABLE);
}

TEST(DhtRound, AnOlderVersionThatWasWrittenAgainBeatsANewerOneOfAMinority) {
  Bench bench;
  ASSERT_TRUE(bench.replica.install(bench.group_of_three(), {}));
  std::optional<std::uint64_t> seen_version;
  dht::Round round(
      bench.context, bench.replica, 1 << 16, bench.group_of_three(), "k", true,
      [&](const dht::Seen& seen) {
        seen_version = seen.value->version;
        return dht::Decision{};
      },
      [](auto) {});
  // We accepted the removal, of which nobody else heard; the value was rewritten at the others.
  ASSERT_EQ(bench.replica
                .accept(bench.group_of_three().id,
                        Bench::accept_of("k", 5, 2, Bench::record(2, "k", 9, 1h, true)))
                ->status(),
            pb::ReplicaReply::OK);
  round.start();
  auto promise = ok();
  const dht::Ballot later{6, Bench::address(3)};
  const Register state{later, {1, later}, Bench::record(2, "k", 8), {}, {}, {}};
  *promise.mutable_state() = state.to_wire("k", TimePoint{}, true);
  ASSERT_FALSE(bench.sent.empty());
  round.on_reply(Bench::id(2), answer_to(bench.sent[0].second, promise));
  EXPECT_EQ(seen_version, 8u);
}

TEST(DhtRound, WhatAMajorityInstalledIsWrittenAgainBeforeItIsRead) {
  Bench bench;
  const Group group = bench.group_of_three(2);
  const dht::Ballot ballot{5, Bench::address(2)};
  const auto installed = *Register::parse(
      Register{ballot, {1, ballot}, Bench::record(2, "k", 8), {}, {}, {}}.to_wire("k", {}, true));
  ASSERT_TRUE(bench.replica.install(group, {{"k", installed}}));
  bool is_over = false;
  dht::Round round(
      bench.context, bench.replica, 1 << 16, group, "k", true,
      [](const dht::Seen&) { return dht::Decision{}; }, [&](auto) { is_over = true; });
  round.start();
  auto reply = ok();
  *reply.mutable_state() = installed.to_wire("k", TimePoint{}, true);
  ASSERT_FALSE(bench.sent.empty());
  round.on_reply(Bench::id(2), answer_to(bench.sent[0].second, reply));
  // The third member may hold another, accepted later in epoch 1.
  EXPECT_FALSE(is_over);
  EXPECT_TRUE(bench.sent.back().second.prepare().has_ballot());
}

TEST(DhtReplica, PagesForAnInstallationKeepWhatHasExpired) {
  Bench bench;
  const Group group = bench.group_of_three();
  ASSERT_TRUE(bench.replica.install(group, {}));
  const auto accept = Bench::accept_of("k", 1, 1, Bench::record(1, "k", 1, 1s));
  ASSERT_EQ(bench.replica.accept(group.id, accept)->status(), pb::ReplicaReply::OK);
  bench.clock.run_for(20s);
  EXPECT_EQ(bench.replica.fetch(group.id, {})->registers_size(), 1);
}

}  // namespace
}  // namespace wow
