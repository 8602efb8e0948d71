#include "nat/nat_question.h"

#include <gtest/gtest.h>

namespace wow {
namespace {

NatAnswer answer() {
  NatAnswer out;
  out.token = 0x0102030405060708;
  out.cookie.fill(0xc0);
  out.wall = WallTime(std::chrono::seconds(1'700'000'000));
  out.bytes = 100;
  out.other_port = 20817;
  out.seen = *Endpoint::parse("[2001:db8::21]:4433");
  out.other_member = *Endpoint::parse("[2001:db8::22]:4433");
  return out;
}

TEST(NatQuestion, ComesBackAsItWas) {
  NatQuestion question;
  question.from = NatQuestion::From::kOtherMember;
  question.token = 7;
  question.cookie.fill(9);
  const auto again = NatQuestion::parse(question.write());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->from, question.from);
  EXPECT_EQ(again->token, 7u);
  EXPECT_EQ(again->cookie, question.cookie);
  EXPECT_EQ(question.write(1400).size(), 1400u);
}

TEST(NatQuestion, IsNeverShorterThanTheLongestAnswer) {
  EXPECT_LE(answer().write().size(), NatQuestion::kBytesMin);
  EXPECT_LE(answer().write().size(), NatErrand::kBytes);
  EXPECT_FALSE(NatQuestion::parse(Bytes(NatQuestion::kBytesMin - 1)));
}

TEST(NatAnswer, ComesBackAsItWas) {
  const auto again = NatAnswer::parse(answer().write());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->token, answer().token);
  EXPECT_EQ(again->cookie, answer().cookie);
  EXPECT_EQ(again->wall, answer().wall);
  EXPECT_EQ(again->bytes, 100);
  EXPECT_EQ(again->other_port, 20817);
  EXPECT_EQ(again->seen, answer().seen);
  EXPECT_EQ(again->other_member, answer().other_member);
}

TEST(NatAnswer, WhatIsCutShortOrTooLongIsNone) {
  const Bytes whole = answer().write();
  for (std::size_t n = 0; n < whole.size(); ++n)
    EXPECT_FALSE(NatAnswer::parse(ByteView(whole).first(n))) << n;
  Bytes longer = whole;
  longer.push_back(0);
  EXPECT_FALSE(NatAnswer::parse(longer));
}

TEST(NatErrand, ComesBackAsItWas) {
  const NatErrand errand{5, *Endpoint::parse("198.51.100.21:4433")};
  const auto again = NatErrand::parse(errand.write());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->token, 5u);
  EXPECT_EQ(again->to, errand.to);
  EXPECT_FALSE(NatErrand::parse(Bytes(NatErrand::kBytes)));
}

TEST(NatQuestion, KindsAreNotTakenForEachOther) {
  EXPECT_FALSE(NatQuestion::parse(NatErrand{5, *Endpoint::parse("198.51.100.21:1")}.write()));
  EXPECT_FALSE(NatErrand::parse(NatQuestion().write()));
  EXPECT_FALSE(NatAnswer::parse(NatQuestion().write()));
}

}  // namespace
}  // namespace wow
