// What is given up cannot be had back, so each test gives it up in a child.
#include "tools/daemon/privileges.h"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

namespace wow {
namespace {

// The line that failed in the child; 0 if none did.
int in_child(const std::function<int()>& part) {
  const pid_t child = fork();
  if (child == 0) _exit(part());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
#define CHECK_HERE(condition) \
  if (!(condition)) return __LINE__ % 200

std::string status_line(const std::string& key) {
  std::ifstream in("/proc/thread-self/status");
  for (std::string line; std::getline(in, line);)
    if (line.rfind(key + ":", 0) == 0)
      return line.substr(line.find_first_not_of(" \t", key.size() + 1));
  return "";
}

TEST(Users, AreFoundByName) {
  const auto root = find_user("root");
  ASSERT_TRUE(root);
  EXPECT_EQ(root->uid, 0u);
  EXPECT_EQ(root->gid, 0u);
  EXPECT_EQ(find_group("root"), 0);
}

TEST(Users, WhoDoesNotExistIsNobody) {
  for (const std::string name : {"no-such-user", "", "root:x", "roo"}) {
    EXPECT_FALSE(find_user(name)) << name;
    EXPECT_EQ(find_group(name), -1) << name;
  }
}

TEST(CoreDumps, AreForbiddenWithTheirMemory) {
  EXPECT_EQ(in_child([] {
              forbid_core_dumps();
              rlimit limit{};
              getrlimit(RLIMIT_CORE, &limit);
              CHECK_HERE(limit.rlim_cur == 0 && limit.rlim_max == 0);
              CHECK_HERE(prctl(PR_GET_DUMPABLE) == 0);
              return 0;
            }),
            0);
}

TEST(BecomeUser, KeepsOneCapabilityAndNoWayBack) {
  if (geteuid() != 0) GTEST_SKIP() << "not root";
  const auto user = find_user(kDaemonUser) ? find_user(kDaemonUser) : find_user("nobody");
  if (!user) GTEST_SKIP() << "there is neither user wow nor nobody in this namespace";
  const int line = in_child([&user] {
    CHECK_HERE(become_user(*user, true));
    CHECK_HERE(getuid() == user->uid && geteuid() == user->uid && getgid() == user->gid);
    CHECK_HERE(getgroups(0, nullptr) == 0);
    const auto capabilities = std::stoull(status_line("CapEff"), nullptr, 16);
    CHECK_HERE(capabilities == 1ull << CAP_NET_ADMIN);
    CHECK_HERE(std::stoull(status_line("CapPrm"), nullptr, 16) == capabilities);
    CHECK_HERE(setuid(0) != 0);
    CHECK_HERE(prctl(PR_GET_DUMPABLE) == 0);
    return 0;
  });
  EXPECT_EQ(line, 0);
}

TEST(BecomeUser, ARouterKeepsNothing) {
  if (geteuid() != 0) GTEST_SKIP() << "not root";
  const auto user = find_user("nobody");
  if (!user) GTEST_SKIP() << "there is no user nobody in this namespace";
  const int line = in_child([&user] {
    CHECK_HERE(become_user(*user, false));
    CHECK_HERE(std::stoull(status_line("CapPrm"), nullptr, 16) == 0);
    return 0;
  });
  EXPECT_EQ(line, 0);
}

TEST(BecomeUser, WithoutRootItIsAnError) {
  EXPECT_EQ(in_child([] {
              __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
              __user_cap_data_struct none[2] = {};
              CHECK_HERE(syscall(SYS_capset, &header, none) == 0);
              const auto done = become_user({1, 1}, true);
              CHECK_HERE(!done && done.error().code == ErrorCode::kPermission);
              return 0;
            }),
            0);
}

TEST(SystemCalls, ThoseThatTheDaemonNeverNeedsAreRefused) {
  EXPECT_EQ(in_child([] {
              CHECK_HERE(restrict_system_calls());
              CHECK_HERE(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
              char* const none[] = {nullptr};
              CHECK_HERE(execve("/bin/true", none, none) == -1 && errno == EPERM);
              CHECK_HERE(unshare(CLONE_NEWUTS) == -1 && errno == EPERM);
              CHECK_HERE(syscall(SYS_mount, "a", "/", "tmpfs", 0, nullptr) == -1 && errno == EPERM);
              CHECK_HERE(syscall(SYS_io_uring_setup, 1, nullptr) == -1 && errno == EPERM);
              CHECK_HERE(syscall(SYS_bpf, 0, nullptr, 0) == -1 && errno == EPERM);
              // The same by the numbers of the x32 ABI.
              CHECK_HERE(syscall(0x40000000 | SYS_getpid) == -1 && errno == EPERM);
              return 0;
            }),
            0);
}

TEST(SystemCalls, WhatTheDaemonNeedsStaysAndThreadsAreBoundToo) {
  EXPECT_EQ(in_child([] {
              CHECK_HERE(restrict_system_calls());
              CHECK_HERE(std::ifstream("/proc/self/status").good());
              CHECK_HERE(socket(AF_INET, SOCK_DGRAM, 0) >= 0);
              int error = 0;
              std::thread([&error] {
                char* const none[] = {nullptr};
                error = execve("/bin/true", none, none) == -1 ? errno : 0;
              }).join();
              CHECK_HERE(error == EPERM);
              return 0;
            }),
            0);
}

}  // namespace
}  // namespace wow
