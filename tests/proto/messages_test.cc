// Messages that are signed as bytes, or outlive the program that wrote them: their encoding may
// grow, never change.
#include <gtest/gtest.h>

#include "base/address.h"
#include "proto/dht.pb.h"
#include "proto/identity.pb.h"
#include "proto/overlay.pb.h"
#include "tests/proto/golden.h"

namespace wow {
namespace {

const std::string kAddress(Address::kBytes, '\x11');

// The golden bytes parse into a message that is written as the same bytes, and every field asked
// for is there.
template <typename Message>
Message from_golden(const std::string& name) {
  static const auto all = read_golden("tests/golden/messages.txt");
  Message message;
  EXPECT_TRUE(message.ParseFromString(to_string(all.at(name))));
  EXPECT_EQ(to_hex(view_of(message.SerializeAsString())), to_hex(all.at(name)));
  return message;
}

TEST(Golden, Ctm) {
  const auto ctm = from_golden<pb::Ctm>("ctm");
  EXPECT_EQ(ctm.id(), 7u);
  EXPECT_TRUE(ctm.reply());
  EXPECT_EQ(ctm.role(), pb::EDGE_ROLE_NEAR);
  EXPECT_EQ(ctm.source().address(), kAddress);
  EXPECT_EQ(to_hex(view_of(ctm.source().endpoints(0))), "c63364071151");
  EXPECT_EQ(ctm.target(), kAddress);
  EXPECT_EQ(ctm.sent_at(), 1000);
}

TEST(Golden, Value) {
  const auto value = from_golden<pb::Value>("value");
  EXPECT_EQ(value.key(), "ip/10.128.0.9");
  EXPECT_EQ(value.data(), "x");
  EXPECT_EQ(value.owner(), kAddress);
  EXPECT_EQ(value.version(), 3u);
  EXPECT_EQ(value.ttl_ms(), 1000u);
  EXPECT_TRUE(value.removed());
}

TEST(Golden, Settings) {
  const auto settings = from_golden<pb::Settings>("settings");
  EXPECT_EQ(settings.number(), 2u);
  EXPECT_EQ(settings.name(), "lab");
  EXPECT_EQ(settings.subnet(), "10.128.0.0/16");
  EXPECT_EQ(settings.mtu(), 1380u);
  EXPECT_EQ(settings.founder(), kAddress);
  EXPECT_EQ(settings.revoked_nodes(0), kAddress);
}

}  // namespace
}  // namespace wow
