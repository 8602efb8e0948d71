#include "base/log.h"

#include <gtest/gtest.h>

#include <vector>

namespace wow {
namespace {

class Log : public testing::Test {
 protected:
  Log() {
    set_log_sink([this](LogLevel level, const std::string& line) {
      levels.push_back(level);
      lines.push_back(line);
    });
  }
  ~Log() override {
    set_log_sink(nullptr);
    set_log_level(LogLevel::kInfo);
  }
  std::vector<LogLevel> levels;
  std::vector<std::string> lines;
};

TEST_F(Log, OneLineWithItsFields) {
  log_info("edge lost",
           {{"peer", "1f00ab12"}, {"after_ms", 4900}, {"ok", std::string_view("yes")}});
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0], "edge lost peer=1f00ab12 after_ms=4900 ok=yes");
  EXPECT_EQ(levels[0], LogLevel::kInfo);
}

TEST_F(Log, ValuesCannotForgeFieldsOrLines) {
  log_warn("refused", {{"name", "a b"}, {"empty", ""}, {"quote", "x\"y\\z"}, {"assign", "a=b"}});
  log_warn("refused", {{"name", "evil\nerror pool gone\x1b[2J\x7f"}});
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], R"(refused name="a b" empty="" quote="x\"y\\z" assign="a=b")");
  EXPECT_EQ(lines[1], R"(refused name="evil?error pool gone?[2J?")");
}

TEST_F(Log, LevelsBelowTheSetOneAreSilent) {
  log_debug("detail");
  EXPECT_FALSE(log_enabled(LogLevel::kDebug));
  set_log_level(LogLevel::kWarn);
  log_info("quiet");
  log_error("heard");
  EXPECT_EQ(lines, std::vector<std::string>{"heard"});
  set_log_level(LogLevel::kDebug);
  log_debug("detail");
  EXPECT_EQ(levels.back(), LogLevel::kDebug);
}

}  // namespace
}  // namespace wow
