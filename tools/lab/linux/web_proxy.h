// An HTTP proxy such as companies have: CONNECT to port 443 and nothing else, with or without a
// password (RFC 9110, 9.3.6; RFC 7617). For laboratories.
#pragma once

#include <cstdint>
#include <string>

namespace wow::lab {

// Serves at `port` of all IPv4 addresses until it is killed. `login`: "user:password", or empty.
// Throws if the port cannot be had.
[[noreturn]] void run_web_proxy(std::uint16_t port, const std::string& login);

}  // namespace wow::lab
