#include "tools/cli/found_invite.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include "base/asio/descriptor.h"
#include "base/asio/files.h"
#include "tools/cli/config_drive.h"
#include "tunnel/identity/armor.h"

namespace wow {
namespace {

namespace fs = std::filesystem;

// fsmount(2): a mount that is in no folder, and gone when the last descriptor of it is closed.
Result<Bytes> read_mounted(const fs::path& device) {
  const auto failed = [&device] {
    return Error{ErrorCode::kPermission, "cannot mount " + device.string() + " to read its " +
                                             kDriveInvite + ": " + std::strerror(errno) +
                                             "; mount it, and give --invite the file"};
  };
  const Descriptor context(fsopen("iso9660", FSOPEN_CLOEXEC));
  if (!context.valid() ||
      fsconfig(context.get(), FSCONFIG_SET_STRING, "source", device.c_str(), 0) != 0 ||
      fsconfig(context.get(), FSCONFIG_SET_FLAG, "ro", nullptr, 0) != 0 ||
      fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
    return failed();
  const Descriptor mounted(
      fsmount(context.get(), FSMOUNT_CLOEXEC,
              MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
  if (!mounted.valid()) return failed();
  const Descriptor file(openat(mounted.get(), kDriveInvite, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!file.valid() && errno == ENOENT) return Error{ErrorCode::kNotFound, "no invite"};
  if (!file.valid()) return failed();
  return read_file("/proc/self/fd/" + std::to_string(file.get()), kArmorBytesMax);
}

std::optional<std::string> label_of(const fs::path& device) {
  const Descriptor file(open(device.c_str(), O_RDONLY | O_CLOEXEC));
  std::uint8_t head[kVolumeBytes];
  if (!file.valid() || pread(file.get(), head, sizeof head, kVolumeAt) != sizeof head)
    return std::nullopt;
  return volume_label(head);
}

std::vector<std::string> drives(const fs::path& block) {
  std::vector<std::string> out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(block, error))
    out.push_back(entry.path().filename().string());
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

Result<FoundInvite> find_invite(const InvitePlaces& places) {
  auto text = read_file(places.firmware, kArmorBytesMax);
  if (text) return FoundInvite{std::move(*text), "QEMU's firmware (opt/wow/invite)"};
  if (text.error().code != ErrorCode::kNotFound) return text.error();
  for (const std::string& name : drives(places.block)) {
    const fs::path device = places.devices / name;
    if (label_of(device) != kDriveLabel) continue;
    struct stat info {};
    if (stat(device.c_str(), &info) != 0 || (info.st_mode & 07) != 0)
      return Error{ErrorCode::kPermission,
                   device.string() +
                       " can be read by everybody, and whoever reads the invite on "
                       "it can join the pool: `chmod o= " +
                       device.string() + "` first, and make a new invite if somebody may have"};
    auto read = places.read_drive ? places.read_drive(device) : read_mounted(device);
    if (read) return FoundInvite{std::move(*read), "the drive " + device.string()};
    if (read.error().code != ErrorCode::kNotFound) return read.error();
  }
  return Error{ErrorCode::kNotFound,
               std::string("no invite was handed to this machine: neither by QEMU's firmware (is "
                           "the module qemu_fw_cfg loaded?) nor by a drive labelled ") +
                   kDriveLabel + " with " + kDriveInvite + " on it" +
                   (geteuid() == 0 ? "" : ", as far as others than root can see")};
}

}  // namespace wow
