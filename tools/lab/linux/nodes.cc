#include "tools/lab/linux/nodes.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "tools/lab/linux/system.h"

namespace wow::lab {

namespace fs = std::filesystem;

namespace {

constexpr const char* kSource = "lab";  // what `mount` shows

void make_folder(const fs::path& path, mode_t mode) {
  fs::create_directories(path);
  chmod(path.c_str(), mode);
}

std::string machine_id() {
  std::string id = read_text("/proc/sys/kernel/random/uuid");
  id.erase(std::remove(id.begin(), id.end(), '-'), id.end());
  return id;
}

// The files that a host begins with.
void furnish(const std::string& name, const fs::path& folder) {
  const fs::path home = folder / "hosts" / name;
  for (const char* part : {"etc/wow", "var", "run", ".work/etc", ".work/var"})
    make_folder(home / part, 0755);
  make_folder(home / "tmp", 01777);
  make_folder(home / "root", 0700);
  if (fs::exists(folder / "ssh/config")) {
    make_folder(home / "root/.ssh", 0700);
    for (const char* file : {"id_ed25519", "authorized_keys", "config"})
      fs::copy_file(folder / "ssh" / file, home / "root/.ssh" / file);
  }
  write_text(home / "etc/hosts", "127.0.0.1 localhost\n::1 localhost\n");
  write_text(home / "etc/hostname", name + "\n");
  write_text(home / "etc/resolv.conf", "");
  write_text(home / "etc/machine-id", machine_id());
}

// What the host sees. Overlays, not bind-mounted files: a program may replace /etc/hosts by
// renaming another file over it.
void mount_tree(const std::string& name, const fs::path& folder) {
  const fs::path home = folder / "hosts" / name;
  mount_or_fail(kSource, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  for (const std::string tree : {"etc", "var"}) {
    const std::string options = "lowerdir=/" + tree + ",upperdir=" + (home / tree).string() +
                                ",workdir=" + (home / ".work" / tree).string();
    mount_or_fail(kSource, "/" + tree, "overlay", 0, options.c_str());
  }
  mount_or_fail((home / "root").c_str(), "/root", nullptr, MS_BIND, nullptr);
  mount_or_fail((home / "tmp").c_str(), "/tmp", nullptr, MS_BIND, nullptr);
  mount_or_fail(kSource, "/dev/shm", "tmpfs", 0, "mode=1777");
  const fs::path run = home / "run";
  mount_or_fail(kSource, run, "tmpfs", 0, "mode=755");
  for (const char* part : {"lab", "lock", "sshd"}) make_folder(run / part, 0755);
  mount_or_fail(folder.c_str(), run / "lab", nullptr, MS_BIND, nullptr);
  // Scripts ask it for the laboratory's process numbers.
  mount_or_fail("/proc", run / "lab/proc", nullptr, MS_BIND, nullptr);
  mount_or_fail(run.c_str(), "/run", nullptr, MS_BIND | MS_REC, nullptr);
  mount_or_fail("proc", "/proc", "proc", 0, nullptr);
  mount_or_fail("sysfs", "/sys", "sysfs", MS_RDONLY, nullptr);
}

// Process 1 of a host.
int be_host(const std::string& name, const fs::path& folder, int ready) {
  try {
    if (sethostname(name.c_str(), name.size()) != 0) fail_with_errno("cannot name " + name);
    mount_tree(name, folder);
    trust_addresses();
    set_loopback_up();
  } catch (const std::exception& error) {
    write_all(ready, "failed: host " + name + ": " + error.what());
    return 1;
  }
  if (chdir("/") != 0) return 1;
  become_service("wow-lab host " + name, {ready});
  write_all(ready, "ready");
  close(ready);
  hold_for_ever();
}

struct Booting {
  pid_t helper;
  Fd said;
};

// The helper makes the namespaces and says the number of their first process; that says "ready".
Booting begin_host(const std::string& name, const fs::path& folder) {
  furnish(name, folder);
  Pipe pipe = make_pipe();
  const pid_t helper = fork_to([&] {
    if (unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWPID) != 0)
      fail_with_errno("no new namespaces");
    const pid_t host = fork_to([&] { return be_host(name, folder, pipe.write.get()); });
    write_all(pipe.write.get(), std::to_string(host) + " ");
    return 0;
  });
  return {helper, std::move(pipe.read)};
}

pid_t end_boot(const std::string& name, const Booting& booting) {
  const std::string said = read_all(booting.said.get());
  wait_for(booting.helper);
  // Either may write first.
  if (const auto failed = said.find("failed: "); failed != std::string::npos)
    throw LabError(said.substr(failed + 8));
  const auto digit = said.find_first_of("0123456789");
  if (said.find("ready") == std::string::npos || digit == std::string::npos)
    throw LabError("host " + name + " did not start");
  return static_cast<pid_t>(std::stol(said.substr(digit)));
}

}  // namespace

pid_t boot_router(const std::string& name) {
  Pipe pipe = make_pipe();
  const pid_t router = fork_to([&] {
    if (unshare(CLONE_NEWNET | CLONE_NEWUTS) != 0) fail_with_errno("no new network namespace");
    if (sethostname(name.c_str(), name.size()) != 0) fail_with_errno("cannot name " + name);
    trust_addresses();
    set_loopback_up();
    become_service("wow-lab router " + name, {pipe.write.get()});
    write_all(pipe.write.get(), "ready");
    pipe.write.reset();
    hold_for_ever();
    return 1;
  });
  pipe.write.reset();
  if (read_all(pipe.read.get()) != "ready") throw LabError("router " + name + " did not start");
  return router;
}

std::vector<pid_t> boot_hosts(const std::vector<std::string>& names, const fs::path& folder) {
  std::vector<Booting> booting;
  for (const std::string& name : names) booting.push_back(begin_host(name, folder));
  std::vector<pid_t> out;
  for (std::size_t i = 0; i < names.size(); ++i) out.push_back(end_boot(names[i], booting[i]));
  return out;
}

}  // namespace wow::lab
