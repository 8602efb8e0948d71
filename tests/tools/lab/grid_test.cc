// The grid on paper: its kinds and pairs, and how results are shown.
#include "tools/lab/grid.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace wow::lab {
namespace {

std::vector<GridKind> kinds(const std::string& names) {
  auto parsed = parse_grid_kinds(names);
  EXPECT_TRUE(parsed) << parsed.error().message;
  return parsed ? *parsed : std::vector<GridKind>();
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Grid, EveryPairIsATopology) {
  const auto pairs = grid_pairs(grid_kinds());
  const Topology routers = *Topology().with(grid_routers(12));
  for (const auto& [a, b] : pairs) {
    const auto whole = routers.with(grid_topology(a, b));
    ASSERT_TRUE(whole) << a.name << " " << b.name << ": " << whole.error().message;
    EXPECT_EQ(whole->hosts.at("a").site, "left");
    EXPECT_EQ(whole->hosts.at("b").site, a.shared ? "left" : "right");
    // 20 ms one way between any two, by the lines on the way.
    EXPECT_EQ(whole->hosts.at("r1").line->delay, 10ms);
  }
}

TEST(Grid, AllNatKindsAreTried) {
  for (const std::string& name : nat_kind_names()) EXPECT_EQ(kinds(name).size(), 1u) << name;
}

TEST(Grid, BothOrdersAreTried_AndSharedKindsWithThemselves) {
  EXPECT_EQ(grid_pairs(kinds("eim-eif,apdm-apdf,same-nat")).size(), 5u);
  EXPECT_EQ(grid_pairs(kinds("same-nat,same-hairpin")).size(), 2u);
  const auto few = grid_pairs(kinds("open,same-nat"), kinds("eim-apdf")[0]);
  ASSERT_EQ(few.size(), 2u);
  EXPECT_EQ(few[0].second.name, "eim-apdf");
  EXPECT_EQ(few[1].second.name, "same-nat");
}

TEST(Grid, RefusesKindsThatAreNone) {
  EXPECT_TRUE(contains(parse_grid_kinds("eim-apdf,apdm-apfd").error().message,
                       "there is no kind \"apdm-apfd\"; did you mean \"apdm-apdf\"?"));
  EXPECT_TRUE(contains(parse_grid_kinds("eim-apdf,").error().message, "there is no kind \"\""));
}

GridRow row(const std::string& from, const std::string& to, const std::string& path) {
  GridRow out;
  out.from = from;
  out.to = to;
  out.path = path;
  if (path == "unreachable") return out;
  out.first_ms = 123.4;
  if (path == "direct") out.direct_ms = 1500;
  if (path == "relayed") out.relayed_ms = 300;
  out.sent = 50;
  return out;
}

TEST(Grid, RowsAreReadBackFromJson) {
  GridRow one = row("a", "b", "direct");
  one.lost = 3;
  one.ring_ms = 82.5;
  one.relayed_ms = 170.5;
  one.checks = 17;
  one.note = "x";
  const auto again = GridRow::from_json(one.to_json());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->to_json(), one.to_json());
  const auto silent = GridRow::from_json(row("a", "b", "unreachable").to_json());
  EXPECT_FALSE(silent->first_ms);
  EXPECT_FALSE(GridRow::from_json({{"from", "a"}}));
}

TEST(Grid, IsSummedUpAndDrawn) {
  std::vector<GridRow> rows = {row("a", "a", "direct"), row("a", "b", "routed"),
                               row("b", "a", "relayed"), row("b", "b", "unreachable")};
  rows[1].lost = 2;
  EXPECT_EQ(grid_summary(rows),
            "4 pairs: 1 direct, 0 stream, 1 relayed, 1 routed, 1 unreachable; 2 lost nothing; the "
            "slowest "
            "first packet took 123 ms, the slowest relayed path 300 ms, the slowest direct path "
            "1500 ms");
  rows[0].ring_ms = 50;
  rows[2].ring_ms = 100;
  EXPECT_TRUE(contains(grid_summary(rows),
                       "took 123 ms, at most 2.5 round trips of the ring, half within 1.2, "));
  EXPECT_TRUE(
      contains(grid_summary(rows),
               "relayed path 300 ms, at most 3.0 round trips of the ring, half within 3.0, "));
  EXPECT_FALSE(contains(grid_summary({rows[0]}), "relayed path"));
  EXPECT_FALSE(contains(grid_summary({rows[2]}), "direct path"));
  const std::string table = grid_table(rows, false);
  EXPECT_TRUE(contains(table, "300 ms"));
  EXPECT_TRUE(contains(table, "1500 ms"));
  EXPECT_TRUE(contains(table, "2 of 50"));
  const std::string svg = grid_svg(rows);
  EXPECT_TRUE(contains(svg, ">1.5</text>"));
  EXPECT_TRUE(contains(svg, "b to b: unreachable"));
  EXPECT_EQ(std::count(svg.begin(), svg.end(), '<'), std::count(svg.begin(), svg.end(), '>'));
}

}  // namespace
}  // namespace wow::lab
