#include "tunnel/identity/member.h"

#include <algorithm>

#include "tests/tunnel/identity/pool_world.h"
#include "tunnel/identity/armor.h"

namespace wow {
namespace {

using std::chrono::days;

ErrorCode code(const Result<Membership>& joined) { return joined.error().code; }

TEST(MemberTest, TheMemberFileGivesTheMembershipBack) {
  PoolRoot root = make_pool();
  const Membership member = make_member(make_invite(root));
  const auto parsed = Membership::parse(member.to_text());
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->address(), member.address());
  EXPECT_EQ(parsed->chain, member.chain);
  EXPECT_EQ(parsed->root_certificate, member.root_certificate);
  EXPECT_EQ(parsed->pool_key, member.pool_key);
  EXPECT_EQ(parsed->bootstraps, member.bootstraps);
  EXPECT_EQ(parsed->invite_id, member.invite_id);
  EXPECT_EQ(parsed->settings().name(), "lab");
}

TEST(MemberTest, TheInvitesKeyIsNotKept) {
  PoolRoot root = make_pool();
  const Invite invite = make_invite(root);
  const auto blocks = read_blocks(make_member(invite).to_text()).value();
  const auto holds = [&](ByteView needle) {
    return std::ranges::any_of(blocks, [&](const Block& block) {
      return !std::ranges::search(block.data, needle).empty();
    });
  };
  const Secret pkcs8 = invite.key().pkcs8();
  const ByteView secret_half = ByteView(pkcs8).last(32);
  EXPECT_TRUE(holds(invite.key().public_key())) << "in its certificate";
  EXPECT_FALSE(holds(secret_half));
}

TEST(MemberTest, ADamagedMemberFileIsRefused) {
  PoolRoot root = make_pool();
  const Invite invite = make_invite(root);
  const std::string one{std::string_view(make_member(invite).to_text())};
  const std::string two{std::string_view(make_member(invite).to_text())};
  EXPECT_FALSE(Membership::parse(one.substr(0, one.size() / 2)));
  EXPECT_FALSE(Membership::parse("nothing"));
  const std::size_t cut = one.find("-----BEGIN CERT"), at = two.find("-----BEGIN CERT");
  EXPECT_EQ(code(Membership::parse(one.substr(0, cut) + two.substr(at))), ErrorCode::kUntrusted);
}

TEST(MemberTest, AnInviteIsRefusedAfterItsJoinByDate) {
  PoolRoot root = make_pool();
  const Invite invite = make_invite(root, "cluster", kCreated + days(90));
  EXPECT_TRUE(join(invite, kCreated + days(89), kBuilt));
  const auto late = join(invite, kCreated + days(91), kBuilt);
  ASSERT_EQ(code(late), ErrorCode::kExpired);
  EXPECT_EQ(late.error().message,
            "invite cluster could be used until 2026-05-30 00:00 UTC; ask for a new one");
}

TEST(MemberTest, ADeadClockDoesNotReviveAnInvite) {
  PoolRoot root = make_pool();
  const Invite invite = make_invite(root, "cluster", kCreated + days(90));
  EXPECT_EQ(code(join(invite, WallTime{}, kCreated + days(91))), ErrorCode::kExpired)
      << "the program is newer than the date";
  ASSERT_TRUE(root.set_mtu(1400, kCreated + days(100)));
  const Invite stale = make_invite(root, "stale", kCreated + days(90));
  EXPECT_EQ(code(join(stale, WallTime{}, kBuilt)), ErrorCode::kExpired)
      << "the root signed after the date";
}

TEST(MemberTest, ADeadClockDoesNotStopANewcomer) {
  PoolRoot root = make_pool();
  const Invite invite = make_invite(root);
  const auto joined = join(invite, WallTime{}, WallTime{});
  ASSERT_TRUE(joined) << joined.error().message;
  Calendar calendar;
  calendar.today = WallTime{};
  EXPECT_TRUE(TlsCredentials::make(*joined, calendar, WallTime{}));
}

TEST(MemberTest, AClosedOrRevokedInviteAdmitsNobody) {
  PoolRoot root = make_pool();
  const Invite closed = make_invite(root, "closed"), revoked = make_invite(root, "revoked");
  const Membership member = make_member(make_invite(root, "open"));
  ASSERT_TRUE(root.close_invite(view_of(closed.rights().invite_id()), {}, kCreated));
  ASSERT_TRUE(root.revoke_invite(view_of(revoked.rights().invite_id()), kCreated));
  // The files were made before; a member that has heard of the newer settings knows better.
  Membership informed = member;
  informed.signed_settings = root.signed_settings();
  EXPECT_EQ(code(join(closed, kCreated, kBuilt, &informed)), ErrorCode::kUntrusted);
  EXPECT_EQ(code(join(revoked, kCreated, kBuilt, &informed)), ErrorCode::kUntrusted);
  EXPECT_TRUE(join(closed, kCreated, kBuilt, &member));
}

TEST(MemberTest, ARevokedMemberThatJoinsAgainIsToldHow) {
  PoolRoot root = make_pool("lab");
  const Membership member = make_member(make_invite(root));
  ASSERT_TRUE(root.revoke_node(member.address(), kCreated));
  const auto joined = join(make_invite(root), kCreated, kBuilt, &member);
  ASSERT_EQ(code(joined), ErrorCode::kUntrusted);
  EXPECT_EQ(joined.error().message,
            "node " + member.address().short_hex() +
                " is revoked; `wow leave lab` first, then join again: the machine gets a new key");
}

TEST(MemberTest, AnotherPoolsInviteIsRefused) {
  PoolRoot lab = make_pool("lab"), other = make_pool("other");
  const Membership member = make_member(make_invite(lab));
  const auto joined = join(make_invite(other), kCreated, kBuilt, &member);
  ASSERT_EQ(code(joined), ErrorCode::kAlreadyExists);
  EXPECT_NE(joined.error().message.find("lab"), std::string::npos);
}

TEST(MemberTest, AMemberThatJoinsAgainKeepsItsAddressAndGetsTheNewRights) {
  PoolRoot root = make_pool();
  const Membership before = make_member(make_invite(root, "old"));
  const Invite invite = Invite::create(root, {.label = "new",
                                              .groups = {},
                                              .bridge = true,
                                              .routes = {},
                                              .join_by = std::nullopt,
                                              .bootstraps = {"192.0.2.1:1"}})
                            .value();
  const Membership after = join(invite, kCreated, kBuilt, &before).value();
  Calendar calendar;
  EXPECT_EQ(after.address(), before.address());
  EXPECT_TRUE(make_credentials(after, calendar)->self().may_bridge);
  EXPECT_EQ(after.bootstraps, (std::vector<std::string>{"192.0.2.1:1", "198.51.100.7:4433"}));
}

}  // namespace
}  // namespace wow
