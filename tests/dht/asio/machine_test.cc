#include "dht/asio/machine.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/asio/files.h"

namespace wow {
namespace {

TEST(MachineTest, MarksThatBothHaveDecide) {
  EXPECT_TRUE(same_machine("machine-id aa\ndmi-uuid bb\n", "machine-id aa\ndmi-uuid bb\n"));
  EXPECT_TRUE(same_machine("machine-id aa\ndmi-uuid bb\n", "machine-id aa\n")) << "not root now";
  EXPECT_FALSE(same_machine("machine-id aa\n", "machine-id ab\ndmi-uuid bb\n"));
  EXPECT_FALSE(same_machine("machine-id aa\ndmi-uuid bb\n", "machine-id aa\ndmi-uuid cc\n"));
  EXPECT_TRUE(same_machine("", "machine-id aa\n"));
}

TEST(MachineTest, AFolderFilledElsewhereIsACopy) {
  std::string folder = std::string(std::getenv("TEST_TMPDIR")) + "/machineXXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  EXPECT_FALSE(is_copied(folder)) << "no marks yet";
  ASSERT_TRUE(remember_machine(folder));
  EXPECT_FALSE(is_copied(folder));
  if (machine_marks().empty()) GTEST_SKIP() << "this machine has neither machine-id nor DMI UUID";
  ASSERT_TRUE(write_file(folder + "/machine", view_of("machine-id 00\ndmi-uuid 00\n")));
  EXPECT_TRUE(is_copied(folder));
}

}  // namespace
}  // namespace wow
