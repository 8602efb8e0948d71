// Topology files: what they may say, what is chosen for them, and how mistakes are answered.
#include "tools/lab/topology.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <filesystem>

#include "base/asio/files.h"

namespace wow::lab {
namespace {

Topology parsed(const std::string& text) {
  auto topology = Topology::parse(text);
  EXPECT_TRUE(topology) << topology.error().message;
  return topology ? *topology : Topology();
}

Topology whole(const std::string& text) {
  auto topology = Topology().with(parsed(text));
  EXPECT_TRUE(topology) << topology.error().message;
  return topology ? *topology : Topology();
}

// The sentence for a file that is wrong, by itself or as a whole.
std::string refused(const std::string& text) {
  auto topology = Topology::parse(text);
  if (!topology) return topology.error().message;
  const auto all = Topology().with(*topology);
  EXPECT_FALSE(all) << "was not refused";
  return all ? "" : all.error().message;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Topology, ReadsAllThatAFileCanSay) {
  const Topology t = parsed(R"({
    // a comment
    "sites": {
      "cgn": {"nat": "adm-adf", "wan": "198.51.100.20"},
      "home": {"uplink": "cgn", "nat": {"kind": "eim:random-eif", "hairpin": true, "timeout_s": 20},
               "lan": "192.168.7.0/24", "delay_ms": 12.5, "jitter_ms": 1, "loss_percent": 2,
               "rate_mbit": 50, "mtu": 1280, "reorder": true},
      "campus": {"firewall": true, "allow_in": ["udp 4433"], "allow_out": ["tcp 443", "icmp"],
                 "ipv6": "2001:db8:5::/64"},
    },
    "hosts": {"r1": {"ip": "198.51.100.7", "ipv6": true}, "h": {"site": "home", "count": 2}},
  })");
  const Site& home = t.sites.at("home");
  EXPECT_EQ(home.uplink, "cgn");
  EXPECT_EQ(home.nat->name(), "eim:random-eif");
  EXPECT_TRUE(home.nat->hairpin);
  EXPECT_EQ(home.nat->timeout, 20s);
  EXPECT_EQ(home.line->delay, 12'500us);
  EXPECT_EQ(home.line->jitter, 1ms);
  EXPECT_DOUBLE_EQ(home.line->loss, 0.02);
  EXPECT_EQ(home.line->bits_per_second, 50'000'000u);
  EXPECT_EQ(home.line->mtu, 1280u);
  EXPECT_TRUE(home.line->reorder);
  EXPECT_FALSE(t.sites.at("cgn").line);
  EXPECT_EQ(t.sites.at("campus").allow_in.at(0).text(), "udp 4433");
  EXPECT_EQ(t.sites.at("campus").allow_out->size(), 2u);
  EXPECT_TRUE(t.hosts.at("r1").ipv6);
  EXPECT_EQ(t.hosts.at("h2").site, "home");
}

TEST(Topology, ChoosesAddressesThatAreFree) {
  const Topology t = whole(R"({
    "sites": {"cgn": {"nat": "adm-adf"}, "flat": {"nat": "eim-apdf", "uplink": "cgn"},
              "home": {"nat": "eim-apdf"}, "campus": {}},
    "hosts": {"r1": {"ip": "198.51.100.10"}, "r2": {}, "f": {"site": "flat", "count": 2}}})");
  EXPECT_EQ(t.sites.at("cgn").lan.text(), "100.64.1.0/24");
  EXPECT_EQ(t.sites.at("flat").wan.text(), "100.64.1.10");
  EXPECT_EQ(t.hosts.at("f1").ip, t.sites.at("flat").lan.at(10));
  EXPECT_EQ(t.hosts.at("f2").ip, t.sites.at("flat").lan.at(11));
  EXPECT_NE(t.hosts.at("r2").ip, t.hosts.at("r1").ip);
  EXPECT_FALSE(t.sites.at("flat").lan.overlaps(t.sites.at("home").lan));
  const auto order = t.sites_downwards();
  EXPECT_EQ(order.size(), 4u);
  EXPECT_LT(std::find(order.begin(), order.end(), "cgn"),
            std::find(order.begin(), order.end(), "flat"));
}

TEST(Topology, IsReadBackFromItsOwnJson) {
  const Topology t = whole(R"({
    "sites": {"home": {"nat": {"kind": "apdm:sequential-apdf", "timeout_s": 5}, "delay_ms": 3},
              "six": {"ipv4": false, "ipv6": "2001:db8:9::/64", "allow_in": ["udp 1"]}},
    "hosts": {"a": {"site": "home", "loss_percent": 1}, "b": {"ipv6": true, "ipv4": false}}})");
  EXPECT_EQ(parsed(boost::json::serialize(t.to_json())), t);
}

