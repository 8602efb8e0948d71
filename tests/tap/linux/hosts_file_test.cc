#include "tap/linux/hosts_file.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/asio/files.h"
#include "tests/tap/linux/in_child.h"

namespace wow {
namespace {

namespace fs = std::filesystem;

const std::string kLocal = "127.0.0.1\tlocalhost\n";
const std::string kLab = "# wow lab begin\n10.128.0.5\tnode5.lab.internal node5\n# wow lab end\n";
const std::string kOther = "# wow lab2 begin\n10.9.0.1\tx.lab2.internal x\n# wow lab2 end\n";
const std::string kLines = "10.128.0.7\tnode7.lab.internal node7\n";
const std::string kNewLab = "# wow lab begin\n" + kLines + "# wow lab end\n";

TEST(HostsBlock, IsAddedReplacedAndRemoved) {
  EXPECT_EQ(with_hosts_block(kLocal, "lab", kLines), kLocal + kNewLab);
  EXPECT_EQ(with_hosts_block(kLocal + kLab, "lab", kLines), kLocal + kNewLab);
  EXPECT_EQ(with_hosts_block(kLocal + kNewLab, "lab", ""), kLocal);
  EXPECT_EQ(with_hosts_block("", "lab", kLines), kNewLab);
}

TEST(HostsBlock, OthersLinesAndOtherPoolsBlocksStay) {
  const std::string after = "192.0.2.1 printer\n";
  EXPECT_EQ(with_hosts_block(kOther + kLab + after, "lab", kLines), kOther + after + kNewLab);
  EXPECT_EQ(with_hosts_block(kLab + kOther, "lab2", ""), kLab);
}

TEST(HostsBlock, ALastLineWithoutAnEndIsEndedOnlyIfOneFollows) {
  const std::string open_ended = "127.0.0.1 localhost";
  EXPECT_EQ(with_hosts_block(open_ended, "lab", kLines), open_ended + "\n" + kNewLab);
  EXPECT_EQ(with_hosts_block(open_ended, "lab", ""), open_ended);
}

TEST(HostsBlock, AMissingEndMarkCostsNoLineBehindIt) {
  const std::string cut = "# wow lab begin\n10.128.0.5\told\n192.0.2.1 printer\n";
  EXPECT_EQ(with_hosts_block(cut, "lab", ""), "10.128.0.5\told\n192.0.2.1 printer\n");
  // Not even when a whole block of ours follows.
  EXPECT_EQ(with_hosts_block(cut + kLab, "lab", kLines),
            "10.128.0.5\told\n192.0.2.1 printer\n" + kNewLab);
}

class HostsFile : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_);
    ASSERT_TRUE(write_file(file_, view_of(kLocal), 0644));
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string text() const { return to_string(read_file(file_).value()); }

  const fs::path folder_ = fs::path(testing::TempDir()) / "wow-hosts";
  const fs::path file_ = folder_ / "hosts";
};

TEST_F(HostsFile, IsReplacedWithItsModeKept) {
  ASSERT_EQ(chmod(file_.c_str(), 0640), 0);
  ASSERT_TRUE(write_hosts_block(file_, "lab", kLines));
  EXPECT_EQ(text(), kLocal + kNewLab);
  struct stat info {};
  ASSERT_EQ(stat(file_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0640u);
  ASSERT_TRUE(write_hosts_block(file_, "lab", ""));
  EXPECT_EQ(text(), kLocal);
}

TEST_F(HostsFile, IsNotTouchedWhenNothingChanges) {
  struct stat before {
  }, after{};
  ASSERT_EQ(stat(file_.c_str(), &before), 0);
  ASSERT_TRUE(write_hosts_block(file_, "lab", ""));
  ASSERT_EQ(stat(file_.c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
}

TEST_F(HostsFile, IsMadeIfThereIsNone) {
  fs::remove(file_);
  ASSERT_TRUE(write_hosts_block(file_, "lab", kLines));
  EXPECT_EQ(text(), kNewLab);
}

TEST_F(HostsFile, IsWrittenInPlaceWhereItIsAMountOfItsOwn) {
  const std::string said = in_child([this]() -> std::string {
    if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) ||
        mount(file_.c_str(), file_.c_str(), nullptr, MS_BIND, nullptr) != 0)
      return "skip";
    const auto done = write_hosts_block(file_, "lab", kLines);
    if (!done) return done.error().message;
    if (fs::exists(file_.string() + ".new")) return "a file was left beside it";
    return text() == kLocal + kNewLab ? "" : "not written: " + text();
  });
  if (said == "skip") GTEST_SKIP() << "mounts are not permitted here";
  EXPECT_EQ(said, "");
  EXPECT_EQ(text(), kLocal + kNewLab) << "the mount's file is this one";
}

TEST_F(HostsFile, WhatCannotBeWrittenIsSaid) {
  const auto done = write_hosts_block(folder_ / "no" / "hosts", "lab", kLines);
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find("no/hosts"), std::string::npos);
}

}  // namespace
}  // namespace wow
