#include "tools/daemon/log_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>

namespace wow {
namespace {

class LogFileTest : public testing::Test {
 protected:
  LogFileTest() { EXPECT_TRUE(log_.take_stderr()); }
  ~LogFileTest() override {
    dup2(before_, STDERR_FILENO);
    close(before_);
  }
  static void say(const std::string& text) {
    ASSERT_EQ(write(STDERR_FILENO, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  static std::string read(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const int before_ = dup(STDERR_FILENO);
  const std::string path_ = testing::TempDir() + "log_file_test." + std::to_string(getpid());
  const LogFile log_{path_, 10};
};

TEST_F(LogFileTest, TwoOfThemAreKept) {
  say("short\n");
  log_.turn();
  say("longer\n");
  EXPECT_EQ(read(path_), "short\nlonger\n");
  log_.turn();
  say("the second file\n");
  EXPECT_EQ(read(path_), "the second file\n");
  EXPECT_EQ(read(path_ + ".1"), "short\nlonger\n");
  log_.turn();
  say("third\n");
  EXPECT_EQ(read(path_), "third\n");
  EXPECT_EQ(read(path_ + ".1"), "the second file\n");
  struct stat is {};
  ASSERT_EQ(stat(path_.c_str(), &is), 0);
  EXPECT_EQ(is.st_mode & 0777u, 0600u);
}

TEST_F(LogFileTest, ALinkIsNotFollowed) {
  const std::string link = path_ + ".link", elsewhere = path_ + ".elsewhere";
  ASSERT_EQ(symlink(elsewhere.c_str(), link.c_str()), 0);
  EXPECT_FALSE(LogFile(link).take_stderr());
  EXPECT_NE(access(elsewhere.c_str(), F_OK), 0);
}

}  // namespace
}  // namespace wow