TEST(Topology, SitesAndHostsAreAddedToWhatIsThere) {
  const Topology first = whole(R"({"sites": {"home": {"nat": "eim-apdf"}}})");
  const auto second = first.with(parsed(R"({"hosts": {"h": {"site": "home"}}})"));
  ASSERT_TRUE(second);
  EXPECT_EQ(second->hosts.at("h").ip, first.sites.at("home").lan.at(10));
  const auto again = second->with(parsed(R"({"hosts": {"h": {}}})"));
  ASSERT_FALSE(again);
  EXPECT_TRUE(contains(again.error().message, "host h already"));
}

TEST(Topology, NamesTheLineOfAMistake) {
  EXPECT_TRUE(contains(refused("{\n \"sites\": {\n  \"home\": {\"nat\": \"cone\"}\n }\n}"),
                       "line 3: sites.home.nat must be MAPPING"));
  EXPECT_TRUE(contains(refused("{\n \"hosts\": {\n  \"a\": {}\n  \"b\": {}}}"), "line 4: "));
  EXPECT_TRUE(
      contains(refused("{\n\"sites\": {\"home\":\n{\"dealy_ms\": 3}}}"),
               "line 3: sites.home.dealy_ms is not known here; did you mean \"delay_ms\"?"));
}

TEST(Topology, RefusesWhatCannotBe) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {R"([])", "object in braces"},
      {R"({} x)", "not JSON"},
      {"  // only a comment", "not JSON"},
      {"{\n /* no end", "line 2: this comment has no end"},
      {"{} /", "not JSON"},
      {"", "not JSON"},
      {R"({"site": {}})", "did you mean \"sites\""},
      {R"({"sites": {"lan": {}}})", "cannot be a name"},
      {R"({"hosts": {"A": {}}})", "cannot be a name"},
      {R"({"hosts": {"a": {"count": 3, "ip": "198.51.100.7"}}})", "several hosts"},
      {R"({"hosts": {"a1": {}, "a": {"count": 2}}})", "second host a1"},
      {R"({"hosts": {"a": {"site": "home"}}})", "there is no site \"home\""},
      {R"({"hosts": {"a": {"ip": "192.0.2.1"}}})", "must be an address in 198.51.100.0/24"},
      {R"({"hosts": {"a": {"ip": "198.51.100.1"}}})", "other than 198.51.100.1"},
      {R"({"hosts": {"a": {"ip": "198.51.100.7"}, "b": {"ip": "198.51.100.7"}}})", "is taken"},
      {R"({"sites": {"x": {}}, "hosts": {"x": {}}})", "both called x"},
      {R"({"sites": {"a": {"uplink": "b", "nat": "eim-eif"}}})", "there is no site \"b\""},
      {R"({"sites": {"a": {"uplink": "b", "nat": "eim-eif"}, "b": {"uplink": "a", "nat": "eim-eif"}}})",
       "circle"},
      {R"({"sites": {"a": {}, "b": {"uplink": "a"}}})", "only a site with \"nat\""},
      {R"({"sites": {"a": {"lan": "198.18.0.0/16"}, "b": {"lan": "198.18.5.0/24"}}})", "overlaps"},
      {R"({"sites": {"a": {"lan": "198.51.100.0/24"}}})", "must not overlap the internet"},
      {R"({"sites": {"a": {"lan": "10.0.0.1/24"}}})", "network of 8 to 29 bits"},
      {R"({"sites": {"a": {"nat": "adm:keep-adf"}}})", "MAPPING[:PORTS]"},
      {R"({"sites": {"a": {"nat": {"kind": "eim-eif", "timeout_s": 0}}}})", "from 1 to 86400"},
      {R"({"sites": {"a": {"loss_percent": 101}}})", "from 0 to 100"},
      {R"({"sites": {"a": {"delay_ms": -1}}})", "from 0 to 10000"},
      {R"({"sites": {"a": {"delay_ms": "5"}}})", "must be a number"},
      {R"({"sites": {"a": {"mtu": 20}}})", "from 68 to 9000"},
      {R"({"sites": {"a": {"mtu": 9001}}})", "from 0 to 9000"},
      {R"({"sites": {"a": {"allow_out": ["sctp"]}}})", "may list"},
      {R"({"sites": {"a": {"allow_out": "udp"}}})", "list in brackets"},
      {R"({"sites": {"a": {"nat": "eim-eif", "allow_in": ["udp"]}}})", "without \"nat\""},
      {R"({"sites": {"a": {"ipv4": false}}})", "only with \"ipv6\""},
      {R"({"sites": {"a": {"ipv6": "2001:db8::/48"}}})", "network of 64 bits"},
      {R"({"hosts": {"a": {"ipv4": false}}})", "only if \"ipv6\""},
      {R"({"sites": {"a": 3}})", "object in braces"},
  };
  for (const auto& [text, expected] : cases)
    EXPECT_TRUE(contains(refused(text), expected)) << text << "\n" << refused(text);
}

