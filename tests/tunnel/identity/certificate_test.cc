#include "tunnel/identity/certificate.h"

#include "tests/tunnel/identity/pool_world.h"

namespace wow {
namespace {

struct CertificateTest : testing::Test {
  PoolRoot root = make_pool();
  Invite invite = make_invite(root);
  OwnedCertificate root_certificate = parse_certificate(root.certificate());
  OwnedCertificate invite_certificate = parse_certificate(invite.invite_certificate());
  PrivateKey key = PrivateKey::generate();
  Bytes end = make_end_certificate({invite_certificate.get(), invite.key()}, key.public_key());

  Result<VerifiedChain> verify(const std::vector<Bytes>& chain, WallTime when = kCreated) {
    return verify_chain(pack_chain(chain), root_certificate.get(), when);
  }
};

TEST_F(CertificateTest, AChainProvesTheAddressOfItsKey) {
  const auto verified = verify({end, invite.invite_certificate()});
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_EQ(verified->public_key, key.public_key());
  EXPECT_EQ(verified->identity.address, address_of_public_key(key.public_key()));
  EXPECT_EQ(verified->valid_until, kNoExpiry);
}

TEST_F(CertificateTest, TheAddressIsTheHashOfTheSubjectPublicKeyInfo) {
  const OwnedCertificate certificate = parse_certificate(end);
  std::uint8_t* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate.get()), &der);
  const Bytes hash = sha256({der, static_cast<std::size_t>(size)});
  OPENSSL_free(der);
  EXPECT_EQ(address_of_public_key(key.public_key()), Address::from_bytes(hash));
}

TEST_F(CertificateTest, AnEndCertificateMustNotSignAnother) {
  const PrivateKey victim = PrivateKey::generate();
  const OwnedCertificate end_certificate = parse_certificate(end);
  const Bytes forged = make_end_certificate({end_certificate.get(), key}, victim.public_key());
  EXPECT_FALSE(verify({forged, end}));
  EXPECT_FALSE(verify({forged, end, invite.invite_certificate()}));
  EXPECT_FALSE(verify({forged, invite.invite_certificate()}));
}

TEST_F(CertificateTest, AnInviteMustNotMakeAnotherInvite) {
  pb::Rights more = invite.rights();
  more.set_bridge(true);
  const PrivateKey second_key = PrivateKey::generate();
  const Bytes second = make_invite_certificate({invite_certificate.get(), invite.key()},
                                               second_key.public_key(), more);
  const OwnedCertificate second_certificate = parse_certificate(second);
  const Bytes below =
      make_end_certificate({second_certificate.get(), second_key}, key.public_key());
  EXPECT_FALSE(verify({below, second}));
  EXPECT_FALSE(verify({below, second, invite.invite_certificate()}));
  EXPECT_FALSE(
      verify_invite_certificate(second_certificate.get(), root_certificate.get(), kCreated));
  EXPECT_FALSE(verify({second, invite.invite_certificate()})) << "a CA in the place of a node";
}

TEST_F(CertificateTest, OnlyEndAndInviteMakeAChain) {
  EXPECT_FALSE(verify({}));
  EXPECT_FALSE(verify({end}));
  EXPECT_FALSE(verify({invite.invite_certificate(), end}));
  EXPECT_FALSE(verify({invite.invite_certificate(), invite.invite_certificate()}));
  EXPECT_FALSE(verify({invite.invite_certificate(), root.certificate()}));
  EXPECT_FALSE(verify({end, invite.invite_certificate(), root.certificate()}));
  EXPECT_FALSE(verify({end, make_invite(root, "other").invite_certificate()}));
}

TEST_F(CertificateTest, EveryBitOfAChainCounts) {
  const Bytes good = pack_chain({end, invite.invite_certificate()});
  for (std::size_t at = 0; at < good.size(); ++at) {
    Bytes bad = good;
    bad[at] ^= 1;
    EXPECT_FALSE(verify_chain(bad, root_certificate.get(), kCreated)) << "byte " << at;
    EXPECT_FALSE(verify_chain(ByteView(good).first(at), root_certificate.get(), kCreated));
  }
}

TEST_F(CertificateTest, RightsComeFromTheInviteAndNotFromTheEndCertificate) {
  // The rights extension, with more in it, in an end certificate: it has no say there.
  pb::Rights greedy = invite.rights();
  greedy.set_bridge(true);
  greedy.add_routes("10.0.0.0/8");
  const OwnedCertificate donor = parse_certificate(
      make_invite_certificate({root_certificate.get(), root.key()}, key.public_key(), greedy));
  OwnedCertificate claims = parse_certificate(end);
  const int at = X509_get_ext_count(donor.get()) - 1;
  ASSERT_EQ(X509_add_ext(claims.get(), X509_get_ext(donor.get(), at), -1), 1);
  ASSERT_GT(X509_sign(claims.get(), invite.key().handle(), nullptr), 0);
  ASSERT_TRUE(rights_of(claims.get())->bridge());

  const auto verified = verify({der_of(claims.get()), invite.invite_certificate()});
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_FALSE(verified->identity.may_bridge);
  EXPECT_TRUE(verified->identity.routes.empty());
}

TEST_F(CertificateTest, AnInviteGrantsGroupsRoutesAndBridging) {
  const Invite grants = Invite::create(root, {.label = "site",
                                              .groups = {"storage", "login"},
                                              .bridge = true,
                                              .routes = {"10.9.0.0/16"},
                                              .join_by = std::nullopt,
                                              .bootstraps = {}})
                            .value();
  const OwnedCertificate ca = parse_certificate(grants.invite_certificate());
  const auto verified = verify({make_end_certificate({ca.get(), grants.key()}, key.public_key()),
                                grants.invite_certificate()});
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_TRUE(verified->identity.may_bridge);
  EXPECT_EQ(verified->identity.groups, (std::vector<std::string>{"storage", "login"}));
  ASSERT_EQ(verified->identity.routes.size(), 1u);
  EXPECT_EQ(verified->identity.routes[0].text(), "10.9.0.0/16");
}

TEST_F(CertificateTest, AnExpiredCertificateIsRefused) {
  const WallTime expiry = kCreated + std::chrono::days(10);
  const Bytes short_lived =
      make_end_certificate({invite_certificate.get(), invite.key()}, key.public_key(), expiry);
  const std::vector<Bytes> chain{short_lived, invite.invite_certificate()};
  const auto in_time = verify(chain, expiry - std::chrono::seconds(1));
  ASSERT_TRUE(in_time) << in_time.error().message;
  EXPECT_EQ(in_time->valid_until, expiry);
  const auto late = verify(chain, expiry);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::kExpired);
}

TEST_F(CertificateTest, ValidityBeginsTwoDaysBeforeThePoolWasMade) {
  const std::vector<Bytes> chain{end, invite.invite_certificate()};
  EXPECT_TRUE(verify(chain, kCreated - kBackdated));
  EXPECT_FALSE(verify(chain, kCreated - kBackdated - std::chrono::seconds(1)));
}

TEST_F(CertificateTest, OtherKeysThanEd25519AreRefused) {
  OwnedKey elliptic(EVP_EC_gen("P-256"));
  OwnedCertificate changed = parse_certificate(end);
  ASSERT_EQ(X509_set_pubkey(changed.get(), elliptic.get()), 1);
  ASSERT_GT(X509_sign(changed.get(), invite.key().handle(), nullptr), 0);
  EXPECT_FALSE(verify({der_of(changed.get()), invite.invite_certificate()}));
}

}  // namespace
}  // namespace wow
