// The tables that packet workers read: immutable snapshots, filled by the floors above (choice),
// looked up here (data).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/endpoint.h"
#include "tunnel/session.h"

namespace wow {

using MacAddress = std::array<std::uint8_t, 6>;

inline std::uint64_t mac_key(const std::uint8_t* mac) { return get_big_endian(mac, 6); }

// Where frames for one destination MAC go.
struct SendEntry {
  std::shared_ptr<SessionKeys> keys;
  Endpoint to;
  std::uint32_t circuit = 0;     // not 0: `to` is the relay's, which knows the way by this number
  std::size_t datagram_max = 0;  // larger ones go to the control thread, unsealed; 0: not known

  bool carries(std::size_t frame_bytes) const {
    return datagram_max == 0 || frame_bytes + kDataOverheadBytes <= datagram_max;
  }
};

// What may come in under one receiver index.
struct ReceiveEntry {
  std::shared_ptr<SessionKeys> keys;
  Endpoint from;  // the path in use; another source endpoint is reported to the control thread
  std::uint64_t source_mac = 0;  // the only inner source MAC allowed; 0: no frames taken by workers
  IpAddress source_ip;  // the only inner source IP allowed; unset: frames go to the control thread
  std::uint32_t circuit = 0;  // of the path in use; 0: it is direct
};

struct ForwardingTables {
  std::unordered_map<std::uint64_t, SendEntry> by_mac;
  std::unordered_map<std::uint32_t, ReceiveEntry> by_index;
  std::uint64_t own_mac = 0;
  IpAddress own_ip;  // frames for another IPv4 address go to the control thread
};

}  // namespace wow
