// image: what a virtual machine is booted with. `image config` makes a small drive with an invite,
// `image guest` a small guest with this very program inside.
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <iostream>

#include "base/asio/files.h"
#include "tools/cli/commands.h"
#include "tools/cli/config_drive.h"
#include "tools/cli/private_folder.h"
#include "tools/cli/run_program.h"
#include "tools/guest/guest_files.h"

namespace wow {
namespace {

namespace fs = std::filesystem;

struct ImageArguments {
  std::string invite;
  std::string out;
  std::string kernel;
  bool force = false;
};

void check_free(const fs::path& path, bool force) {
  std::error_code error;
  if (!force && fs::exists(fs::symlink_status(path, error)))
    throw CommandError(path.string() + " is there already: --force replaces it");
}

// What a machine would find out when it boots.
void check_good(const std::string& file, const InviteFacts& facts) {
  const auto now = std::chrono::system_clock::now();
  if (facts.closed) throw CommandError(file + ": this invite is closed: nobody joins by it");
  if (facts.join_by && *facts.join_by < now)
    throw CommandError(file + ": this invite was good for joining until " +
                       date_text(*facts.join_by));
}

void make_config(const ImageArguments& arguments) {
  const Invite invite = load_secret_invite(arguments.invite);
  const InviteFacts facts = invite.explain();
  check_good(arguments.invite, facts);
  const fs::path out = arguments.out.empty() ? facts.pool + ".iso" : arguments.out;
  check_free(out, arguments.force);
  value_or_throw(write_file(out, value_or_throw(make_drive(invite))));
  std::cout << "A drive that admits machines to pool " << facts.pool << ": " << out.string()
            << ". Whoever has it can join.\n"
            << "Next: qemu-system-x86_64 ... -drive if=virtio,format=raw,readonly=on,file="
            << out.string() << "\n"
            << "In the guest, cloud-init does the rest; without it: wow up --invite auto\n";
}

void make_guest(const ImageArguments& arguments) {
  const fs::path out = arguments.out;
  check_free(out / "kernel", arguments.force);
  check_free(out / "initrd", arguments.force);
  const PrivateFolder folder;
  if (folder.path().empty()) throw CommandError("cannot make a temporary folder: is $TMPDIR one?");
  for (const GuestFile& file : guest_files())
    value_or_throw(write_file(folder.path() / file.name, view_of(file.text)));
  value_or_throw(run_program(
      {"bash", folder.path() / "make-image", out.string()},
      {"WOW=" + fs::read_symlink("/proc/self/exe").string(), "KERNEL=" + arguments.kernel}));
  std::cout << "A guest: " << (out / "kernel").string() << " and " << (out / "initrd").string()
            << ".\n"
            << "Next: qemu-system-x86_64 -m 192 -nographic -kernel " << (out / "kernel").string()
            << " -initrd " << (out / "initrd").string() << " -append console=ttyS0 \\\n"
            << "        -nic user,model=virtio-net-pci "
               "-fw_cfg name=opt/wow/invite,file=INVITE\n";
}

}  // namespace

void add_image_commands(CLI::App& app, CommandContext&) {
  CLI::App* image =
      app.add_subcommand("image", "Make what a virtual machine boots with to be in a pool")
          ->require_subcommand(1);

  auto drive = std::make_shared<ImageArguments>();
  CLI::App* config = image->add_subcommand(
      "config", "Make a small drive with an invite, for cloud-init or `wow up --invite auto`");
  config->add_option("INVITE", drive->invite, "The invite file (mode 0600)")->required();
  config->add_option("-o,--output", drive->out, "The drive (mode 0600); default: POOL.iso");
  config->add_flag("--force", drive->force, "Replace a file that is there");
  config->callback([drive] { make_config(*drive); });

  auto made = std::make_shared<ImageArguments>();
  CLI::App* guest = image->add_subcommand(
      "guest", "Make a small bootable guest with this program inside: kernel and initrd");
  guest->add_option("-o,--output", made->out, "Folder for the two files")->required();
  guest->add_option("--kernel", made->kernel,
                    "Debian's package of a kernel for clouds (linux-image-*-cloud-amd64_*.deb); "
                    "default: the one that tools/setup --guests keeps");
  guest->add_flag("--force", made->force, "Replace files that are there");
  guest->callback([made] { make_guest(*made); });
}

}  // namespace wow
