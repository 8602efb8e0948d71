#include "tools/sim/nat_model.h"

#include <gtest/gtest.h>

namespace wow {
namespace {

Endpoint at(std::string_view text) { return *Endpoint::parse(text); }
constexpr TimePoint kNow{Duration(1h)};
const Endpoint kInside = *Endpoint::parse("10.1.0.2:4433");
const IpAddress kOutside = *IpAddress::parse("203.0.113.1");

NatModel nat(NatScope mapping, NatScope filtering) {
  NatRules rules;
  rules.mapping = mapping;
  rules.filtering = filtering;
  return NatModel(kOutside, rules, 1);
}

// RFC 4787, 4.1: which of two remotes share an outside port with the first.
TEST(NatModel, MappingScopes) {
  const Endpoint first = at("198.51.100.1:1"), port = at("198.51.100.1:2"),
                 host = at("198.51.100.2:1");
  const struct {
    NatScope scope;
    bool shared_by_port, shared_by_host;
  } cases[] = {{NatScope::kEndpointIndependent, true, true},
               {NatScope::kAddressDependent, true, false},
               {NatScope::kAddressPortDependent, false, false}};
  for (const auto& c : cases) {
    NatModel n = nat(c.scope, NatScope::kEndpointIndependent);
    const Endpoint outside = n.outgoing(kInside, first, kNow);
    EXPECT_EQ(outside, (Endpoint{kOutside, 4433}));
    EXPECT_EQ(n.outgoing(kInside, port, kNow) == outside, c.shared_by_port);
    EXPECT_EQ(n.outgoing(kInside, host, kNow) == outside, c.shared_by_host);
  }
}

// RFC 4787, 5: who may answer.
TEST(NatModel, FilteringScopes) {
  const Endpoint asked = at("198.51.100.1:1"), port = at("198.51.100.1:2"),
                 host = at("198.51.100.2:1");
  const struct {
    NatScope scope;
    bool other_port, other_host;
  } cases[] = {{NatScope::kEndpointIndependent, true, true},
               {NatScope::kAddressDependent, true, false},
               {NatScope::kAddressPortDependent, false, false}};
  for (const auto& c : cases) {
    NatModel n = nat(NatScope::kEndpointIndependent, c.scope);
    const Endpoint outside = n.outgoing(kInside, asked, kNow);
    EXPECT_EQ(n.incoming(asked, outside, kNow), kInside);
    EXPECT_EQ(n.incoming(port, outside, kNow).has_value(), c.other_port);
    EXPECT_EQ(n.incoming(host, outside, kNow).has_value(), c.other_host);
  }
}

TEST(NatModel, MappingsEndWhenNothingGoesOut) {
  NatModel n = nat(NatScope::kEndpointIndependent, NatScope::kAddressPortDependent);
  const Endpoint peer = at("198.51.100.1:1"), other = at("198.51.100.2:1");
  const Endpoint outside = n.outgoing(kInside, peer, kNow);
  n.outgoing(kInside, other, kNow + 100s);  // keeps the port, not the permission for `peer`
  EXPECT_TRUE(n.incoming(peer, outside, kNow + 120s));
  EXPECT_FALSE(n.incoming(peer, outside, kNow + 121s));
  EXPECT_TRUE(n.incoming(other, outside, kNow + 121s));
  n.forget();
  EXPECT_FALSE(n.incoming(other, outside, kNow + 121s));
}

TEST(NatModel, TwoHostsNeverShareAnOutsideEndpoint) {
  NatModel n = nat(NatScope::kEndpointIndependent, NatScope::kAddressPortDependent);
  const Endpoint peer = at("198.51.100.1:1");
  EXPECT_EQ(n.outgoing(kInside, peer, kNow).port, 4433);
  const Endpoint second = n.outgoing(at("10.1.0.3:4433"), peer, kNow);
  EXPECT_NE(second.port, 4433);
  EXPECT_EQ(n.incoming(peer, second, kNow), at("10.1.0.3:4433"));
}

}  // namespace
}  // namespace wow
