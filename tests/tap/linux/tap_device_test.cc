#include "tap/linux/tap_device.h"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include <filesystem>

#include "base/asio/files.h"
#include "tests/tap/linux/in_child.h"

namespace wow {
namespace {

constexpr MacAddress kMac = {2, 1, 2, 3, 4, 5};

// The first line of a file; empty if there is none.
std::string line_of(const std::string& path) {
  const auto file = read_file(path);
  const std::string text = file ? to_string(*file) : "";
  return text.substr(0, text.find('\n'));
}

// /sys shows the network namespace that it was mounted in: mount it anew, in a child.
std::string facts_of(const TapDevice& tap) {
  return in_child([&tap]() -> std::string {
    if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) ||
        mount("sysfs", "/sys", "sysfs", 0, nullptr) != 0)
      return "skip";
    const std::string folder = "/sys/class/net/" + tap.name();
    return line_of(folder + "/address") + " " + line_of(folder + "/mtu") + " " +
           line_of(folder + "/ifindex");
  });
}

TEST(TapDevice, HasItsNameMacAndMtu) {
  const auto tap = TapDevice::open("wow-lab", kMac, 1380, 1);
  ASSERT_TRUE(tap) << tap.error().message;
  EXPECT_EQ(tap->name(), "wow-lab");
  EXPECT_EQ(tap->fds().size(), 1u);
  const std::string sysctls = "/proc/sys/net/";
  EXPECT_EQ(line_of(sysctls + "ipv4/conf/wow-lab/accept_redirects"), "0");
  EXPECT_NE(line_of(sysctls + "ipv6/conf/wow-lab/accept_ra"), "1");
  const std::string facts = facts_of(*tap);
  if (facts == "skip") GTEST_SKIP() << "mounts are not permitted here";
  EXPECT_EQ(facts, "02:01:02:03:04:05 1380 " + std::to_string(tap->index()));
}

TEST(TapDevice, IsGoneWithItsDescriptors) {
  TapDevice::open("wow-lab", kMac, 1380, 1).value();
  const auto again = TapDevice::open("wow-lab", kMac, 1380, 1);
  EXPECT_TRUE(again) << again.error().message;
}

TEST(TapDevice, ALongNameIsCut) {
  const auto tap = TapDevice::open("wow-a-very-long-pool", kMac, 1380, 1);
  ASSERT_TRUE(tap) << tap.error().message;
  EXPECT_EQ(tap->name().size(), 15u);
  EXPECT_EQ(tap->name().substr(0, 12), "wow-a-very-l");
  const auto other = TapDevice::open("wow-a-very-long-pond", kMac, 1380, 1);
  EXPECT_TRUE(other) << "two pools whose names begin alike: " << other.error().message;
}

TEST(TapDevice, ANameInUseIsRefusedWithManyQueuesToo) {
  for (const int queues : {1, 2}) {
    const auto tap = TapDevice::open("wow-lab", kMac, 1380, queues);
    ASSERT_TRUE(tap) << tap.error().message;
    EXPECT_EQ(tap->fds().size(), static_cast<std::size_t>(queues));
    const auto second = TapDevice::open("wow-lab", kMac, 1380, queues);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::kAlreadyExists);
    EXPECT_NE(second.error().message.find("wow-lab exists already"), std::string::npos);
  }
}

TEST(TapDevice, AMissingDeviceNamesTheCure) {
  const std::string said = in_child([]() -> std::string {
    if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) ||
        mount("none", "/dev/net", "tmpfs", 0, nullptr) != 0)
      return "skip";
    const auto tap = TapDevice::open("wow-lab", kMac, 1380, 1);
    return tap ? "opened" : tap.error().message;
  });
  if (said == "skip") GTEST_SKIP() << "mounts are not permitted here";
  EXPECT_EQ(said, "/dev/net/tun is missing: load it with `modprobe tun`");
}

TEST(TapDevice, WithoutPermissionTheWayOutIsNamed) {
  const std::string said = in_child([]() -> std::string {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[2] = {};
    if (syscall(SYS_capset, &header, none) != 0) return "no capset";
    const auto tap = TapDevice::open("wow-lab", kMac, 1380, 1);
    return tap ? "opened" : tap.error().message;
  });
  EXPECT_EQ(said,
            "not permitted to make the virtual interface wow-lab: run as root, or use `wow "
            "router`");
}

}  // namespace
}  // namespace wow
