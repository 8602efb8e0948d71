// What tells that a virtual machine was cloned or set back.
#include "tools/daemon/generation_watch.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <fstream>
#include <string>

namespace wow {
namespace {

bool says(const std::string& uevent) { return is_new_generation(view_of(uevent)); }

TEST(GenerationWatch, OnlyTheDriversOwnWordCounts) {
  using namespace std::string_literals;
  EXPECT_TRUE(
      says("change@/devices/LNXSYSTM:00/QEMUVGID:00\0ACTION=change\0NEW_VMGENID=1\0SEQNUM=9\0"s));
  EXPECT_TRUE(says("change@/x\0NEW_VMGENID=1"s));
  EXPECT_FALSE(says("change@/x\0ACTION=change\0SEQNUM=9\0"s));
  EXPECT_FALSE(says("change@/NEW_VMGENID=1/x\0ACTION=change\0"s));
  EXPECT_FALSE(says("change@/x\0NEW_VMGENID=10\0"s));
  EXPECT_FALSE(says(""s));
}

// As QEMU shows the ID: behind 40 bytes of nothing.
void show(const std::filesystem::path& path, char id) {
  std::ofstream file(path, std::ios::in | std::ios::out | std::ios::ate);
  if (!file) file.open(path);
  file.seekp(0) << std::string(40, '\0') << std::string(16, id) << std::string(4040, '\0');
}

TEST(GenerationWatch, SeesThatQemuShowsAnotherId) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "vmgenid_guid";
  show(path, 'a');
  boost::asio::io_context io;
  int changes = 0;
  auto watch = GenerationWatch::open(io.get_executor(), [&] { ++changes; }, {path.string(), 1ms});
  ASSERT_TRUE(watch);
  // The same ID, as after a migration, is none of its business.
  for (int looks = 0; looks < 3; ++looks) io.run_one();
  EXPECT_EQ(changes, 0);
  show(path, 'b');
  while (changes == 0 && io.run_one_for(10s) == 1) {
  }
  EXPECT_EQ(changes, 1);
  // Once for each change.
  for (int looks = 0; looks < 3; ++looks) io.run_one();
  EXPECT_EQ(changes, 1);
  show(path, 'c');
  while (changes == 1 && io.run_one_for(10s) == 1) {
  }
  EXPECT_EQ(changes, 2);
}

}  // namespace
}  // namespace wow
