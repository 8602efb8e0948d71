// The addresses of guests on this host's bridge: one record of the store each, which names the
// guest's MAC. A guest that has moved here takes its addresses along: the host that had it lets go
// unless it still hears the guest. docs/virtual-network.md tells it with a drawing.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "tap/dht_calls.h"
#include "tap/resolver.h"
#include "tunnel/rate_limit.h"

namespace wow {

class GuestLeases {
 public:
  static constexpr std::size_t kGuestsMax = 1000;  // addresses, of all guests of a host
  static constexpr std::size_t kAddressesPerMacMax = 8;
  static constexpr std::size_t kWaitersMax = 64;
  static constexpr int kClaimsPerSecond = 20;
  static constexpr Duration kTtlMax = 1h;      // a host that died keeps its guests' for so long
  static constexpr Duration kClaimFor = 2s;    // the old holder may let go
  static constexpr Duration kSettleFor = 10s;  // and then has so long to remove its record
  static constexpr Duration kRetry = 100ms;
  static constexpr Duration kRefusedFor = 3s;     // the same claim is not made again for so long
  static constexpr Duration kSilentAfter = 30s;   // another MAC may then have the address
  static constexpr Duration kSpeakWithin = 1min;  // an address that was asked for and never used
  static constexpr Duration kProbeFor = 50ms;     // in which a guest that is still here answers
  static constexpr Duration kSweepInterval = 5s;
  static constexpr Duration kStandInTtl = 2min;  // of a record that is another host's by right
  // A guest makes its IPv6 addresses for others to call, and need never speak first: one that is
  // silent is asked so often, in the second half of its record's life.
  static constexpr Duration kProbeAgain = 1min;

  using Done = std::function<void(bool)>;
  struct Hooks {
    // Ours from now; every node's tables and caches follow.
    std::function<void(const Binding&)> held;
    std::function<void(const IpAddress&)> lost;
    // Whoever has this MAC behind him is asked to let go of `ip`.
    std::function<void(const MacAddress&, const IpAddress& ip)> ask_others;
    // Makes a guest say something, if it is here.
    std::function<void(const MacAddress&, const IpAddress&)> probe;
    // When a frame of this MAC came from the bridge.
    std::function<std::optional<TimePoint>(const MacAddress&)> heard_at;
    std::function<bool(const IpAddress&)> is_leasable;
  };

  GuestLeases(const Address& self, DhtCalls dht, Clock& clock, MetricSlot& metrics, Duration ttl,
              Hooks hooks);

  // A guest with this MAC says that it has `ip`, or asks for it. `speaks`: it sends from it. `done`
  // gets whether it is so, now or later.
  void use(const MacAddress& mac, const IpAddress& ip, bool speaks, Done done);
  bool holds(const MacAddress& mac, const IpAddress& ip) const;
  std::optional<MacAddress> mac_of(const IpAddress& ip) const;
  std::optional<IpAddress> address_of(const MacAddress& mac) const;  // IPv4 if it has that
  void give_back(const MacAddress& mac, const IpAddress& ip);
  // The store says that another guest, elsewhere, has it: to claim it on would be in vain.
  void refuse(const MacAddress& mac, const IpAddress& ip);

  // Another host asks for what this MAC has: `answer` gets the addresses let go, or nothing if the
  // guest is still here or never was. Then they are that host's.
  void let_go(const MacAddress& mac, std::function<void(std::vector<IpAddress>)> answer);
  // The host that had the guest has let go.
  void on_let_go(const MacAddress& mac, const IpAddress& ip);
  // At once, without asking the guest: they are whose host we tell. Returns them.
  std::vector<IpAddress> release(const MacAddress& mac);
  // Another host's guest, which we reach and it does not. Its record is kept short, so that the
  // other can have it back if we die, and the guest is asked for a word before it ends. False if
  // there is no room.
  bool stand_in(const MacAddress& mac, const IpAddress& ip);

  void for_each(const std::function<void(const IpAddress&, const MacAddress&)>& visit) const;
  std::size_t guests() const;  // MACs that have an address
  Duration ttl() const { return ttl_; }

 private:
  struct Guest {
    explicit Guest(Clock& clock) : timer(clock) {}
    std::uint64_t id = 0;  // answers to an earlier claim of the address are dropped
    MacAddress mac{};
    bool held = false;      // frames may pass: the store says so, or the old holder
    bool recorded = false;  // the store says so
    bool speaks = false;
    Duration ttl{};
    TimePoint began{}, heard{}, expires{}, probed{};
    std::vector<Done> waiting;
    Timer timer;
  };

  Guest& add(const MacAddress& mac, const IpAddress& ip);
  Guest* find(const IpAddress& ip, std::uint64_t id);
  void take_over(const MacAddress& mac, const IpAddress& ip, Duration ttl);
  void write(const IpAddress& ip, Guest& guest);
  void on_written(const IpAddress& ip, Guest& guest, TimePoint sent,
                  const Result<DhtRecord>& answer);
  void hold(const IpAddress& ip, Guest& guest);
  void fail(const IpAddress& ip);
  void drop(const IpAddress& ip);
  void sweep();
  std::vector<IpAddress> addresses_of(const MacAddress& mac) const;

  const Address self_;
  DhtCalls dht_;
  Clock& clock_;
  MetricSlot& metrics_;
  const Duration ttl_;
  Hooks hooks_;
  RateLimit claims_{kClaimsPerSecond};
  std::uint64_t next_id_ = 1;
  std::map<IpAddress, std::unique_ptr<Guest>> guests_;
  std::map<IpAddress, std::pair<MacAddress, TimePoint>> refused_;
  std::vector<std::unique_ptr<Timer>> probes_;
  Timer sweep_timer_;
};

}  // namespace wow
