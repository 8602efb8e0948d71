#include "tunnel/identity/pool.h"

#include "tests/tunnel/identity/pool_world.h"

namespace wow {
namespace {

TEST(PoolTest, TheRootFileGivesThePoolBack) {
  PoolRoot root = make_pool();
  const Invite invite = make_invite(root, "cluster");
  const auto parsed = PoolRoot::parse(root.to_text());
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->certificate(), root.certificate());
  EXPECT_EQ(parsed->signed_settings(), root.signed_settings());
  EXPECT_EQ(to_bytes(parsed->pool_key()), to_bytes(root.pool_key()));
  EXPECT_EQ(parsed->key().public_key(), root.key().public_key());
  ASSERT_EQ(parsed->issued().size(), 1u);
  EXPECT_EQ(parsed->issued()[0].label(), "cluster");
  EXPECT_EQ(parsed->issued()[0].invite_id(), invite.rights().invite_id());
}

TEST(PoolTest, ADamagedRootFileIsRefusedWithASentence) {
  const std::string text{std::string_view(make_pool().to_text())};
  const std::string other{std::string_view(make_pool().to_text())};
  EXPECT_FALSE(PoolRoot::parse(""));
  EXPECT_FALSE(PoolRoot::parse(text.substr(0, text.size() / 2)));
  // The key of one pool before the certificate of another.
  const std::size_t cut = text.find("-----BEGIN CERTIFICATE"), at = other.find("-----BEGIN CERT");
  const auto mixed = PoolRoot::parse(text.substr(0, cut) + other.substr(at));
  ASSERT_FALSE(mixed);
  EXPECT_NE(mixed.error().message.find("does not belong to its key"), std::string::npos);
}

TEST(PoolTest, WrongOptionsAreRefusedByName) {
  const auto error = [](PoolOptions options) {
    const auto made = PoolRoot::create(options, kCreated);
    return made ? "" : made.error().message;
  };
  EXPECT_EQ(error({.name = std::string(63, 'a'), .subnet = "10.0.0.0/8"}), "");
  EXPECT_NE(error({.name = std::string(64, 'a'), .subnet = "10.0.0.0/8"}).find("name"),
            std::string::npos);
  EXPECT_NE(error({.name = "Lab", .subnet = "10.0.0.0/8"}).find("name"), std::string::npos);
  for (const char* subnet : {"", "10.0.0.1/8", "10.0.0.0/7", "10.0.0.0/31", "fd00::/64", "ten"})
    EXPECT_NE(error({.name = "lab", .subnet = subnet}).find("subnet"), std::string::npos) << subnet;
  EXPECT_NE(error({.name = "lab", .subnet = "10.0.0.0/8", .mtu = 575}).find("575"),
            std::string::npos);
  EXPECT_NE(error({.name = "lab", .subnet = "10.0.0.0/8", .mtu = 65522}).find("MTU"),
            std::string::npos);
}

TEST(PoolTest, EveryChangeIsSignedUnderTheNextNumber) {
  PoolRoot root = make_pool();
  const Address node = address_of_public_key(PrivateKey::generate().public_key());
  EXPECT_EQ(root.settings().number(), 1u);
  ASSERT_TRUE(root.set_mtu(9000, kCreated + std::chrono::hours(1)));
  ASSERT_TRUE(root.set_founder(node, kCreated));
  pb::Reservation reservation;
  reservation.set_name("head");
  reservation.set_ip("10.128.0.1");
  reservation.set_node(to_string(node.bytes()));
  ASSERT_TRUE(root.set_reservations({reservation}, kCreated));

  const auto settings = verify_settings(root.signed_settings(), root.key().public_key());
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_EQ(settings->number(), 4u);
  EXPECT_EQ(settings->mtu(), 9000u);
  EXPECT_EQ(settings->founder(), to_string(node.bytes()));
  EXPECT_EQ(settings->reservations(0).ip(), "10.128.0.1");
  EXPECT_EQ(WallTime(std::chrono::seconds(settings->signed_at())), kCreated + std::chrono::hours(1))
      << "the signer's clock went back, the settings did not";
}

TEST(PoolTest, AWrongChangeChangesNothing) {
  PoolRoot root = make_pool();
  const Bytes before = root.signed_settings();
  EXPECT_FALSE(root.set_mtu(1, kCreated));
  EXPECT_FALSE(root.revoke_invite(view_of("short"), kCreated));
  pb::Reservation outside;
  outside.set_ip("192.0.2.1");
  outside.set_node(std::string(20, 'x'));
  EXPECT_FALSE(root.set_reservations({outside}, kCreated));
  EXPECT_EQ(
      root.set_reservations(std::vector<pb::Reservation>(5000, outside), kCreated).error().code,
      ErrorCode::kExhausted);
  EXPECT_EQ(root.signed_settings(), before);
  EXPECT_EQ(root.settings().number(), 1u);
}

TEST(PoolTest, ClosingAgainReplacesTheListOfThoseWhoStay) {
  PoolRoot root = make_pool();
  const Bytes id(16, 7);
  const Address one = Address::power_of_two(1), two = Address::power_of_two(2);
  ASSERT_TRUE(root.close_invite(id, {one}, kCreated));
  ASSERT_TRUE(root.close_invite(id, {two}, kCreated));
  EXPECT_FALSE(check_welcome(root.settings(), one, id));
  EXPECT_TRUE(check_welcome(root.settings(), two, id));
  EXPECT_TRUE(check_welcome(root.settings(), one, Bytes(16, 8)));
}

TEST(SettingsTest, OnlyTheRootSigns) {
  const PoolRoot root = make_pool();
  pb::Settings settings = root.settings();
  EXPECT_FALSE(
      verify_settings(sign_settings(settings, PrivateKey::generate()), root.key().public_key()));
  const Bytes good = root.signed_settings();
  ASSERT_TRUE(verify_settings(good, root.key().public_key()));
  for (std::size_t at = 0; at < good.size(); ++at) {
    Bytes bad = good;
    bad[at] ^= 0x01;
    EXPECT_FALSE(verify_settings(bad, root.key().public_key())) << "byte " << at;
  }
}

TEST(SettingsTest, EvenTheRootsSettingsMustBeWithinBounds) {
  const PoolRoot root = make_pool();
  pb::Settings settings = root.settings();
  settings.set_subnet("0.0.0.0/0");
  const auto verified =
      verify_settings(sign_settings(settings, root.key()), root.key().public_key());
  ASSERT_FALSE(verified);
  EXPECT_EQ(verified.error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace wow
