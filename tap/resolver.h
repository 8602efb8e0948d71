// Whom a virtual IP address belongs to, as the DHT says, with a bounded cache in front. Used for
// frames both ways, so an answer here is what the receiver's source check rests on: the owner is
// the record's signer, never what its value says.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/endpoint.h"
#include "base/error.h"
#include "tap/dht_calls.h"
#include "tunnel/forwarding.h"

namespace wow {

struct Binding {
  IpAddress ip;
  Address node;
  std::string name;         // as the holder claims
  TimePoint valid_until{};  // the lease ends, as far as we know
  MacAddress mac{};         // as the holder claims: his own, or of a guest on his bridge
};

class Resolver {
 public:
  static constexpr std::size_t kEntriesMax = 4096;
  static constexpr std::size_t kAskedMax = 256;    // addresses being asked for
  static constexpr std::size_t kWaitersMax = 64;   // for one of them
  static constexpr Duration kRefreshAfter = 5min;  // or half of what is left, if that is less
  static constexpr Duration kNegativeTtl = 1s;
  static constexpr Duration kDoubtAfter = 250ms;  // an answer this young is not asked for again

  // kNotFound, kUnavailable, or kExhausted when too much is being asked.
  using Done = std::function<void(Result<Binding>)>;

  // `changed` is called after a binding of `node` came or went.
  using Changed = std::function<void(const Address& node)>;
  // `subnet6`: of the pool's inner IPv6 addresses.
  Resolver(const Prefix& subnet, DhtCalls dht, Clock& clock, Changed changed,
           const std::optional<Prefix>& subnet6 = {});

  // Whether records say whose `ip` is: leased ones, those of guests, and those outside the pool
  // that guests have by leave of their host's invite.
  bool is_leased(const IpAddress& ip) const;

  // From the cache at once (before this returns), else from the DHT. `likely`: Dht::look_up()'s.
  void resolve(const IpAddress& ip, Done done, Dht::Likely likely = nullptr);
  // For one who has reason to think the cache wrong: asks the DHT unless that was done a moment
  // ago.
  void resolve_again(const IpAddress& ip, Done done);
  const Binding* find(const IpAddress& ip) const;  // valid, in the cache
  // The lowest address that `node` holds, as far as the cache knows.
  const Binding* of(const Address& node) const;
  // Whether `mac` is another's than this node's, or of another's guest, as far as the cache knows.
  bool is_of_another(const MacAddress& mac, const Address& node) const;
  // `node` says that it does not hold `ip`. True if we thought so and it is now forgotten.
  bool refute(const IpAddress& ip, const Address& node);
  // What we know ourselves: a guest of ours.
  void learn(const Binding& binding);
  void forget(const IpAddress& ip);
  // `from` says that the address is not behind it any more but at `binding.node`. False if it never
  // was, as far as we know.
  bool move(const Address& from, const Binding& binding);
  // Asks anew for bindings that grew old and whose node is `in_use`; forgets those that ran out.
  void sweep(const std::function<bool(const Address& node)>& in_use);
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::optional<Binding> binding;  // nothing: nobody held it
    TimePoint asked_at{}, refresh_at{};
  };

  void ask(const IpAddress& ip, Done done, Dht::Likely likely = nullptr);
  void on_answer(const IpAddress& ip, TimePoint asked_at, const Result<DhtRecord>& answer);
  void make_room();
  // Says so if it changes who holds `ip`.
  void bind(const IpAddress& ip, Entry& entry, std::optional<Binding> binding);

  const Prefix subnet_;
  const std::optional<Prefix> subnet6_;
  DhtCalls dht_;
  Clock& clock_;
  Changed changed_;
  std::map<IpAddress, Entry> entries_;
  std::set<std::pair<Address, IpAddress>> by_node_;  // of the entries with a binding
  std::map<IpAddress, std::vector<Done>> asked_;
};

}  // namespace wow
