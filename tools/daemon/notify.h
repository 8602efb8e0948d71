// Says READY, STATUS and STOPPING to systemd, if it started us: one datagram to $NOTIFY_SOCKET
// (sd_notify(3)).
#pragma once

#include <string>

namespace wow {
void notify_systemd(const std::string& state);
}
