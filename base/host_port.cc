#include "base/host_port.h"

#include <charconv>

#include "base/endpoint.h"

namespace wow {

std::optional<HostPort> HostPort::parse(std::string_view text) {
  if (const auto endpoint = Endpoint::parse(text))
    return HostPort{endpoint->ip.text(), endpoint->port};
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  HostPort out{std::string(text.substr(0, colon))};
  const std::string_view port = text.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (error != std::errc() || end != port.data() + port.size() || out.port == 0)
    return std::nullopt;
  return out;
}

std::string HostPort::text() const {
  const bool is_ipv6 = host.find(':') != host.npos;
  return (is_ipv6 ? "[" + host + "]:" : host + ":") + std::to_string(port);
}

}  // namespace wow
