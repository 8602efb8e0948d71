// Helpers of several pools at one hosts file.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

#include "tap/linux/hosts_file.h"
#include "tap/linux/names_helper.h"

namespace wow {
namespace {

constexpr const char* kPeoplesLines = "127.0.0.1 localhost\n192.0.2.1 printer # not ours\n";

std::string read_text(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

class SeveralPoolsTest : public testing::Test {
 protected:
  SeveralPoolsTest() {
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

TEST_F(SeveralPoolsTest, PoolsDoNotTouchEachOthersBlocks) {
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

TEST_F(SeveralPoolsTest, ManyHelpersAtOnceLoseNoBlock) {
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

TEST_F(SeveralPoolsTest, CtrlCIsNotForTheHelper) {
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

TEST_F(SeveralPoolsTest, ALinkStaysALink) {
  const std::string link = hosts_ + ".link";
  unlink(link.c_str());
  ASSERT_EQ(symlink(hosts_.c_str(), link.c_str()), 0);
  ASSERT_TRUE(write_hosts_block(link, "lab", "10.128.0.2\tbeta.lab.internal beta\n"));
  EXPECT_EQ(read_text(hosts_), kPeoplesLines + lab_block_);
  struct stat info {};
  lstat(link.c_str(), &info);
  EXPECT_TRUE(S_ISLNK(info.st_mode));
}

}  // namespace
}  // namespace wow
