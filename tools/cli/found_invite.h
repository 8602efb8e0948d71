// The invite that whoever runs this virtual machine has handed to it: `--invite auto`.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "base/bytes.h"
#include "base/error.h"

namespace wow {

// Where to look; tests look elsewhere.
struct InvitePlaces {
  // QEMU: -fw_cfg name=opt/wow/invite,file=INVITE; the kernel lets root alone read it.
  std::filesystem::path firmware = "/sys/firmware/qemu_fw_cfg/by_name/opt/wow/invite/raw";
  std::filesystem::path block = "/sys/class/block";  // names of drives
  std::filesystem::path devices = "/dev";
  // Reads kDriveInvite of a drive; kNotFound: it has none. By default it is mounted, read-only and
  // in no folder at all, so that nobody else sees it, for as long as that takes (root only).
  std::function<Result<Bytes>(const std::filesystem::path& device)> read_drive;
};

struct FoundInvite {
  Bytes text;
  std::string where;  // for people
};

// The firmware's; else that of the first drive whose label is kDriveLabel and that has one. A drive
// that everybody can read is refused. kNotFound: there is none, and what could be done.
Result<FoundInvite> find_invite(const InvitePlaces& places = {});

}  // namespace wow
