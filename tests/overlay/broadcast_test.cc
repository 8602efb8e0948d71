// A broadcast reaches everybody once, in few hops, although some die meanwhile.
#include "overlay/limits.h"
#include "proto/overlay.pb.h"
#include "tests/overlay/pool_fixture.h"

namespace wow {
namespace {

class BroadcastTest : public PoolTest {
 protected:
  void listen() {
    for (SimNode& m : pool_.members()) {
      m->set_broadcast_handler(Service::kUserFirst,
                               [this, &m](const Address&, ByteView payload, std::uint32_t hops) {
                                 heard_[&m].push_back(to_string(payload));
                                 deepest_ = std::max(deepest_, hops);
                               });
    }
  }
  void pool_of(int n) {
    add_many(n);
    ASSERT_TRUE(becomes_whole(20s, 1));
    world_.run_for(30s);
    listen();
  }

  std::map<SimNode*, std::vector<std::string>> heard_;
  std::uint32_t deepest_ = 0;
};

TEST_F(BroadcastTest, EverybodyHearsItOnceInFewHops) {
  pool_of(256);
  ASSERT_TRUE(pool_[7]->broadcast(Service::kUserFirst, view_of("hello")));
  world_.run_for(2s);
  EXPECT_EQ(heard_.size(), 255u);
  for (const auto& [node, messages] : heard_) EXPECT_EQ(messages.size(), 1u);
  EXPECT_LE(deepest_, 10u);
  EXPECT_FALSE(heard_.contains(&pool_[7]));
  world_.run_for(30s);
  for (SimNode& m : pool_.members()) EXPECT_EQ(m->tables().broadcasts, 0u);
}

TEST_F(BroadcastTest, TheLivingHearItAlthoughATenthDies) {
  pool_of(200);
  for (int i = 3; i < 200; i += 10) pool_.crash(pool_[i]);
  ASSERT_TRUE(pool_[0]->broadcast(Service::kUserFirst, view_of("hello")));
  world_.run_for(20s);
  EXPECT_EQ(heard_.size(), 179u);
  for (const auto& [node, messages] : heard_) EXPECT_EQ(messages.size(), 1u);
}

TEST_F(BroadcastTest, OneOriginIsLimitedByOthers) {
  pool_of(8);
  for (int i = 0; i < 100; ++i) pool_[0]->broadcast(Service::kUserFirst, view_of("spam"));
  world_.run_for(1s);
  for (const auto& [node, messages] : heard_) {
    EXPECT_LE(messages.size(), ring::kBroadcastsBurst + 2 * ring::kBroadcastsPerSecond);
  }
  EXPECT_FALSE(pool_[0]->broadcast(Service::kUserFirst, Bytes(1025)));
}

// Who has once heard a broadcast can send its signed bytes again.
class ReplayTest : public BroadcastTest {
 protected:
  Bytes signed_broadcast(std::int64_t sent_at, std::uint64_t number) {
    pb::BroadcastBody body;
    body.set_number(number);
    body.set_service(static_cast<std::uint32_t>(Service::kUserFirst));
    body.set_payload(std::to_string(number));
    body.set_sent_at(sent_at);
    pb::BroadcastMessage out;
    pb::Broadcast& message = *out.mutable_broadcast();
    message.set_body(body.SerializeAsString());
    message.set_public_key(to_string(origin_.public_key()));
    message.set_signature(
        to_string(origin_.sign(concat({view_of("wow broadcast 1"), view_of(message.body())}))));
    // An arc on which nobody stands: it ends with its receiver.
    message.set_begin(to_string(pool_[1].address().bytes()));
    message.set_end(to_string((pool_[1].address() + Address::power_of_two(0)).bytes()));
    return to_bytes(out.SerializeAsString());
  }
  // By pool_[0] to pool_[1]; what that one has heard in all.
  std::vector<std::string> send(const Bytes& broadcast) {
    pool_[0]->send(pool_[1].address(), Service::kBroadcast, broadcast);
    world_.run_for(1s);
    return heard_[&pool_[1]];
  }

  FakeCredentials origin_{12345};
};

using Heard = std::vector<std::string>;

TEST_F(ReplayTest, ABroadcastIsOldOnceItsNumberIsForgotten) {
  pool_of(2);
  const Bytes first = signed_broadcast(1'000'000, 1);
  EXPECT_EQ(send(first), Heard({"1"}));
  EXPECT_EQ(send(first), Heard({"1"}));
  for (int minutes = 1; minutes <= 30; minutes *= 2) {
    world_.run_for(1min * minutes);
    EXPECT_EQ(send(first), Heard({"1"}));
  }
}

TEST_F(ReplayTest, WhatIsMuchOlderThanTheNewestIsRefused) {
  pool_of(2);
  EXPECT_EQ(send(signed_broadcast(1'000'000, 2)), Heard({"2"}));
  EXPECT_EQ(send(signed_broadcast(900'000, 1)), Heard({"2"}));
  EXPECT_EQ(send(signed_broadcast(980'000, 3)), Heard({"2", "3"}));  // overtaken on the way
}

TEST_F(ReplayTest, WhoseCalendarIsSetBackWhileItRunsIsHeard) {
  pool_of(4);
  ASSERT_TRUE(pool_[0]->broadcast(Service::kUserFirst, view_of("before")));
  world_.run_for(2min);
  pool_[0].host.set_wall_offset(-std::chrono::hours(24));
  ASSERT_TRUE(pool_[0]->broadcast(Service::kUserFirst, view_of("after")));
  world_.run_for(1s);
  for (int i = 1; i < 4; ++i) EXPECT_EQ(heard_[&pool_[i]], Heard({"before", "after"}));
}

}  // namespace
}  // namespace wow
