// The drive that hands an invite to a virtual machine, and how the machine finds it.
#include "tools/cli/config_drive.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/asio/files.h"
#include "tools/cli/found_invite.h"
#include "tools/cli/run_program.h"

namespace wow {
namespace {

namespace fs = std::filesystem;

Invite some_invite() {
  PoolOptions options;
  options.name = "lab";
  options.subnet = "10.128.0.0/16";
  PoolRoot root = PoolRoot::create(options, WallTime(std::chrono::seconds(1'800'000'000))).value();
  InviteOptions invite;
  invite.label = "cluster";
  return Invite::create(root, invite).value();
}

// 2 KiB of a drive with this label.
Bytes descriptor(std::string label) {
  Bytes out(kVolumeBytes, 0);
  std::memcpy(out.data(), "\001CD001\001", 7);
  label.resize(32, ' ');
  std::memcpy(out.data() + 40, label.data(), label.size());
  return out;
}

// What YAML makes of the block of text below the n-th "content: |", of four spaces.
std::string block(const std::string& yaml, int n) {
  std::size_t at = 0;
  for (int i = 0; i <= n; ++i) at = yaml.find("content: |\n", at) + std::strlen("content: |\n");
  std::string out;
  while (at < yaml.size()) {
    const std::size_t end = yaml.find('\n', at);
    const std::string line = yaml.substr(at, end - at);
    if (!line.empty() && line.rfind("    ", 0) != 0) break;
    out += (line.empty() ? line : line.substr(4)) + "\n";
    at = end + 1;
  }
  return out;
}

TEST(ConfigDrive, CloudInitWritesTheInviteForRootAndComesUpAtEachBoot) {
  const Invite invite = some_invite();
  const auto files = drive_files(invite);
  ASSERT_EQ(files.size(), 3u);
  EXPECT_EQ(files[0].name, "user-data");
  const std::string user(files[0].text);
  EXPECT_EQ(user.rfind("#cloud-config\n", 0), 0u) << "else cloud-init ignores it";
  EXPECT_NE(user.find("- path: /etc/wow/lab.invite\n  permissions: '0600'\n"), std::string::npos);
  EXPECT_EQ(block(user, 0), std::string(invite.to_text()));
  EXPECT_EQ(Invite::parse(block(user, 0)).value().explain().id, invite.explain().id);
  EXPECT_NE(user.find("- path: /var/lib/cloud/scripts/per-boot/wow-lab\n  permissions: '0700'\n"),
            std::string::npos);
  EXPECT_EQ(block(user, 1), "#!/bin/sh\nexec wow up lab --invite /etc/wow/lab.invite\n");
}

TEST(ConfigDrive, AnotherInviteIsAnotherInstance) {
  const Invite one = some_invite(), other = some_invite();
  EXPECT_EQ(std::string(drive_files(one)[1].text), "instance-id: wow-" + one.explain().id + "\n");
  EXPECT_NE(drive_files(one)[1].text, drive_files(other)[1].text);
}

TEST(ConfigDrive, TheImageHasTheLabelAndTheBareInvite) {
  const Invite invite = some_invite();
  const auto image = make_drive(invite);
  if (!image && image.error().code == ErrorCode::kNotFound) {
    EXPECT_NE(image.error().message.find("apt install xorriso"), std::string::npos);
    GTEST_SKIP() << image.error().message;
  }
  ASSERT_GT(image->size(), kVolumeAt + kVolumeBytes);
  EXPECT_EQ(image->size() % 2048, 0u);
  EXPECT_EQ(volume_label(ByteView(*image).subspan(kVolumeAt)), kDriveLabel);
  const std::string_view text = text_of(*image);
  for (const DriveFile& file : drive_files(invite)) {
    EXPECT_NE(text.find(std::string_view(file.text)), std::string_view::npos) << file.name;
    EXPECT_NE(text.find(file.name), std::string_view::npos) << "Rock Ridge keeps names";
  }
}

TEST(ConfigDrive, OnlyAPrimaryVolumeDescriptorHasALabel) {
  const Bytes good = descriptor("cidata");
  EXPECT_EQ(volume_label(good), "cidata");
  EXPECT_EQ(volume_label(ByteView(good).first(72)), "cidata");
  EXPECT_EQ(volume_label(ByteView(good).first(71)), std::nullopt);
  EXPECT_EQ(volume_label({}), std::nullopt);
  EXPECT_EQ(volume_label(descriptor("")), "");
  EXPECT_EQ(volume_label(descriptor(std::string(32, 'x'))), std::string(32, 'x'));
  for (std::size_t i = 0; i < 7; ++i) {
    Bytes bad = good;
    bad[i] ^= 1;
    EXPECT_EQ(volume_label(bad), std::nullopt) << i;
  }
}

class FoundInviteTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(places_.block);
    fs::create_directories(places_.devices);
    places_.read_drive = [this](const fs::path& device) -> Result<Bytes> {
      asked_.push_back(device.filename().string());
      if (device.filename() == "vdb") return Error{ErrorCode::kNotFound, "none"};
      return to_bytes(view_of(std::string("of ") + device.filename().string()));
    };
  }
  void TearDown() override { fs::remove_all(folder_); }
  void add_drive(const std::string& name, const std::string& label, mode_t mode = 0660) {
    std::ofstream(places_.block / name) << "";
    Bytes drive(kVolumeAt, 0);
    const Bytes volume = descriptor(label);
    drive.insert(drive.end(), volume.begin(), volume.end());
    ASSERT_TRUE(write_file(places_.devices / name, drive, mode));
  }

  const fs::path folder_ = "/tmp/wow-found-invite-" + std::to_string(getpid());
  InvitePlaces places_{folder_ / "raw", folder_ / "block", folder_ / "dev", {}};
  std::vector<std::string> asked_;
};

TEST_F(FoundInviteTest, TheFirmwareComesFirst) {
  add_drive("vda", kDriveLabel);
  ASSERT_TRUE(write_file(places_.firmware, view_of(std::string("of the firmware"))));
  const auto found = find_invite(places_);
  ASSERT_TRUE(found);
  EXPECT_EQ(text_of(found->text), "of the firmware");
  EXPECT_NE(found->where.find("opt/wow/invite"), std::string::npos);
  EXPECT_TRUE(asked_.empty()) << "no drive is mounted for nothing";
}

TEST_F(FoundInviteTest, ThenTheFirstLabelledDriveThatHasOne) {
  add_drive("sda", "debian");
  add_drive("vdb", kDriveLabel);  // a cloud's own: no invite on it
  add_drive("vdc", kDriveLabel);
  add_drive("vdd", kDriveLabel);
  std::ofstream(places_.block / "sr0") << "";  // no disk inside
  std::ofstream(places_.block / "ram0") << "";
  std::ofstream(places_.devices / "ram0") << "small";
  const auto found = find_invite(places_);
  ASSERT_TRUE(found);
  EXPECT_EQ(text_of(found->text), "of vdc");
  EXPECT_NE(found->where.find("vdc"), std::string::npos);
  EXPECT_EQ(asked_, (std::vector<std::string>{"vdb", "vdc"}));
}

TEST_F(FoundInviteTest, ADriveThatEverybodyCanReadIsRefused) {
  add_drive("vda", kDriveLabel, 0664);
  const auto found = find_invite(places_);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::kPermission);
  EXPECT_TRUE(asked_.empty());
}

TEST_F(FoundInviteTest, NothingFoundSaysWhereItWasLookedFor) {
  add_drive("vdb", kDriveLabel);
  add_drive("vdc", "backup");
  const auto found = find_invite(places_);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::kNotFound);
  EXPECT_NE(found.error().message.find("labelled cidata"), std::string::npos);
  fs::remove_all(folder_);
  EXPECT_EQ(find_invite(places_).error().code, ErrorCode::kNotFound);
}

TEST(RunProgram, OneThatFailsIsQuotedByItsLastLine) {
  EXPECT_TRUE(run_program({"sh", "-c", "test \"$GREETING\" = hello"}, {"GREETING=hello"}));
  setenv("GREETING", "good evening", 1);
  EXPECT_TRUE(run_program({"sh", "-c", "test \"$GREETING\" = hello"}, {"GREETING=hello"}));
  unsetenv("GREETING");
  EXPECT_TRUE(run_program({"sh", "-c", "echo much; echo more >&2"}));
  const auto failed = run_program({"sh", "-c", "echo first; echo why >&2; echo; exit 3"});
  EXPECT_EQ(failed.error().code, ErrorCode::kIo);
  EXPECT_EQ(failed.error().message, "why");
  EXPECT_EQ(run_program({"sh", "-c", "kill -9 $$"}).error().message, "sh failed");
  const auto long_winded = run_program({"sh", "-c", "yes | head -c 1000000; printf end; exit 1"});
  EXPECT_EQ(long_winded.error().message, "end");
  EXPECT_EQ(run_program({"no-such-program-here"}).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace wow
