// DHCP for guests on a bridge (RFC 2131, options of RFC 2132): answered at home, from leases that
// the store keeps. It remembers nothing itself, so whichever host a guest has moved to can go on.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>

#include "base/clock.h"
#include "base/metrics.h"
#include "tap/packet_view.h"
#include "tunnel/rate_limit.h"

namespace wow {

// What a client says.
struct DhcpMessage {
  enum class Type : std::uint8_t {
    kDiscover = 1,
    kOffer = 2,
    kRequest = 3,
    kDecline = 4,
    kAck = 5,
    kNak = 6,
    kRelease = 7,
    kInform = 8
  };
  static constexpr std::uint16_t kServerPort = 67, kClientPort = 68;

  Type type{};
  std::uint32_t transaction = 0;
  std::uint16_t flags = 0;
  IpAddress client_ip;  // what it has already; unspecified: nothing
  MacAddress mac{};
  std::optional<IpAddress> requested, server;

  // Nothing unless it is a client's, over Ethernet, not relayed, and well formed.
  static std::optional<DhcpMessage> parse(ByteView payload);
  bool wants_broadcast() const { return flags & 0x8000; }
};

struct DhcpNetwork {
  IpAddress server;
  Prefix subnet;
  std::string domain;
  int mtu = 0;
  Duration lease{};
};

// The UDP payload that answers `asked`; `ip` is the client's, unspecified in a refusal.
Bytes write_dhcp_answer(const DhcpMessage& asked, DhcpMessage::Type type, const IpAddress& ip,
                        const DhcpNetwork& network);

class DhcpServer {
 public:
  static constexpr std::uint32_t kOffersTried = 16;  // addresses for one question
  static constexpr std::size_t kDeclinedMax = 256;   // addresses that clients found in use
  static constexpr int kQuestionsPerSecond = 50;     // of all guests together

  struct Hooks {
    std::function<std::optional<IpAddress>(const MacAddress&)> held;
    std::function<bool(const IpAddress&)> is_leasable;
    std::function<void(const IpAddress&, std::function<void(bool)>)> is_free;
    // The store has the last word; now or later.
    std::function<void(const MacAddress&, const IpAddress&, std::function<void(bool)>)> take;
    std::function<void(const MacAddress&, const IpAddress&)> give_back;
    std::function<void(ByteView frame)> to_lan;
  };

  DhcpServer(DhcpNetwork network, const MacAddress& own_mac, Clock& clock, MetricSlot& metrics,
             Hooks hooks);

  // A datagram to the server's port. `from`: its Ethernet source.
  void take(const MacAddress& from, ByteView payload);

 private:
  void offer(const DhcpMessage& asked, std::uint32_t n);
  void request(const DhcpMessage& asked);
  void answer(const DhcpMessage& asked, DhcpMessage::Type type, const IpAddress& ip);

  const DhcpNetwork network_;
  const MacAddress own_mac_;
  Clock& clock_;
  MetricSlot& metrics_;
  Hooks hooks_;
  RateLimit questions_{kQuestionsPerSecond};
  std::set<IpAddress> declined_;
};

}  // namespace wow
