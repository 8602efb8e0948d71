#include "tap/linux/names_helper.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "base/asio/files.h"

namespace wow {
namespace {

namespace fs = std::filesystem;

const std::string kLocal = "127.0.0.1\tlocalhost\n";
const std::string kBlock = "# wow lab begin\n10.128.0.7\tnode7.lab.internal node7\n# wow lab end\n";
const HostName kNode7{*IpAddress::parse("10.128.0.7"), "node7"};

// The helper works in its own time: its end, which a pipe at its standard output tells, is what a
// test can wait for.
class NamesHelperTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_);
    write(kLocal);
  }
  void TearDown() override { fs::remove_all(folder_); }
  void write(const std::string& text) { ASSERT_TRUE(write_file(file_, view_of(text), 0644)); }
  std::string text() const { return to_string(read_file(file_).value()); }
  std::unique_ptr<NamesHelper> start() {
    return std::move(NamesHelper::start("lab", file_.string()).value());
  }
  // Until the helper has done what it was told.
  void await(const std::string& wanted) {
    for (int i = 0; i < 10'000 && text() != wanted; ++i) usleep(1000);
    EXPECT_EQ(text(), wanted);
  }

  const fs::path folder_ = fs::path(testing::TempDir()) / "wow-names";
  const fs::path file_ = folder_ / "hosts";
};

TEST_F(NamesHelperTest, KeepsNamesAndUndoesThemAtItsEnd) {
  auto helper = start();
  EXPECT_TRUE(helper->set_hosts({kNode7}));
  await(kLocal + kBlock);
  EXPECT_TRUE(helper->set_hosts({}));
  await(kLocal);
  EXPECT_TRUE(helper->set_hosts({kNode7}));
  helper.reset();  // waits for the child
  EXPECT_EQ(text(), kLocal);
}

TEST_F(NamesHelperTest, RemovesTheBlockOfAKilledPredecessor) {
  write(kLocal + kBlock);
  start().reset();
  EXPECT_EQ(text(), kLocal);
}

TEST_F(NamesHelperTest, UndoesItsWorkWhenTheDaemonIsKilled) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t daemon = fork();
  if (daemon == 0) {
    dup2(ends[1], STDOUT_FILENO);  // the helper's too
    close(ends[0]);
    close(ends[1]);
    auto helper = start();
    helper->set_hosts({kNode7});
    for (;;) pause();
  }
  close(ends[1]);
  await(kLocal + kBlock);
  kill(daemon, SIGKILL);
  waitpid(daemon, nullptr, 0);
  char byte;
  EXPECT_EQ(read(ends[0], &byte, 1), 0) << "both have ended";
  close(ends[0]);
  EXPECT_EQ(text(), kLocal);
}

TEST_F(NamesHelperTest, BelievesNoNameThatIsNone) {
  auto helper = start();
  const std::string nul("node\0", 5);
  EXPECT_TRUE(helper->set_hosts({{kNode7.ip, "a.b"},
                                 {kNode7.ip, "under_score"},
                                 {kNode7.ip, "Capital"},
                                 {kNode7.ip, nul},
                                 {kNode7.ip, std::string(64, 'a')},
                                 kNode7}));
  await(kLocal + kBlock);
}

TEST_F(NamesHelperTest, AsksResolvedForNoForeignInterface) {
  auto helper = start();
  EXPECT_TRUE(helper->set_resolved("eth0", kNode7.ip));
  EXPECT_TRUE(helper->set_hosts({kNode7}));
  await(kLocal + kBlock);
}

TEST_F(NamesHelperTest, AFullPoolIsKept) {
  auto helper = start();
  std::vector<HostName> names;
  std::string block = "# wow lab begin\n";
  for (std::uint32_t i = 0; i < NamesHelper::kNamesMax + 1; ++i) {
    const IpAddress ip = IpAddress::v4(0x0a800000 + i);
    const std::string name = std::string(53, 'n') + std::to_string(1'000'000'000 + i);
    names.push_back({ip, name});
    if (i < NamesHelper::kNamesMax)
      block += ip.text() + "\t" + name + ".lab.internal " + name + "\n";
  }
  EXPECT_TRUE(helper->set_hosts(names));
  await(kLocal + block + "# wow lab end\n");
}

TEST_F(NamesHelperTest, TheDaemonIsToldWhenItsHelperIsGone) {
  auto helper = start();
  EXPECT_TRUE(helper->set_hosts({}));
  const auto children = read_file("/proc/thread-self/children");
  if (!children) GTEST_SKIP() << "this kernel does not list children";
  ASSERT_EQ(kill(std::stoi(to_string(*children)), SIGKILL), 0);
  siginfo_t info{};
  ASSERT_EQ(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT), 0);
  EXPECT_FALSE(helper->set_hosts({kNode7}));
}

}  // namespace
}  // namespace wow
