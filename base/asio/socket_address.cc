#include "base/asio/socket_address.h"

#include <netinet/in.h>

#include <cstring>

namespace wow {

SocketAddress to_sockaddr(const Endpoint& endpoint, bool v6) {
  SocketAddress out;
  if (v6) {
    auto& in6 = reinterpret_cast<sockaddr_in6&>(out.storage);
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(endpoint.port);
    std::memcpy(&in6.sin6_addr, endpoint.ip.mapped().data(), 16);
    out.length = sizeof in6;
  } else if (endpoint.ip.is_v4() || endpoint.ip.is_unspecified()) {
    auto& in4 = reinterpret_cast<sockaddr_in&>(out.storage);
    in4.sin_family = AF_INET;
    in4.sin_port = htons(endpoint.port);
    std::memcpy(&in4.sin_addr, endpoint.ip.mapped().data() + 12, 4);
    out.length = sizeof in4;
  }
  return out;
}

Endpoint to_endpoint(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET6) {
    const auto& in6 = reinterpret_cast<const sockaddr_in6&>(storage);
    return {IpAddress::v6({reinterpret_cast<const std::uint8_t*>(&in6.sin6_addr), 16}),
            ntohs(in6.sin6_port)};
  }
  const auto& in4 = reinterpret_cast<const sockaddr_in&>(storage);
  return {IpAddress::v4(ntohl(in4.sin_addr.s_addr)), ntohs(in4.sin_port)};
}

}  // namespace wow
