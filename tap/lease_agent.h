// Gets and keeps this node's address and name in the DHT. The holder counts a lease from the moment
// of asking and stops using it first, so two nodes never use one address at once; whoever holds a
// name holds the address that it points to.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/random.h"
#include "tap/dht_calls.h"
#include "tap/virtual_network.h"

namespace wow {

// The n-th address that `node` tries: a hash, so that a pool which was stopped whole gets its old
// addresses again. An offset into `subnet`; it may be one that is never leased.
std::uint64_t lease_candidate(const Address& node, std::uint32_t n, const Prefix& subnet);

class LeaseAgent {
 public:
  static constexpr int kHashedTriesMax = 64;  // taken candidates before the leases are listed
  static constexpr Duration kRetryMin = 200ms, kRetryMax = 5s;
  static constexpr Duration kRenewRetryMax = 1min;
  // A timer this late means that the machine slept or was copied: the lease is asked about before
  // the next packet.
  static constexpr Duration kClockJump = 30s;
  static constexpr Duration kHeartbeat = 10s;

  struct Hooks {
    std::function<void(const LeaseInfo&)>
        held;  // address and name are settled, or one of them changed
    std::function<void()> lost;
    std::function<void(const Error&)> refused;  // for good; the agent has stopped
    std::function<void()> usable_changed;
  };

  LeaseAgent(const Address& self, DhtCalls dht, Clock& clock, Random& random,
             const VirtualNetworkOptions& options, Hooks hooks);

  void start();
  // The store may have forgotten us: asks for the same address and name again, at once.
  void recheck();
  // Stops, and gives address and name back.
  void release(std::function<void()> done);

  const std::optional<LeaseInfo>& lease() const { return lease_; }
  // The address to send from now; nothing while the lease is in doubt.
  std::optional<IpAddress> usable_ip() const;

 private:
  void begin();
  void try_next();
  std::optional<IpAddress> next_hashed();
  void claim(const IpAddress& ip);
  void find_own(const IpAddress& wanted);
  void pick_from_list();
  void on_list(const std::vector<DhtRecord>& leases);
  void on_ip(const IpAddress& ip, TimePoint sent);

  void fill_names();
  void try_name();
  void settle(const std::string& name);

  void renew();
  void renew_name(TimePoint sent);
  void on_renewed(TimePoint sent);
  void schedule_renewal();
  void heartbeat();
  bool heartbeat_late() const;
  void lose(const std::string& why);
  void drop_lease();

  void refuse(ErrorCode code, std::string message);
  void retry(Duration limit, std::function<void()> again);
  // Wraps an answer: ignored once the agent has begun anew or stopped.
  template <typename F>
  auto current(F handle) {
    return [this, round = round_, handle = std::move(handle)](auto&&... answer) {
      if (round == round_) handle(std::forward<decltype(answer)>(answer)...);
    };
  }
  bool is_own(const DhtRecord& record) const;
  Bytes lease_value() const;
  Bytes name_value() const;
  bool is_leasable(const IpAddress& ip) const;
  bool is_name_free(const std::string& name) const;

  const Address self_;
  DhtCalls dht_;
  Clock& clock_;
  Random& random_;
  const VirtualNetworkOptions& options_;
  Hooks hooks_;

  bool started_ = false;
  std::uint64_t round_ = 0;
  // Being leased.
  std::deque<IpAddress> preferred_;
  std::set<IpAddress> taken_;
  std::uint32_t next_hash_ = 0;
  bool asked_own_ = false;
  std::deque<std::string> names_;
  IpAddress ip_;
  std::string name_;  // what the lease's record says
  TimePoint sent_{};
  // Held.
  std::optional<LeaseInfo> lease_;
  std::optional<IpAddress> last_ip_;
  std::string last_name_;
  bool in_doubt_ = false;
  Duration retry_delay_ = kRetryMin;
  Timer retry_timer_, renew_timer_, expire_timer_, heartbeat_timer_;
};

}  // namespace wow
