// Somewhere on the net as people write it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace wow {

struct HostPort {
  std::string host;  // an address, or a name
  std::uint16_t port = 0;

  // "198.51.100.7:443", "[2001:db8::7]:443" or "pool.example:443". Any name that is not empty,
  // and has no colon.
  static std::optional<HostPort> parse(std::string_view text);
  std::string text() const;  // the same
  bool operator==(const HostPort&) const = default;
};

}  // namespace wow
