#include "tools/cli/table.h"

#include <gtest/gtest.h>

namespace wow {
namespace {

TEST(Table, ColumnsAreAsWideAsTheirWidestCell) {
  Table table({"NAME", "IP"});
  EXPECT_EQ(table.size(), 0u);
  table.add({"a", "10.128.0.1"});
  table.add({"a-longer-name", "-"});
  EXPECT_EQ(table.size(), 2u);
  EXPECT_EQ(table.text(false),
            "NAME           IP\n"
            "a              10.128.0.1\n"
            "a-longer-name  -\n");
}

TEST(Table, HeadingsAreBoldWhereColourIsWanted) {
  Table table({"NAME"});
  table.add({"a"});
  EXPECT_EQ(table.text(true), "\033[1mNAME\033[0m\na\n");
}

TEST(HumanDuration, HasTheUnitAPersonWouldChoose) {
  const std::vector<std::pair<double, std::string>> cases = {
      {0.00031, "0.31 ms"}, {0.0123, "12.3 ms"}, {0.35, "350 ms"},
      {4.1, "4.1 s"},       {59, "59.0 s"},      {60, "1 min"},
      {725, "12 min"},      {3600, "1 h 0 min"}, {86399, "23 h 59 min"},
      {86400, "1 d 0 h"},   {604800, "7 d 0 h"}, {0, "0 s"},
      {-3, "0 s"}};
  for (const auto& [seconds, text] : cases) EXPECT_EQ(human_duration(seconds), text) << seconds;
}

TEST(HumanBytes, CountsInThousands) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(1200), "1.2 kB");
  EXPECT_EQ(human_bytes(3.45e9), "3.5 GB");
  EXPECT_EQ(human_bytes(5e18), "5000000.0 TB");
}

}  // namespace
}  // namespace wow
