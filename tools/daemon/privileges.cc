#include "tools/daemon/privileges.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <sstream>
#include <vector>

namespace wow {
namespace {

#if defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#endif

// /etc/passwd and /etc/group by hand: getpwnam needs NSS, which a static program does not have.
std::vector<std::string> find_line(const char* file, const std::string& name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    std::vector<std::string> fields;
    std::istringstream parts(line);
    for (std::string field; std::getline(parts, field, ':');) fields.push_back(field);
    if (fields.size() >= 3 && fields[0] == name) return fields;
  }
  return {};
}

std::optional<unsigned> number(const std::string& text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Whether this user namespace has the id: in a container of one user others do not exist, whatever
// its files say (user_namespaces(7)).
bool is_mapped(const char* map_file, unsigned id) {
  std::ifstream map(map_file);
  if (!map) return true;
  for (std::uint64_t inside, outside, count; map >> inside >> outside >> count;) {
    if (id >= inside && id - inside < count) return true;
  }
  return false;
}

Error failed(const char* what) {
  return Error{ErrorCode::kPermission, std::string("cannot ") + what + ": " + std::strerror(errno)};
}

bool set_capabilities(std::uint32_t mask) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
  data[0].effective = data[0].permitted = mask;
  return syscall(SYS_capset, &header, data.data()) == 0;
}

}  // namespace

std::optional<UserIds> find_user(const std::string& name) {
  const auto fields = find_line("/etc/passwd", name);
  if (fields.size() < 4) return std::nullopt;
  const auto uid = number(fields[2]), gid = number(fields[3]);
  if (!uid || !gid || !is_mapped("/proc/self/uid_map", *uid) ||
      !is_mapped("/proc/self/gid_map", *gid))
    return std::nullopt;
  return UserIds{*uid, *gid};
}

int find_group(const std::string& name) {
  const auto fields = find_line("/etc/group", name);
  const auto gid = fields.size() >= 3 ? number(fields[2]) : std::nullopt;
  return gid && is_mapped("/proc/self/gid_map", *gid) ? static_cast<int>(*gid) : -1;
}

void forbid_core_dumps() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0);
}

Result<void> become_user(const UserIds& user, bool keep_net_admin) {
  if (keep_net_admin && prctl(PR_SET_KEEPCAPS, 1) != 0) return failed("keep capabilities");
  if (syscall(SYS_setgroups, 0, nullptr) != 0) return failed("drop groups");
  if (setresgid(user.gid, user.gid, user.gid) != 0) return failed("become group wow");
  if (setresuid(user.uid, user.uid, user.uid) != 0) return failed("become user wow");
  if (!set_capabilities(keep_net_admin ? 1u << CAP_NET_ADMIN : 0))
    return failed("drop capabilities");
  // A change of user makes a process undumpable in its own way; say again what we want.
  forbid_core_dumps();
  return {};
}

Result<void> restrict_system_calls() {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed("refuse new privileges");
  static constexpr std::array kRefused = {SYS_execve,
                                          SYS_execveat,
                                          SYS_ptrace,
                                          SYS_process_vm_readv,
                                          SYS_process_vm_writev,
                                          SYS_mount,
                                          SYS_umount2,
                                          SYS_open_tree,
                                          SYS_move_mount,
                                          SYS_fsopen,
                                          SYS_fsmount,
                                          SYS_fspick,
                                          SYS_mount_setattr,
                                          SYS_pivot_root,
                                          SYS_chroot,
                                          SYS_init_module,
                                          SYS_finit_module,
                                          SYS_delete_module,
                                          SYS_kexec_load,
                                          SYS_kexec_file_load,
                                          SYS_reboot,
                                          SYS_bpf,
                                          SYS_perf_event_open,
                                          SYS_userfaultfd,
                                          SYS_open_by_handle_at,
                                          SYS_keyctl,
                                          SYS_add_key,
                                          SYS_unshare,
                                          SYS_setns,
                                          SYS_io_uring_setup,
                                          SYS_io_uring_enter,
                                          SYS_io_uring_register};
  std::vector<sock_filter> program = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      // The x32 ABI counts the same calls from here.
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
  };
  for (const int number : kRefused) {
    program.push_back(
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number), 0, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
    return failed("restrict system calls");
  return {};
}

}  // namespace wow