TEST(Topology, MayEndInAComment) {
  EXPECT_EQ(parsed("{} // the end").hosts.size(), 0u);
  EXPECT_EQ(parsed("{}  \n/* the end */\n").hosts.size(), 0u);
}

TEST(Topology, HasBounds) {
  EXPECT_TRUE(contains(refused(R"({"hosts": {"a": {"count": 300}}})"), "no free address"));
  std::string sites;
  for (int i = 0; i < 129; ++i) sites += "\"s" + std::to_string(i) + "\": {\"nat\": \"eim-eif\"},";
  EXPECT_TRUE(contains(refused("{\"sites\": {" + sites + "}}"), "at most 128 sites"));
}

TEST(Topology, TheExamplesAreTopologies) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("tools/lab/examples")) {
    const auto text = read_file(entry.path());
    ASSERT_TRUE(text);
    whole(to_string(*text));
    ++count;
  }
  EXPECT_GE(count, 2);
}

TEST(NatKind, FifteenKindsAreReadBackFromTheirNames) {
  EXPECT_EQ(nat_kind_names().size(), 15u);
  for (const std::string& name : nat_kind_names()) {
    ASSERT_TRUE(NatKind::parse(name)) << name;
    EXPECT_EQ(NatKind::parse(name)->name(), name);
  }
  EXPECT_EQ(NatKind::parse("apdm:random-eif")->name(), "apdm-eif");
  for (const char* wrong : {"", "-", "eim", "eim-", "eim-full", "eim:-eif", "linux:random-eif",
                            "apdm:keep-eif", "eim-eif "})
    EXPECT_FALSE(NatKind::parse(wrong)) << wrong;
}

TEST(LineSettings, KeepWhatIsNotNamed) {
  LineQuality was;
  was.delay = 10ms;
  was.loss = 0.5;
  const auto now = parse_line({{"loss_percent", 1}}, was);
  ASSERT_TRUE(now);
  EXPECT_EQ(now->delay, 10ms);
  EXPECT_DOUBLE_EQ(now->loss, 0.01);
  EXPECT_TRUE(contains(parse_line({{"speed", 1}}, was).error().message, "speed is not known"));
}

// A LAN's router is one of its neighbours, and one of its uplink's.
TEST(Topology, CountsWhoMayKnowWhom) {
  const Topology t = whole(R"({
    "sites": {"home": {"nat": "eim-apdf"}},
    "hosts": {"r": {"count": 3}, "h": {"site": "home", "count": 2}},
  })");
  EXPECT_EQ(t.neighbours(), 4u * 3 + 3 * 2);
}

}  // namespace
}  // namespace wow::lab
