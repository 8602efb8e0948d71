// A child that keeps the root which the daemon gives up, for one small task: it lives as long as
// the daemon's end of a socket is open, and hears nothing of the signals to the daemon's group.
#pragma once

#include <sys/types.h>

#include <functional>

#include "base/error.h"

namespace wow {

struct HelperProcess {
  int fd = -1;  // the daemon's end; closing it ends the child
  pid_t child = -1;
};

// Forks: call it before threads and sockets are made. `name` is its name in ps(1), at most 15
// bytes; `socket_type` SOCK_STREAM or SOCK_SEQPACKET. `serve` runs in the child with its end, and
// should return when that says that the other is closed. kIo if there can be no child.
Result<HelperProcess> fork_helper(const char* name, int socket_type,
                                  const std::function<void(int fd)>& serve);

// Closes the daemon's end and waits for the child.
void end_helper(const HelperProcess& helper);

}  // namespace wow
