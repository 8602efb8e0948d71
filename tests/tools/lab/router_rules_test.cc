// Rules of routers as text. That the kernel does with them what they are for is seen in
// tests/lab/kinds_test.sh.
#include "tools/lab/router_rules.h"

#include <gtest/gtest.h>

namespace wow::lab {
namespace {

Site site(const std::string& fields) {
  const auto topology = Topology::parse("{\"sites\": {\"s\": " + fields + "}}");
  EXPECT_TRUE(topology) << topology.error().message;
  return Topology().with(*topology)->sites.at("s");
}

int count(const std::string& text, const std::string& part) {
  int n = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

TEST(RouterRules, AnOpenSiteHasNone) {
  EXPECT_EQ(nft_rules(site(R"({"firewall": false})")), "flush ruleset\n");
}

TEST(RouterRules, EveryRulesetReplacesTheLastAndIsBalanced) {
  for (const std::string& kind : nat_kind_names()) {
    const std::string rules = nft_rules(site("{\"nat\": \"" + kind + "\"}"));
    EXPECT_EQ(rules.rfind("flush ruleset\n", 0), 0u);
    EXPECT_EQ(count(rules, "{"), count(rules, "}")) << kind;
    // nft 1.0.6 wants a line's end behind each rule.
    EXPECT_EQ(count(rules, "masquerade }"), 0) << kind;
  }
}

TEST(RouterRules, WhatOneKindNeedsOthersDoNotHave) {
  const std::string symmetric = nft_rules(site(R"({"nat": "apdm-apdf"})"));
  EXPECT_EQ(count(symmetric, "port_of"), 0);
  EXPECT_EQ(count(symmetric, "dnat ip"), 0);
  EXPECT_EQ(count(symmetric, "fully-random"), 1);
  const std::string cone = nft_rules(site(R"({"nat": "eim-eif"})"));
  EXPECT_EQ(count(cone, "dnat ip"), 1);
  EXPECT_GT(count(cone, "port_of"), 0);
  EXPECT_EQ(count(nft_rules(site(R"({"nat": {"kind": "eim-eif", "hairpin": true}})")), "dnat ip"),
            2);
  EXPECT_GT(count(nft_rules(site(R"({"nat": "apdm:sequential-eif"})")), "numgen inc"), 0);
}

TEST(RouterRules, OnlyListedServicesGoOut) {
  const std::string rules = nft_rules(site(R"({"nat": "eim-eif", "allow_out": ["tcp 443"]})"));
  EXPECT_EQ(count(rules, "tcp dport 443 accept"), 1);
  EXPECT_EQ(count(rules, "iifname lan oifname wan ct direction original drop"), 1);
  EXPECT_EQ(count(rules, "iifname wan ct direction original drop"), 1);
}

}  // namespace
}  // namespace wow::lab
