#include "tap/linux/helper_process.h"

#include <dirent.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace wow {
namespace {

// The child must not hold the daemon's descriptors open: a pipe's end, a port, a lock.
void close_all_but(int keep) {
  DIR* folder = opendir("/proc/self/fd");
  if (folder == nullptr) return;
  std::vector<int> open_now;
  while (const dirent* entry = readdir(folder)) {
    const int fd = std::atoi(entry->d_name);
    if (fd > STDERR_FILENO && fd != keep && fd != dirfd(folder)) open_now.push_back(fd);
  }
  closedir(folder);
  for (const int fd : open_now) close(fd);
}

Error cannot(const char* what, const char* name) {
  return {ErrorCode::kIo, std::string("cannot ") + what + " " + name + ": " + std::strerror(errno)};
}

}  // namespace

Result<HelperProcess> fork_helper(const char* name, int socket_type,
                                  const std::function<void(int fd)>& serve) {
  int ends[2];
  if (socketpair(AF_UNIX, socket_type | SOCK_CLOEXEC, 0, ends) != 0)
    return cannot("make a socket pair for", name);
  const pid_t child = fork();
  if (child < 0) {
    const Error error = cannot("start", name);
    close(ends[0]);
    close(ends[1]);
    return error;
  }
  if (child == 0) {
    setsid();
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    prctl(PR_SET_NAME, name);
    close_all_but(ends[1]);
    serve(ends[1]);
    _exit(0);
  }
  close(ends[1]);
  return HelperProcess{ends[0], child};
}

void end_helper(const HelperProcess& helper) {
  close(helper.fd);
  waitpid(helper.child, nullptr, 0);
}

}  // namespace wow
