#include "tools/cli/config_drive.h"

#include "base/asio/files.h"
#include "tools/cli/paths.h"
#include "tools/cli/private_folder.h"
#include "tools/cli/run_program.h"

namespace wow {
namespace {

// As a block of YAML below a key.
SecretText indented(const SecretText& text) {
  SecretText out;
  bool begins = true;
  for (const char c : text) {
    if (begins && c != '\n') out += "    ";
    out += c;
    begins = c == '\n';
  }
  return out;
}

SecretText user_data(const Invite& invite) {
  const std::string& pool = invite.settings().name();
  const std::string file = "/etc/wow/" + pool + ".invite";
  SecretText out = "#cloud-config\n# Joins pool ";
  out += pool + " at the first boot; later ones find a member, which stays one.\n";
  out += "write_files:\n- path: " + file + "\n  permissions: '0600'\n  content: |\n";
  out += indented(invite.to_text());
  out += "- path: /var/lib/cloud/scripts/per-boot/wow-" + pool +
         "\n  permissions: '0700'\n  content: |\n    #!/bin/sh\n    exec wow up " + pool +
         " --invite " + file + "\n";
  return out;
}

}  // namespace

std::vector<DriveFile> drive_files(const Invite& invite) {
  SecretText meta = "instance-id: wow-";
  meta += invite.explain().id + "\n";
  return {{"user-data", user_data(invite)},
          {"meta-data", std::move(meta)},
          {kDriveInvite, invite.to_text()}};
}

Result<Bytes> make_drive(const Invite& invite) {
  const PrivateFolder folder;
  if (folder.path().empty())
    return Error{ErrorCode::kIo, "cannot make a temporary folder: is $TMPDIR one?"};
  const auto files = folder.path() / "files", image = folder.path() / "image";
  if (auto done = make_directory(files, true); !done) return done.error();
  for (const DriveFile& file : drive_files(invite)) {
    if (auto done = write_file(files / file.name, view_of(file.text)); !done) return done.error();
  }
  // Rock Ridge keeps names and modes.
  const auto made = run_program({"xorrisofs", "-quiet", "-volid", kDriveLabel, "-rock", "-uid", "0",
                                 "-gid", "0", "-no-pad", "-o", image.string(), files.string()});
  if (made) return read_file(image);
  if (made.error().code != ErrorCode::kNotFound) return made.error();
  return Error{ErrorCode::kNotFound,
               "the program xorrisofs, which makes the drive, is missing: apt install xorriso"};
}

// ECMA-119, 8.4: | type 1 | "CD001" 5 | version 1 | unused 1 | system 32 | volume 32 | ... |
std::optional<std::string> volume_label(ByteView descriptor) {
  constexpr std::string_view kPrimary("\001CD001\001", 7);
  constexpr std::size_t kLabelAt = 40, kLabelBytes = 32;
  const std::string_view text = text_of(descriptor);
  if (text.size() < kLabelAt + kLabelBytes || text.substr(0, kPrimary.size()) != kPrimary)
    return std::nullopt;
  std::string label(text.substr(kLabelAt, kLabelBytes));
  label.erase(label.find_last_not_of(' ') + 1);
  return label;
}

}  // namespace wow
