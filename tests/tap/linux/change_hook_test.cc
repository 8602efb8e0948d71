#include "tap/linux/change_hook.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/asio/files.h"

namespace wow {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class ChangeHookTest : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  void write_program(const std::string& lines, mode_t mode = 0755) {
    const std::string text = "#!/bin/sh\ncd '" + folder_.string() + "'\n" + lines;
    ASSERT_TRUE(write_file(program_, view_of(text), mode));
    ASSERT_EQ(chmod(program_.c_str(), mode), 0);
  }
  std::unique_ptr<ChangeHook> start(ChangeHook::Limits limits = {60s, 1ms}) {
    return std::move(ChangeHook::start("lab", program_.string(), limits).value());
  }
  std::string text(const char* name) const {
    const auto file = read_file(folder_ / name);
    return file ? to_string(*file) : "";
  }
  void await(const char* name, const std::string& wanted) {
    for (int i = 0; i < 20'000 && text(name) != wanted; ++i) usleep(1000);
    EXPECT_EQ(text(name), wanted);
  }

  const fs::path folder_ = fs::path(testing::TempDir()) / "wow-hook";
  const fs::path program_ = folder_ / "program";
};

TEST_F(ChangeHookTest, RunsWhenToldWithThePoolsName) {
  write_program("echo \"$1 $WOW_POOL $(cat)\" >>said\n");
  auto hook = start();
  EXPECT_TRUE(hook->changed());
  await("said", "lab lab \n");
  EXPECT_TRUE(hook->changed());
  await("said", "lab lab \nlab lab \n");
}

TEST_F(ChangeHookTest, ChangesDuringARunMakeOneMore) {
  write_program("echo run >>said; until test -e go; do sleep 0.01; done; echo end >>said\n");
  auto hook = start();
  EXPECT_TRUE(hook->changed());
  await("said", "run\n");
  for (int i = 0; i < 5000; ++i) EXPECT_TRUE(hook->changed()) << "never waits";
  ASSERT_TRUE(write_file(folder_ / "go", {}, 0644));
  await("said", "run\nend\nrun\nend\n");
  hook.reset();
  EXPECT_EQ(text("said"), "run\nend\nrun\nend\n");
}

TEST_F(ChangeHookTest, ARunThatLastsTooLongIsEndedWithItsChildren) {
  write_program(
      "echo run >>said; sh -c 'trap \"\" TERM; echo $$ >inner; while :; do sleep 0.05; done'\n");
  auto hook = start({100ms, 1ms});
  EXPECT_TRUE(hook->changed());
  await("said", "run\n");
  EXPECT_TRUE(hook->changed());
  await("said", "run\nrun\n");
}

TEST_F(ChangeHookTest, TheEndDoesNotWaitForARun) {
  write_program("echo $$ >pid; exec sleep 1000\n");
  auto hook = start();
  EXPECT_TRUE(hook->changed());
  for (int i = 0; i < 20'000 && text("pid").empty(); ++i) usleep(1000);
  const int pid = std::stoi(text("pid"));
  hook.reset();
  EXPECT_NE(kill(pid, 0), 0) << "the run has ended";
}

TEST_F(ChangeHookTest, AFailureIsNotTheEnd) {
  write_program("echo run >>said; exit 3\n");
  auto hook = start();
  EXPECT_TRUE(hook->changed());
  await("said", "run\n");
  EXPECT_TRUE(hook->changed());
  await("said", "run\nrun\n");
}

TEST_F(ChangeHookTest, RefusesWhatIsNoProgram) {
  const auto why = [](const std::string& program) {
    const auto hook = ChangeHook::start("lab", program, {});
    return hook ? "" : hook.error().message;
  };
  EXPECT_NE(why("program").find("whole path"), std::string::npos);
  EXPECT_NE(why((folder_ / "none").string()).find("is no program"), std::string::npos);
  EXPECT_NE(why(folder_.string()).find("is no program"), std::string::npos);
  write_program("true\n", 0644);
  EXPECT_NE(why(program_.string()).find("is no program"), std::string::npos);
  write_program("true\n", 0777);
  if (geteuid() == 0) {
    EXPECT_NE(why(program_.string()).find("changed by others"), std::string::npos);
  }
}

}  // namespace
}  // namespace wow
