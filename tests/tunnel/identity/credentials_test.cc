#include "tests/tunnel/identity/pool_world.h"

namespace wow {
namespace {

using std::chrono::days;

struct CredentialsTest : testing::Test {
  Calendar calendar;
  PoolRoot root = make_pool();
  Invite invite = make_invite(root, "cluster", kCreated + days(90));
  Membership alice_files = make_member(invite);
  std::unique_ptr<TlsCredentials> alice = make_credentials(alice_files, calendar);
  std::unique_ptr<TlsCredentials> bob = make_credentials(make_member(invite), calendar);
  std::unique_ptr<TlsCredentials> carol = make_credentials(make_member(invite), calendar);
  Bytes invite_id = to_bytes(invite.rights().invite_id());
};

TEST_F(CredentialsTest, TheyShowWhoOneIs) {
  EXPECT_EQ(alice->address(), address_of_public_key(alice->public_key()));
  EXPECT_EQ(to_bytes(alice->pool_key()), to_bytes(bob->pool_key()));
  EXPECT_EQ(alice->pool_key().size(), 32u);
  EXPECT_EQ(alice->root_fingerprint(), root.root_fingerprint());
  const auto seen = bob->verify_chain(alice->chain());
  ASSERT_TRUE(seen) << seen.error().message;
  EXPECT_EQ(seen->address, alice->address());
  EXPECT_EQ(seen->invite_id, invite_id);
  EXPECT_EQ(bob->chain_public_key(alice->chain()), to_bytes(alice->public_key()));
}

TEST_F(CredentialsTest, ASignatureNamesItsSigner) {
  const Bytes signature = alice->sign(view_of("hello"));
  EXPECT_EQ(bob->signer(alice->public_key(), view_of("hello"), signature), alice->address());
  EXPECT_FALSE(bob->signer(alice->public_key(), view_of("hullo"), signature));
  EXPECT_FALSE(bob->signer(bob->public_key(), view_of("hello"), signature));
  EXPECT_FALSE(bob->signer(alice->public_key().first(31), view_of("hello"), signature));
  EXPECT_FALSE(bob->signer(alice->public_key(), view_of("hello"), ByteView(signature).first(63)));
}

TEST_F(CredentialsTest, AMembershipNeedsItsOwnPoolsCertificate) {
  PoolRoot other = make_pool();
  Membership mixed = alice_files;
  mixed.root_certificate = other.certificate();
  mixed.signed_settings = other.signed_settings();
  const auto made = TlsCredentials::make(mixed, calendar, kBuilt);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::kUntrusted);
}

TEST_F(CredentialsTest, SettingsAreNeverRolledBack) {
  ASSERT_TRUE(root.set_mtu(1400, kCreated));
  const Bytes second = root.signed_settings();
  ASSERT_TRUE(root.set_mtu(1500, kCreated));
  EXPECT_TRUE(alice->adopt_settings(root.signed_settings()));
  EXPECT_EQ(alice->settings_number(), 3u);
  EXPECT_FALSE(alice->adopt_settings(second));
  EXPECT_FALSE(alice->adopt_settings(root.signed_settings())) << "not newer than itself";
  EXPECT_EQ(alice->settings().mtu(), 1500u);
  EXPECT_EQ(to_bytes(alice->signed_settings()), root.signed_settings());
}

TEST_F(CredentialsTest, ForgedSettingsAreRefused) {
  pb::Settings forged = root.settings();
  forged.set_number(99);
  EXPECT_FALSE(alice->adopt_settings(sign_settings(forged, PrivateKey::generate())));
  EXPECT_FALSE(alice->adopt_settings(sign_settings(forged, invite.key())));
  EXPECT_FALSE(alice->adopt_settings({}));
  EXPECT_EQ(alice->settings_number(), 1u);
  EXPECT_TRUE(alice->adopt_settings(sign_settings(forged, root.key())));
}

TEST_F(CredentialsTest, ARevokedNodeIsShutOutWhereTheNewsHasArrived) {
  ASSERT_TRUE(Handshake(*bob, *alice).succeeded());
  ASSERT_TRUE(root.revoke_node(bob->address(), kCreated));
  ASSERT_TRUE(alice->adopt_settings(root.signed_settings()));
  EXPECT_FALSE(alice->welcome(bob->self()));
  EXPECT_TRUE(alice->welcome(carol->self()));
  EXPECT_FALSE(alice->verify_chain(bob->chain())) << "DHT values of a revoked node";

  Handshake incoming(*bob, *alice), outgoing(*alice, *bob);
  EXPECT_EQ(incoming.end.state, KeyExchange::State::kFailed);
  EXPECT_EQ(incoming.why(), "node " + bob->address().short_hex() + " is revoked");
  EXPECT_EQ(outgoing.third.state, KeyExchange::State::kFailed);
  EXPECT_TRUE(Handshake(*bob, *carol).succeeded()) << "carol has not heard yet";
}

TEST_F(CredentialsTest, OfAClosedInviteOnlyThoseKeptAreWelcome) {
  ASSERT_TRUE(root.close_invite(invite_id, {alice->address(), bob->address()}, kCreated));
  for (auto* node : {&alice, &bob}) ASSERT_TRUE((*node)->adopt_settings(root.signed_settings()));
  EXPECT_TRUE(Handshake(*alice, *bob).succeeded());
  EXPECT_TRUE(alice->welcome(bob->self()));
  EXPECT_FALSE(alice->welcome(carol->self()));
  EXPECT_NE(Handshake(*carol, *alice).why().find("invite that is closed"), std::string::npos);

  // A machine that joins now with a copy of the file is stopped by everybody who has the settings.
  const auto late = make_credentials(make_member(invite), calendar);
  EXPECT_FALSE(Handshake(*late, *bob).succeeded());
}

TEST_F(CredentialsTest, ARevokedInviteTakesAllItsMembersWithIt) {
  const auto dave = make_credentials(make_member(make_invite(root, "other")), calendar);
  ASSERT_TRUE(root.revoke_invite(invite_id, kCreated));
  ASSERT_TRUE(dave->adopt_settings(root.signed_settings()));
  EXPECT_FALSE(dave->welcome(alice->self()));
  EXPECT_TRUE(dave->welcome(dave->self()));
  EXPECT_FALSE(Handshake(*alice, *dave).succeeded());
}

TEST_F(CredentialsTest, AHundredDaysLaterTheMembersOfANinetyDayInviteStillMeet) {
  calendar.today = kCreated + days(100);
  EXPECT_TRUE(Handshake(*alice, *bob).succeeded());
  const auto restarted =
      make_credentials(Membership::parse(alice_files.to_text()).value(), calendar);
  EXPECT_TRUE(Handshake(*restarted, *bob).succeeded());
  EXPECT_FALSE(join(invite, calendar.today, kBuilt));
  EXPECT_TRUE(join(make_invite(root, "new"), calendar.today, kBuilt));
}

TEST_F(CredentialsTest, AClockOffByADayDoesNotMatter) {
  for (const WallTime pool_made : {kCreated - days(1), kCreated, kCreated + days(1)})
    for (const WallTime joined : {kCreated - days(1), kCreated + days(1)}) {
      PoolRoot pool = make_pool("lab", pool_made);
      const Invite fresh = make_invite(pool);
      Calendar slow, fast;
      slow.today = kCreated - days(1);
      fast.today = kCreated + days(1);
      const auto one = make_credentials(make_member(fresh, joined), slow);
      const auto two = make_credentials(make_member(fresh, joined), fast);
      EXPECT_TRUE(Handshake(*one, *two).succeeded());
      EXPECT_TRUE(Handshake(*two, *one).succeeded());
    }
}

TEST_F(CredentialsTest, AVerifiedChainIsRememberedOnlyUntilItExpires) {
  const OwnedCertificate issuer = parse_certificate(invite.invite_certificate());
  const WallTime expiry = kCreated + days(10);
  const Bytes chain = pack_chain({make_end_certificate({issuer.get(), invite.key()},
                                                       PrivateKey::generate().public_key(), expiry),
                                  invite.invite_certificate()});
  EXPECT_TRUE(alice->verify_chain(chain));
  calendar.today = expiry - std::chrono::seconds(1);
  EXPECT_TRUE(alice->verify_chain(chain));
  calendar.today = expiry;
  EXPECT_EQ(alice->verify_chain(chain).error().code, ErrorCode::kExpired);
}

TEST_F(CredentialsTest, MoreChainsThanAreRememberedAreStillVerified) {
  const OwnedCertificate issuer = parse_certificate(invite.invite_certificate());
  for (std::size_t i = 0; i < TlsCredentials::kVerifiedChainsMax + 50; ++i) {
    const PrivateKey key = PrivateKey::generate();
    const Bytes chain =
        pack_chain({make_end_certificate({issuer.get(), invite.key()}, key.public_key()),
                    invite.invite_certificate()});
    ASSERT_EQ(alice->verify_chain(chain)->address, address_of_public_key(key.public_key()));
  }
}

}  // namespace
}  // namespace wow
