// Endpoints as the kernel's socket calls take and give them.
#pragma once

#include <sys/socket.h>

#include "base/endpoint.h"

namespace wow {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// For a socket of IPv6 (`v6`), which takes IPv4 as mapped addresses (RFC 4291, 2.5.5.2), or of
// IPv4. Of length 0, which the kernel refuses, for an IPv6 endpoint on a socket without IPv6.
SocketAddress to_sockaddr(const Endpoint& endpoint, bool v6);
// What the kernel filled in: of IPv4 or IPv6.
Endpoint to_endpoint(const sockaddr_storage& storage);

}  // namespace wow
