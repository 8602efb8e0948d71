#include "overlay/ctm.h"

#include <gtest/gtest.h>

#include "overlay/limits.h"
#include "proto/overlay.pb.h"
#include "tools/sim/fake_credentials.h"

namespace wow {
namespace {

class CtmTest : public testing::Test {
 protected:
  Ctm request() {
    Ctm ctm;
    ctm.id = 7;
    ctm.role = EdgeRole::kNear;
    ctm.source = {alice_.address(), {*Endpoint::parse("192.0.2.1:1000")}};
    ctm.target = FakeCredentials::address_of(9);
    return ctm;
  }
  std::optional<Ctm> open(ByteView bytes) { return open_ctm(bytes, bob_, metrics_); }
  // The honest bytes with their inside changed and signed by `signer`.
  Bytes forged(const std::function<void(pb::Ctm&)>& change, const FakeCredentials& signer) {
    pb::SignedCtm outer;
    pb::Ctm inner;
    const Bytes honest = sign_ctm(request(), alice_, now_);
    EXPECT_TRUE(outer.ParseFromArray(honest.data(), static_cast<int>(honest.size())));
    EXPECT_TRUE(inner.ParseFromString(outer.ctm()));
    change(inner);
    outer.set_ctm(inner.SerializeAsString());
    outer.set_public_key(to_string(signer.public_key()));
    outer.set_signature(
        to_string(signer.sign(concat({view_of("wow ctm 1"), view_of(outer.ctm())}))));
    return to_bytes(outer.SerializeAsString());
  }
  std::uint64_t count(Metric m) { return metrics_.get(m); }

  FakeCredentials alice_{1}, bob_{2}, mallory_{3};
  WallTime now_{std::chrono::seconds(1'700'000'000)};
  MetricSlot metrics_;
};

TEST_F(CtmTest, ArrivesAsItWasSent) {
  auto sent = request();
  sent.via = FakeCredentials::address_of(5);
  sent.neighbours.push_back(
      {FakeCredentials::address_of(6), {*Endpoint::parse("[2001:db8::1]:9")}});
  const auto got = open(sign_ctm(sent, alice_, now_));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->id, 7u);
  EXPECT_EQ(got->role, EdgeRole::kNear);
  EXPECT_EQ(got->source.address, alice_.address());
  EXPECT_EQ(got->source.endpoints, sent.source.endpoints);
  EXPECT_EQ(got->via, sent.via);
  EXPECT_EQ(got->target, sent.target);
  ASSERT_EQ(got->neighbours.size(), 1u);
  EXPECT_EQ(got->neighbours[0].endpoints, sent.neighbours[0].endpoints);
}

TEST_F(CtmTest, InAnothersNameIsRefused) {
  EXPECT_FALSE(open(forged([](pb::Ctm&) {}, mallory_)));
  EXPECT_EQ(count(Metric::kDropBadSignature), 1u);
}

TEST_F(CtmTest, ChangedOnTheWayIsRefused) {
  Bytes bytes = sign_ctm(request(), alice_, now_);
  int refused = 0;
  for (auto& byte : bytes) {
    byte ^= 1;
    if (!open(bytes)) ++refused;
    byte ^= 1;
  }
  EXPECT_EQ(refused, static_cast<int>(bytes.size()));
  EXPECT_TRUE(open(bytes));
}

TEST_F(CtmTest, FromAnyClockIsOpened) {
  for (const auto off : {-std::chrono::hours(24 * 365 * 50), std::chrono::hours(25)}) {
    const auto got = open(sign_ctm(request(), alice_, now_ + off));
    ASSERT_TRUE(got);
    EXPECT_EQ(got->sent_at, (1'700'000'000LL + std::chrono::seconds(off).count()) * 1000);
  }
}

TEST_F(CtmTest, WithTooMuchInItIsRefused) {
  const auto endpoint = Endpoint::parse("192.0.2.1:1")->bytes();
  const auto many_endpoints = [&](pb::Ctm& c) {
    for (int i = 0; i < 9; ++i) c.mutable_source()->add_endpoints(to_string(ByteView(endpoint)));
  };
  const auto many_neighbours = [&](pb::Ctm& c) {
    for (int i = 0; i < 17; ++i) *c.add_neighbours() = c.source();
  };
  EXPECT_FALSE(open(forged(many_endpoints, alice_)));
  EXPECT_FALSE(open(forged(many_neighbours, alice_)));
  EXPECT_FALSE(open(Bytes(2000)));
  EXPECT_EQ(count(Metric::kDropMalformed), 3u);
}

TEST_F(CtmTest, WithBentFieldsIsRefused) {
  EXPECT_FALSE(open(forged([](pb::Ctm& c) { c.set_target("short"); }, alice_)));
  EXPECT_FALSE(open(forged([](pb::Ctm& c) { c.set_via("short"); }, alice_)));
  EXPECT_FALSE(
      open(forged([](pb::Ctm& c) { c.mutable_source()->add_endpoints("12345"); }, alice_)));
  EXPECT_FALSE(open(forged([](pb::Ctm& c) { c.set_role(static_cast<pb::EdgeRole>(77)); }, alice_)));
  EXPECT_FALSE(open({}));
}

TEST_F(CtmTest, AlwaysFitsOnePacket) {
  auto reply = request();
  for (int i = 0; i < 8; ++i) {
    Bytes ip(16, static_cast<std::uint8_t>(i + 1));
    reply.source.endpoints.push_back({IpAddress::v6(ip), 1});
  }
  for (std::uint64_t i = 0; i < ring::kListDescribedMax; ++i) {
    reply.neighbours.push_back({FakeCredentials::address_of(i + 10), reply.source.endpoints});
  }
  const Bytes bytes = sign_ctm(reply, alice_, now_);
  EXPECT_LE(bytes.size(), ring::kCtmBytesMax);
  EXPECT_GE(open(bytes)->neighbours.size(), 6u);
}

}  // namespace
}  // namespace wow
