// ARP for IPv4 over Ethernet (RFC 826), answered locally: requests never cross the overlay.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/endpoint.h"
#include "tunnel/forwarding.h"

namespace wow {

// | hardware 2 | protocol 2 | lengths 1 1 | op 2 | sender 6 4 | target 6 4 |
struct ArpPacket {
  static constexpr std::uint16_t kRequest = 1, kReply = 2;

  std::uint16_t op = 0;
  MacAddress sender_mac{}, target_mac{};
  IpAddress sender_ip, target_ip;

  static std::optional<ArpPacket> parse(ByteView payload);
  Bytes write() const;
};

// The whole frame that tells `asker` that `ip` is at `mac`.
Bytes write_arp_reply(const MacAddress& asker_mac, const IpAddress& asker_ip, const IpAddress& ip,
                      const MacAddress& mac);

}  // namespace wow
