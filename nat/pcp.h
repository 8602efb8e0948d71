// The one request of the Port Control Protocol that a host behind a NAT needs: MAP (RFC 6887, 7 and
// 11). No library of Debian's has a client for it. Bytes only; who sends them and waits is
// nat/linux/port_mapper.h.
#pragma once

#include <array>
#include <chrono>
#include <optional>

#include "base/endpoint.h"

namespace wow {

inline constexpr std::uint16_t kPcpPort = 5351;
// To which routers say that they have restarted.
inline constexpr std::uint16_t kPcpAnnouncedPort = 5350;

using PcpNonce = std::array<std::uint8_t, 12>;

struct PcpMapRequest {
  static constexpr std::size_t kBytes = 60;

  IpAddress client;                 // the address that the request is sent from
  PcpNonce nonce{};                 // who deletes or renews must know it
  std::uint16_t inside_port = 0;    // UDP
  Endpoint suggested;               // outside; unset: any. Of the family that is wanted
  std::chrono::seconds lifetime{};  // zero deletes

  Bytes write() const;
};

struct PcpMapResponse {
  static constexpr std::uint8_t kSuccess = 0;
  static constexpr std::size_t kBytesMax = 1100;

  std::uint8_t result = 0;  // RFC 6887, 7.4
  PcpNonce nonce{};
  std::uint16_t inside_port = 0;
  Endpoint outside;
  std::chrono::seconds lifetime{};

  // Nothing if it is no answer to a MAP request for UDP, or of another version.
  static std::optional<PcpMapResponse> parse(ByteView packet);
};

}  // namespace wow
