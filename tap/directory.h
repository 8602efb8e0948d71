// Names and addresses of the pool, both ways. A name counts only if its own record and the lease it
// points to have one owner, so nobody can put another's name on his address or his name on
// another's.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "tap/dht_calls.h"
#include "tap/resolver.h"
#include "tap/virtual_network.h"

namespace wow {

class Directory {
 public:
  using Found = std::function<void(Result<LeaseRow>)>;  // kNotFound, kUnavailable
  using Listed = std::function<void(Result<std::vector<LeaseRow>>)>;

  // `subnet6`: of the hosts' inner IPv6 addresses.
  Directory(DhtCalls dht, Resolver& resolver, Clock& clock, std::string pool,
            const Prefix& subnet6);

  // An IPv6 address costs a list: whose it is follows from the nodes.
  void by_ip(const IpAddress& ip, Found found);
  // Without the suffix, valid. `likely`, if any, is called with whoever seems to have the name,
  // while it is still being looked up.
  void by_name(const std::string& name, Found found, Dht::Likely likely = nullptr);
  // All leases, by address. An unchanged list costs two digests.
  void list(Listed listed);
  // Looks every `interval`, more and more rarely (to 16 s) while nothing changes, and calls
  // `changed` with the first list and each different one; zero stops.
  void follow(Duration interval, std::function<void(const std::vector<LeaseRow>&)> changed);

  // Somebody may have joined: the next look is one interval away, not further.
  void hurry();

 private:
  // The last answer to one listing.
  struct Page {
    Bytes digest;
    std::vector<DhtRecord> records;
    TimePoint at{};
  };

  // `done` gets whether the page is another than before.
  void fetch(std::string_view prefix, Page& page, std::function<void(Result<bool>)> done);
  void by_ip6(const IpAddress& ip, Found found);
  LeaseRow row_of(const Binding& binding, const std::string& name) const;
  IpAddress ip6_of(const Address& node, const MacAddress& mac) const;
  std::vector<LeaseRow> join() const;
  void poll();
  void tell_if_changed();

  DhtCalls dht_;
  Resolver& resolver_;
  Clock& clock_;
  std::string pool_;
  const Prefix subnet6_;
  Page leases_, names_;
  Timer follow_timer_;
  Duration follow_interval_{}, follow_pause_{};
  std::function<void(const std::vector<LeaseRow>&)> changed_;
  std::optional<std::vector<LeaseRow>> told_;
  bool leases_changed_ = false;
};

}  // namespace wow
