// What the kernel says when a virtual machine was cloned or set back.
#include "tools/daemon/generation_watch.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace wow
