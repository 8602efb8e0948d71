// What the daemon gives up once TAP and sockets are open: root (it becomes the user wow and keeps
// CAP_NET_ADMIN alone), new privileges, core dumps, and the system calls that it never needs.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"

namespace wow {

inline constexpr const char* kDaemonUser = "wow";

struct UserIds {
  unsigned uid = 0;
  unsigned gid = 0;
};
// Nothing if there is no such user (a machine set up by hand, a namespace of root alone): the
// daemon then stays root and says so.
std::optional<UserIds> find_user(const std::string& name);
// The owner's group of the control socket; -1 if there is no group of that name.
int find_group(const std::string& name);

// Keys must not reach the disk: no core dumps, no ptrace by other users.
void forbid_core_dumps();
// Single-threaded still. Keeps CAP_NET_ADMIN if `keep_net_admin`.
Result<void> become_user(const UserIds& user, bool keep_net_admin);
// Refuses (EPERM) starting programs, mounting, tracing, loading code into the kernel, io_uring. All
// threads to come.
Result<void> restrict_system_calls();

}  // namespace wow
