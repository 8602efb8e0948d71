#include "tap/linux/names_helper.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

#include "tap/linux/hosts_file.h"

namespace wow {
namespace {

constexpr const char* kPeoplesLines = "127.0.0.1 localhost\n192.0.2.1 printer # not ours\n";

std::string read_text(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

class NamesHelperTest : public testing::Test {
 protected:
  NamesHelperTest() {
    std::ofstream(hosts_) << kPeoplesLines;
    chmod(hosts_.c_str(), 0644);
  }
  std::unique_ptr<NamesHelper> start(const std::string& pool) {
    auto helper = NamesHelper::start(pool, hosts_);
    EXPECT_TRUE(helper);
    return std::move(*helper);
  }
  // The helper is another process: waits until it has done its work.
  bool becomes(const std::string& text) {
    for (int i = 0; i < 500 && read_text(hosts_) != text; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return read_text(hosts_) == text;
  }
  static std::vector<HostName> one(const std::string& ip, const std::string& name) {
    return {{*IpAddress::parse(ip), name}};
  }

  std::string hosts_ = testing::TempDir() + "hosts-" + std::to_string(getpid());
  const std::string lab_block_ =
      "# wow lab begin\n10.128.0.2\tbeta.lab.internal beta\n# wow lab end\n";
};

TEST_F(NamesHelperTest, WritesReplacesAndUndoesItsBlock) {
  auto helper = start("lab");
  ASSERT_TRUE(helper->set_hosts(one("10.128.0.9", "old")));
  ASSERT_TRUE(helper->set_hosts(one("10.128.0.2", "beta")));
  EXPECT_TRUE(becomes(kPeoplesLines + lab_block_)) << read_text(hosts_);
  struct stat info {};
  stat(hosts_.c_str(), &info);
  EXPECT_EQ(info.st_mode & 07777, 0644u);
  helper.reset();
  EXPECT_EQ(read_text(hosts_), kPeoplesLines);
}

TEST_F(NamesHelperTest, PoolsDoNotTouchEachOthersBlocks) {
  auto lab = start("lab"), other = start("other");
  lab->set_hosts(one("10.128.0.2", "beta"));
  ASSERT_TRUE(becomes(kPeoplesLines + lab_block_));
  const std::string other_block =
      "# wow other begin\n10.9.0.2\tbeta.other.internal beta\n# wow other end\n";
  other->set_hosts(one("10.9.0.2", "beta"));
  EXPECT_TRUE(becomes(kPeoplesLines + lab_block_ + other_block));
  lab.reset();
  EXPECT_EQ(read_text(hosts_), kPeoplesLines + other_block);
}

TEST_F(NamesHelperTest, ManyHelpersAtOnceLoseNoBlock) {
  std::vector<std::unique_ptr<NamesHelper>> helpers;
  for (int i = 0; i < 8; ++i) helpers.push_back(start("pool" + std::to_string(i)));
  for (int round = 0; round < 5; ++round) {
    for (auto& helper : helpers) helper->set_hosts(one("10.9.0.2", "n" + std::to_string(round)));
  }
  // Each ends its block; all of them are there.
  const auto blocks = [&] {
    const std::string text = read_text(hosts_);
    int count = 0;
    for (std::size_t at = 0; (at = text.find(" n4\n", at)) != std::string::npos; ++at) ++count;
    return count;
  };
  for (int i = 0; i < 500 && blocks() != 8; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(blocks(), 8);
  helpers.clear();
  EXPECT_EQ(read_text(hosts_), kPeoplesLines);
}

TEST_F(NamesHelperTest, TheBlockGoesWhenTheDaemonIsKilled) {
  const pid_t daemon = fork();
  if (daemon == 0) {
    auto helper = NamesHelper::start("lab", hosts_);
    (*helper)->set_hosts(one("10.128.0.2", "beta"));
    pause();
    _exit(1);
  }
  ASSERT_TRUE(becomes(kPeoplesLines + lab_block_));
  kill(daemon, SIGKILL);
  waitpid(daemon, nullptr, 0);
  EXPECT_TRUE(becomes(kPeoplesLines));
}

TEST_F(NamesHelperTest, CtrlCIsNotForTheHelper) {
  setpgid(0, 0);  // the terminal's group, without whoever runs this test
  auto helper = start("lab");
  helper->set_hosts(one("10.128.0.2", "beta"));
  ASSERT_TRUE(becomes(kPeoplesLines + lab_block_));
  signal(SIGINT, SIG_IGN);
  kill(0, SIGINT);
  signal(SIGINT, SIG_DFL);
  EXPECT_TRUE(helper->set_hosts(one("10.128.0.3", "gamma")));
  helper.reset();
  EXPECT_EQ(read_text(hosts_), kPeoplesLines);
}

TEST_F(NamesHelperTest, AStaleBlockIsRemovedAtTheStart) {
  std::ofstream(hosts_, std::ios::app) << lab_block_;
  auto helper = start("lab");
  EXPECT_TRUE(becomes(kPeoplesLines));
}

TEST_F(NamesHelperTest, WhatIsNoNameIsNotWritten) {
  auto helper = start("lab");
  helper->set_hosts({{*IpAddress::parse("10.128.0.6"), "a\nb#"},
                     {*IpAddress::parse("10.128.0.7"), "UPPER"},
                     {*IpAddress::parse("10.128.0.2"), "beta"}});
  EXPECT_TRUE(becomes(kPeoplesLines + lab_block_)) << read_text(hosts_);
}

TEST_F(NamesHelperTest, AMountedHostsFileIsRewrittenInPlace) {
  const std::string behind = hosts_ + ".mounted";
  std::ofstream(behind) << kPeoplesLines;
  if (mount(behind.c_str(), hosts_.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    GTEST_SKIP() << "mounting is not permitted here";
  }
  auto helper = start("lab");
  helper->set_hosts(one("10.128.0.2", "beta"));
  EXPECT_TRUE(becomes(kPeoplesLines + lab_block_));
  helper.reset();
  EXPECT_EQ(read_text(behind), kPeoplesLines);
  umount(hosts_.c_str());
}

TEST_F(NamesHelperTest, ALinkStaysALink) {
  const std::string link = hosts_ + ".link";
  unlink(link.c_str());
  ASSERT_EQ(symlink(hosts_.c_str(), link.c_str()), 0);
  ASSERT_TRUE(write_hosts_block(link, "lab", "10.128.0.2\tbeta.lab.internal beta\n"));
  EXPECT_EQ(read_text(hosts_), kPeoplesLines + lab_block_);
  struct stat info {};
  lstat(link.c_str(), &info);
  EXPECT_TRUE(S_ISLNK(info.st_mode));
}

TEST(HostsBlockTest, ABeginWithoutItsEndTakesNoLineOfPeople) {
  EXPECT_EQ(with_hosts_block("# wow lab begin\n192.0.2.1 printer\n", "lab", ""),
            "192.0.2.1 printer\n");
  EXPECT_EQ(with_hosts_block("no newline", "lab", "x\n"),
            "no newline\n# wow lab begin\nx\n# wow lab end\n");
}

}  // namespace
}  // namespace wow
