#include "tools/cli/paths.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

namespace wow {
namespace {

namespace fs = std::filesystem;

class PathsTest : public testing::Test {
 protected:
  void SetUp() override {
    setenv("WOW_ROOT", root_.c_str(), 1);
    paths_ = Paths::of_this_user();
  }
  void TearDown() override {
    unsetenv("WOW_ROOT");
    fs::remove_all(root_);
  }
  void make(const fs::path& file) {
    fs::create_directories(file.parent_path());
    std::ofstream(file) << "x";
  }
  std::string refusal(const std::string& named) {
    const auto chosen = paths_.choose_pool(named);
    return chosen ? "chosen: " + *chosen : chosen.error().message;
  }

  const fs::path root_ = fs::path(testing::TempDir()) / "wow-paths";
  Paths paths_;
};

TEST_F(PathsTest, WowRootMovesAllOfThem) {
  EXPECT_EQ(paths_.config_file("lab"), root_ / "etc/lab.conf");
  EXPECT_EQ(paths_.root_file("lab"), root_ / "etc/lab.root");
  EXPECT_EQ(paths_.member_file("lab"), root_ / "lib/lab/member");
  EXPECT_EQ(paths_.socket("lab"), root_ / "run/lab.sock");
}

TEST_F(PathsTest, RootUsesTheSystemsFoldersAndOthersTheirOwn) {
  unsetenv("WOW_ROOT");
  if (geteuid() != 0) GTEST_SKIP() << "not root";
  EXPECT_EQ(Paths::of_this_user().member_file("lab"), "/var/lib/wow/lab/member");
  EXPECT_EQ(Paths::of_this_user().config_file("lab"), "/etc/wow/lab.conf");
  const pid_t child = fork();
  if (child == 0) {
    if (setresuid(54321, 54321, 54321) != 0) _exit(77);
    setenv("HOME", "/home/eve", 1);
    setenv("XDG_STATE_HOME", "/data/state", 1);
    setenv("XDG_RUNTIME_DIR", "/run/user/54321", 1);
    unsetenv("XDG_CONFIG_HOME");
    const Paths own = Paths::of_this_user();
    _exit(own.config_file("lab") == "/home/eve/.config/wow/lab.conf" &&
                  own.member_file("lab") == "/data/state/wow/lab/member" &&
                  own.runtime == "/run/user/54321/wow"
              ? 0
              : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "other users do not exist in this namespace";
  EXPECT_EQ(status, 0);
}

TEST_F(PathsTest, TheOnlyPoolNeedNoName) {
  make(paths_.member_file("lab"));
  EXPECT_EQ(paths_.choose_pool("").value(), "lab");
  EXPECT_EQ(paths_.choose_pool("other").value(), "other") << "what is named is taken at its word";
}

TEST_F(PathsTest, SeveralPoolsAreListed) {
  make(paths_.member_file("physics"));
  make(paths_.member_file("lab"));
  make(paths_.state / "no-member" / "log");
  EXPECT_EQ(refusal(""), "this machine is in several pools (lab, physics): name one with -p POOL");
}

TEST_F(PathsTest, AMachineThatOnlyHoldsARootMeansThatPool) {
  make(paths_.root_file("lab"));
  make(paths_.config_file("lab"));
  EXPECT_EQ(paths_.choose_pool("").value(), "lab");
  make(paths_.member_file("physics"));
  EXPECT_EQ(paths_.choose_pool("").value(), "physics") << "membership comes first";
}

TEST_F(PathsTest, WithoutAnyPoolTheWayInIsNamed) {
  if (fs::exists("/run/wow")) GTEST_SKIP() << "a daemon runs on this machine";
  EXPECT_EQ(refusal(""), "this machine is in no pool yet: `wow join INVITE` makes it a member");
}

TEST_F(PathsTest, ANameThatIsNoneNeverBecomesAPath) {
  for (const std::string name : {"../etc", "Lab", "a.b", "a/b", "-a", "a-", "a b"})
    EXPECT_EQ(refusal(name), "\"" + name + "\" cannot be a pool's name: a-z, 0-9 and - only");
  EXPECT_FALSE(is_valid_name(std::string(64, 'a')));
  EXPECT_TRUE(is_valid_name(std::string(63, 'a')));
  EXPECT_TRUE(is_valid_name("7-lab"));
}

TEST_F(PathsTest, FoldersAreMadeWithTheirModes) {
  const fs::path secret = root_ / "lib" / "lab";
  umask(022);
  ASSERT_TRUE(make_directory(secret, true));
  ASSERT_TRUE(make_directory(secret, true)) << "again";
  struct stat info {};
  ASSERT_EQ(stat(secret.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  ASSERT_EQ(stat(secret.parent_path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0755u);
  make(root_ / "file");
  const auto failed = make_directory(root_ / "file" / "below", false);
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message.find("file/below"), std::string::npos);
}

}  // namespace
}  // namespace wow
