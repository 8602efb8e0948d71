// A small drive that hands an invite to a virtual machine: an ISO 9660 image as cloud-init's
// NoCloud data source wants it, with the bare invite beside, for machines without cloud-init. Pure,
// but for make_drive.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "tunnel/identity/invite.h"

namespace wow {

inline constexpr const char* kDriveLabel = "cidata";       // NoCloud looks for this name
inline constexpr const char* kDriveInvite = "wow.invite";  // the bare invite on it

struct DriveFile {
  std::string name;
  SecretText text;
};

// user-data, meta-data and the invite. By the first, cloud-init writes the invite (mode 0600) and
// runs `wow up` at each boot; by the second it takes a drive with another invite for another
// machine's, and begins anew.
std::vector<DriveFile> drive_files(const Invite& invite);

// The image. Needs Debian's xorriso: the error says so.
Result<Bytes> make_drive(const Invite& invite);

// The volume label of an ISO 9660 file system, by 2 KiB at kVolumeAt of its drive; nothing if that
// is none.
inline constexpr long kVolumeAt = 32768;
inline constexpr std::size_t kVolumeBytes = 2048;
std::optional<std::string> volume_label(ByteView descriptor);

}  // namespace wow
