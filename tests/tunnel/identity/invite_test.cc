#include "tunnel/identity/invite.h"

#include "tests/tunnel/identity/pool_world.h"
#include "tunnel/identity/armor.h"

namespace wow {
namespace {

bool equal(const Invite& a, const Invite& b) {
  return a.root_certificate() == b.root_certificate() &&
         a.invite_certificate() == b.invite_certificate() && a.key().pkcs8() == b.key().pkcs8() &&
         a.signed_settings() == b.signed_settings() && a.bootstraps() == b.bootstraps() &&
         to_bytes(a.pool_key()) == to_bytes(b.pool_key());
}

std::string why(std::string_view text) {
  const auto parsed = Invite::parse(text);
  return parsed ? "" : parsed.error().message;
}

struct InviteTest : testing::Test {
  PoolRoot root = make_pool();
  Invite invite = make_invite(root, "cluster", kCreated + std::chrono::days(90));
  std::string text{std::string_view(invite.to_text())};
};

TEST_F(InviteTest, TheFileGivesTheInviteBack) {
  const auto parsed = Invite::parse(text);
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_TRUE(equal(*parsed, invite));
  EXPECT_TRUE(Invite::parse("Dear colleague,\r\n\r\n" + text + "\nRegards")) << "pasted in a mail";
}

TEST_F(InviteTest, ItIsExplainedWithoutItsKeys) {
  const InviteFacts facts = Invite::parse(text)->explain();
  EXPECT_EQ(facts.pool, "lab");
  EXPECT_EQ(facts.subnet, "10.128.0.0/16");
  EXPECT_EQ(facts.label, "cluster");
  EXPECT_EQ(facts.id, to_hex(view_of(invite.rights().invite_id())));
  EXPECT_EQ(facts.join_by, kCreated + std::chrono::days(90));
  EXPECT_EQ(facts.bootstraps, std::vector<std::string>{"198.51.100.7:4433"});
  EXPECT_EQ(facts.root_fingerprint, root.root_fingerprint());
  EXPECT_EQ(facts.root_fingerprint.size(), 32u * 3 - 1);
  EXPECT_FALSE(facts.closed);
  EXPECT_NE(text.find("Join before 2026-05-30 00:00 UTC"), std::string::npos);
}

TEST_F(InviteTest, CutAnywhereItIsRefusedOrWhole) {
  for (std::size_t length = 0; length < text.size(); ++length) {
    const auto parsed = Invite::parse(text.substr(0, length));
    if (parsed) {
      EXPECT_TRUE(equal(*parsed, invite)) << length;
    }
    // Only the line's end may be missing.
    EXPECT_EQ(bool(parsed), length + 1 == text.size()) << length;
  }
}

TEST_F(InviteTest, ChangedAnywhereItIsRefusedOrWhole) {
  int refused = 0;
  for (std::size_t at = 0; at < text.size(); ++at)
    for (const char flip : {0x01, 0x10, 0x7f}) {
      std::string changed = text;
      changed[at] = static_cast<char>(changed[at] ^ flip);
      const auto parsed = Invite::parse(changed);
      if (parsed) {
        EXPECT_TRUE(equal(*parsed, invite)) << "byte " << at;
      }
      refused += !parsed;
    }
  EXPECT_GT(refused, 3000) << "the comment is free, the block is not";
}

TEST_F(InviteTest, EachRefusalSaysWhatToDo) {
  EXPECT_NE(why("#!/bin/sh\n").find("not an invite"), std::string::npos);
  EXPECT_NE(why(root.to_text()).find("not an invite"), std::string::npos);
  EXPECT_NE(why(text.substr(0, text.size() - 40)).find("cut short"), std::string::npos);
  std::string damaged = text;
  damaged[text.find("BEGIN WOW INVITE") + 200] ^= 1;
  EXPECT_NE(why(damaged).find("damaged"), std::string::npos);
  std::string middle_gone = text;
  middle_gone.erase(text.size() / 2, 65);
  EXPECT_NE(why(middle_gone).find("damaged"), std::string::npos);
}

TEST_F(InviteTest, AnotherVersionIsNamed) {
  Bytes body{2};
  body.resize(40);
  const Bytes sum = sha256(body);
  SecretText other;
  append_block(other, "WOW INVITE", concat({body, ByteView(sum).first(8)}));
  EXPECT_NE(why(other).find("format version 2"), std::string::npos) << why(other);
}

// An invite whose parts are each well-formed but not of one pool, with a right checksum.
TEST_F(InviteTest, PartsOfTwoPoolsDoNotMix) {
  PoolRoot other_root = make_pool("other");
  const Invite other = make_invite(other_root);
  const auto mixed = [&](auto change) {
    pb::Invite message;
    message.set_root_certificate(to_string(invite.root_certificate()));
    message.set_invite_certificate(to_string(invite.invite_certificate()));
    message.set_invite_key(std::string(text_of(invite.key().pkcs8())));
    message.set_signed_settings(to_string(invite.signed_settings()));
    message.set_pool_key(to_string(invite.pool_key()));
    change(message);
    const Bytes body = concat({Bytes{1}, view_of(message.SerializeAsString())});
    const Bytes sum = sha256(body);
    SecretText made;
    append_block(made, "WOW INVITE", concat({body, ByteView(sum).first(8)}));
    return why(made);
  };
  EXPECT_EQ(mixed([](pb::Invite&) {}), "");
  EXPECT_NE(mixed([&](auto& m) { m.set_root_certificate(to_string(other.root_certificate())); }),
            "");
  EXPECT_NE(
      mixed([&](auto& m) { m.set_invite_certificate(to_string(other.invite_certificate())); }), "");
  EXPECT_NE(mixed([&](auto& m) { m.set_invite_key(std::string(text_of(other.key().pkcs8()))); }),
            "");
  EXPECT_NE(mixed([&](auto& m) { m.set_signed_settings(to_string(other.signed_settings())); }), "");
  EXPECT_NE(mixed([](auto& m) { m.set_pool_key("short"); }), "");
  EXPECT_NE(mixed([](auto& m) { m.add_bootstraps("\x1b[2J:1"); }), "");
}

TEST_F(InviteTest, WrongOptionsAreRefusedByName) {
  const auto error = [&](InviteOptions options) {
    const auto made = Invite::create(root, options);
    return made ? "" : made.error().message;
  };
  const auto options = [] {
    InviteOptions out;
    out.label = "x";
    return out;
  };
  EXPECT_EQ(error(options()), "");
  auto label = options(), route = options(), bootstrap = options(), groups = options();
  label.label = "two words";
  route.routes = {"10.9.0.1/16"};
  bootstrap.bootstraps = {"198.51.100.7"};
  groups.groups.assign(17, "g");
  EXPECT_NE(error(label).find("label"), std::string::npos);
  EXPECT_NE(error(route).find("route"), std::string::npos);
  EXPECT_NE(error(bootstrap).find("bootstrap"), std::string::npos);
  EXPECT_NE(error(groups).find("groups"), std::string::npos);
}

TEST(BootstrapTest, IsAnEndpointOrAHostWithAPort) {
  for (const char* good : {"198.51.100.7:4433", "[2001:db8::7]:4433", "router.example.org:1"})
    EXPECT_TRUE(is_bootstrap(good)) << good;
  for (const char* bad : {"", ":1", "host", "host:", "host:0", "host:65536", "host:1x", "a b:1"})
    EXPECT_FALSE(is_bootstrap(bad)) << bad;
}

}  // namespace
}  // namespace wow
