// A member of the pool turns hostile: what it forges is refused and counted, what it floods is
// bounded, and the others hardly notice.
#include "overlay/ctm.h"
#include "overlay/limits.h"
#include "overlay/rate_table.h"
#include "proto/headers.h"
#include "proto/overlay.pb.h"
#include "tests/overlay/hostile_member.h"
#include "tests/overlay/pool_fixture.h"

namespace wow {
namespace {

class HostileTest : public PoolTest {
 protected:
  void SetUp() override {
    add_many(8);
    ASSERT_TRUE(becomes_whole(2s));
    world_.run_for(5s);
    evil_ = &pool_[3];
    hostile_.emplace(*evil_);
    good_ = evil_->node->session(pool_[0].address())->is_direct() ? &pool_[0] : &pool_[1];
  }
  // Sends bytes in the session with `good_` as routed or control packets.
  void send(DataKind kind, ByteView bytes) { hostile_->send(*good_, kind, bytes); }
  void send_ctm(const Bytes& ctm) {
    RoutedHeader header;
    header.payload = RoutedPayload::kCtm;
    header.destination = good_->address();
    header.source = evil_->address();
    send_routed(header, ctm);
  }
  void send_routed(const RoutedHeader& header, ByteView payload) {
    Bytes packet(RoutedHeader::kBytes);
    header.write(packet.data());
    packet.insert(packet.end(), payload.begin(), payload.end());
    send(DataKind::kRouted, packet);
  }
  void send_link(const pb::Link& link) { hostile_->send_link(*good_, link); }
  Ctm ctm_of(const FakeCredentials& who) {
    Ctm ctm;
    ctm.id = 1;
    ctm.role = EdgeRole::kNear;
    ctm.source = {who.address(), {*Endpoint::parse("203.0.113.66:1")}};
    ctm.target = good_->address();
    return ctm;
  }
  std::uint64_t count(Metric m) { return good_->metrics.total(m); }
  WallTime wall() { return good_->host.wall(); }
  void expect_unharmed() {
    world_.run_for(1s);
    EXPECT_TRUE(pool_.ring_is_whole(3));
    EXPECT_TRUE(pool_.all_routable());
  }

