// The tables that packet workers read, entry by entry as the floors above change them (choice);
// looked up here (data).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>

#include "base/endpoint.h"
#include "base/quiet_points.h"
#include "base/shared_table.h"
#include "tunnel/sent_lately.h"
#include "tunnel/session.h"

namespace wow {

using MacAddress = std::array<std::uint8_t, 6>;

inline std::uint64_t mac_key(const std::uint8_t* mac) { return get_big_endian(mac, 6); }

// Where frames for one destination MAC go.
struct SendEntry {
  std::shared_ptr<SessionKeys> keys;
  Endpoint to;                   // a stream's: the worker seals, the control thread sends
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
  IpAddress source_ip6 = {};  // as source_ip, of IPv6
};

// The control thread changes them; worker n reads them as reader n of `readers`.
struct ForwardingTables {
  static constexpr std::size_t kSentLatelyMax = 1024;  // packets of each worker

  explicit ForwardingTables(int workers) : readers(workers) {
    for (int i = 0; i < workers; ++i) sent_lately.emplace_back(kSentLatelyMax);
  }

  QuietPoints readers;
  SharedTable<SendEntry> by_mac{readers};       // mac_key() of the destination
  SharedTable<ReceiveEntry> by_index{readers};  // our receiver index
  std::deque<SentLately> sent_lately;           // each worker's own, read when a relay dies
  std::uint64_t own_mac = 0;                    // set before the first worker begins
  // IpAddress::v4_value(): frames for another IPv4 address go to the control thread. 0: none is
  // ours now, and all do.
  std::atomic<std::uint32_t> own_ip{0};
  IpAddress own_ip6;  // likewise, while own_ip is not 0. Set before the first worker begins
};

}  // namespace wow
