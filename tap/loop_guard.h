// A second bridge of the pool on this host's LAN would send every frame around for ever. Each
// bridge sends signed beacons into its LAN; who hears another's asks that node through the overlay
// whether it has just sent it (so that an old one, played back by a guest, blocks nobody), and the
// higher address of the two blocks: it passes nothing on until the other is silent.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>

#include "base/address.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/random.h"
#include "tap/packet_view.h"
#include "tunnel/credentials.h"
#include "tunnel/rate_limit.h"

namespace wow {

// | "wow beacon 1" 12 | number 8 | public key 32 | signature 64 |
struct Beacon {
  // IEEE 802: for experiments on one's own LAN. A group address that bridges pass on.
  static constexpr EtherType kType{0x88b5};
  static constexpr MacAddress kTo = {0x03, 0x77, 0x6f, 0x77, 0x00, 0x01};
  // Of `node`, and not its MAC: what is for that is to go to whoever stands in for it.
  static MacAddress from(const Address& node);

  std::uint64_t number = 0;
  Bytes public_key, signature;

  static std::optional<Beacon> parse(ByteView payload);
  static Bytes write(const Credentials& credentials, std::uint64_t number);
  // Who signed it.
  std::optional<Address> sender(const Credentials& credentials) const;
};

class LoopGuard {
 public:
  static constexpr Duration kInterval = 2s;
  static constexpr Duration kListenFor = 1s;   // before the first frame is passed on
  static constexpr Duration kBlockedFor = 7s;  // after the other's last beacon
  static constexpr Duration kFresh = 3s;       // a beacon that was sent just now
  static constexpr int kBeaconsPerSecond = 10;
  static constexpr std::size_t kAskedMax = 16;

  struct Hooks {
    std::function<void(ByteView frame)> to_lan;
    std::function<void(const Address& node, std::uint64_t number)> ask;
    std::function<void(const Address& other)> blocked;
    std::function<void()> passes;
  };

  LoopGuard(const Credentials& credentials, Clock& clock, Random& random, MetricSlot& metrics,
            Hooks hooks);

  void start();
  // Nothing is passed between the LAN and the overlay.
  bool blocked() const;
  void take(const EthernetView& ethernet);
  // Whether we sent it just now: another asks.
  bool has_sent(std::uint64_t number) const;
  void on_answer(const Address& from, std::uint64_t number);

 private:
  void send();
  void end();

  const Credentials& credentials_;
  Clock& clock_;
  Random& random_;
  MetricSlot& metrics_;
  Hooks hooks_;
  RateLimit heard_{kBeaconsPerSecond};
  std::map<std::uint64_t, TimePoint> sent_;
  std::map<std::uint64_t, Address> asked_;
  TimePoint blocked_until_{};
  bool told_ = false;
  Timer timer_, end_timer_;
};

}  // namespace wow