  SimNode* evil_ = nullptr;
  SimNode* good_ = nullptr;
  std::optional<HostileMember> hostile_;
};

TEST_F(HostileTest, ACtmInAnothersNameIsRefused) {
  FakeCredentials ghost(77);
  auto ctm = ctm_of(ghost);
  send_ctm(sign_ctm(ctm, *evil_->credentials, wall()));
  world_.run_for(100ms);
  EXPECT_EQ(count(Metric::kDropBadSignature), 1u);
  EXPECT_EQ((*good_)->tables().links, 0u);
}

TEST_F(HostileTest, AReplayedCtmIsRefused) {
  FakeCredentials ghost(77);
  const Bytes old = sign_ctm(ctm_of(ghost), ghost, wall() - std::chrono::hours(25));
  const Bytes newer = sign_ctm(ctm_of(ghost), ghost, wall());
  send_ctm(newer);
  world_.run_for(100ms);
  EXPECT_EQ((*good_)->tables().links, 1u);
  world_.run_for(15s);  // given up
  for (const Bytes& replayed : {old, newer}) send_ctm(replayed);
  world_.run_for(100ms);
  EXPECT_EQ(count(Metric::kDropReplayed), 2u);
  EXPECT_EQ((*good_)->tables().links, 0u);
}

TEST_F(HostileTest, ReservedEndpointsAreNeverChecked) {
  // A true member that names addresses at which something else of the victim's may live.
  pb::Link link;
  for (const char* text : {"127.0.0.1:22", "224.0.0.1:9", "169.254.169.254:80", "0.0.0.0:1"}) {
    link.mutable_candidates()->add_endpoints(to_string(ByteView(Endpoint::parse(text)->bytes())));
  }
  link.mutable_candidates()->set_moved(true);
  const auto before = world_.drops().unreachable;
  send_link(link);
  world_.run_for(1s);
  EXPECT_EQ(world_.drops().unreachable, before);
  expect_unharmed();
}

TEST_F(HostileTest, ListsBeyondBoundsAreRefused) {
  pb::Link neighbours, candidates;
  for (std::uint64_t i = 1; i <= ring::kListMembersMax + 1; ++i) {
    Member{FakeCredentials::address_of(i), {}}.write(
        *neighbours.mutable_neighbours()->add_members(), 8);
    candidates.mutable_candidates()->add_endpoints("\x01\x02\x03\x04\x05\x06");
  }
  send_link(neighbours);
  send_link(candidates);
  world_.run_for(10s);
  EXPECT_EQ(count(Metric::kDropMalformed), 2u);
  expect_unharmed();
}

TEST_F(HostileTest, GarbageInSessionsIsCountedAndDropped) {
  SeededRandom random(5);
  for (int i = 0; i < 3000; ++i) {
    Bytes bytes(random.below(200));
    random.fill(bytes);
    send(i % 2 == 0 ? DataKind::kRouted : DataKind::kControl, bytes);
    if (i % 50 == 0) world_.run_for(5ms);
  }
  world_.run_for(10s);
  EXPECT_GT(count(Metric::kDropMalformed), 500u);
  expect_unharmed();
}

TEST_F(HostileTest, PacketsThatWouldGoOnForEverAreDropped) {
  RoutedHeader header;
  header.hops = RoutedHeader::kHopLimit;
  header.destination = pool_[5].address();
  header.source = evil_->address();
  send_routed(header, {});
  world_.run_for(100ms);
  EXPECT_EQ(count(Metric::kDropHopLimit), 1u);
  EXPECT_EQ(pool_.total(Metric::kDropHopLimit), 1u);
}

TEST_F(HostileTest, NestingInNestingIsRefused) {
  RoutedHeader inner;
  inner.payload = RoutedPayload::kNested;
  inner.destination = evil_->address();
  inner.source = evil_->address();
  Bytes bytes(RoutedHeader::kBytes);
  inner.write(bytes.data());
  RoutedHeader outer = inner;
  outer.destination = good_->address();
  send_routed(outer, bytes);
  world_.run_for(100ms);
  EXPECT_EQ(count(Metric::kDropMalformed), 1u);
}

TEST_F(HostileTest, AFloodOfRequestsFillsNoTableBeyondItsBound) {
  for (std::uint64_t i = 1; i <= 4000; ++i) {
    FakeCredentials ghost(1000 + i);
    auto ctm = ctm_of(ghost);
    ctm.via = FakeCredentials::address_of(5000 + i);
    send_ctm(sign_ctm(ctm, ghost, wall()));
    if (i % 10 == 0) world_.run_for(1ms);
  }
  world_.run_for(50ms);
  const auto tables = (*good_)->tables();
  EXPECT_GT(tables.links, 100u);
  EXPECT_LE(tables.links, ring::kLinksMax);
  EXPECT_LE(tables.vias, ring::kViasMax);
  EXPECT_LE(tables.hints, ring::kHintsMax);
  EXPECT_GT(count(Metric::kDropRateLimited), 1000u);
  expect_unharmed();
  // Whoever asked for its place beside us may be tried as long as a hint lives, and then an
  // attempt.
  world_.run_for(ring::kHintLife + ring::kConnectLimit + 5s);
  EXPECT_EQ((*good_)->tables().links, 0u);
}

TEST_F(HostileTest, HalfSentMessagesAreBoundedAndForgotten) {
  MessageHeader header;
  header.service = 16;
  header.pieces = 255;
  for (int i = 0; i < 20000; ++i) {
    header.message = static_cast<std::uint16_t>(i / 200);
    header.piece = static_cast<std::uint8_t>(i % 200);
    Bytes packet(MessageHeader::kBytes + ring::kPieceBytes);
    header.write(packet.data());
    send(DataKind::kControl, packet);
    if (i % 100 == 0) world_.run_for(1ms);
  }
  world_.run_for(100ms);
  EXPECT_GT((*good_)->tables().partial_bytes, 0u);
  EXPECT_LE((*good_)->tables().partial_bytes, ring::kPartialsPerPeer * 255 * ring::kPieceBytes);
  world_.run_for(2min);
  EXPECT_EQ((*good_)->tables().partial_bytes, 0u);
  expect_unharmed();
}

TEST_F(HostileTest, MembersThatDoNotExistAreGivenUp) {
  pb::Link link;
  for (int i = 1; i <= 16; ++i) {
    // As near to the victim as can be.
    Bytes bytes = to_bytes(good_->address().bytes());
    bytes[10] = static_cast<std::uint8_t>(bytes[10] + i);
    Member{Address::from_bytes(bytes), {*Endpoint::parse("203.0.113.66:1")}}.write(
        *link.mutable_neighbours()->add_members(), 8);
  }
  send_link(link);
  world_.run_for(5s);
  EXPECT_GT((*good_)->tables().links, 0u);
  expect_unharmed();
  // Ever more rarely, as long as it is told of them.
  std::size_t linking = 0;
  for (int i = 0; i < 600; ++i) {
    world_.run_for(1s);
    linking += (*good_)->tables().links;
  }
  EXPECT_LT(linking, 1500u);
}

TEST(RateTable, LetsABurstThroughThenARate) {
  RateTable rates(10, 5);
  const Address a = FakeCredentials::address_of(1), b = FakeCredentials::address_of(2);
  TimePoint now{};
  int taken = 0;
  for (int i = 0; i < 20; ++i) taken += rates.take(a, now) ? 1 : 0;
  EXPECT_EQ(taken, 5);
  EXPECT_TRUE(rates.take(b, now));
  EXPECT_FALSE(rates.take(a, now + 90ms));
  EXPECT_TRUE(rates.take(a, now + 200ms));
}

TEST(RateTable, ForgetsTheQuietestWhenFull) {
  RateTable rates(10, 5);
  for (std::uint64_t i = 1; i <= ring::kRatesMax + 100; ++i) {
    rates.take(FakeCredentials::address_of(i), TimePoint(Duration(i)));
  }
  EXPECT_EQ(rates.size(), ring::kRatesMax);
}

}  // namespace
}  // namespace wow
