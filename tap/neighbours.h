// Which member an inner IPv6 address belongs to. The address says where on the ring to look, and
// whoever is found there can be nobody else: 80 bits of his address are in it. So this is about
// whether he is there at all.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "base/endpoint.h"

namespace wow {

class Neighbours {
 public:
  static constexpr std::size_t kEntriesMax = 4096;
  static constexpr std::size_t kAskedMax = 64;    // addresses being looked for
  static constexpr std::size_t kWaitersMax = 64;  // for one of them
  static constexpr Duration kValidFor = 5min, kNegativeTtl = 1s;

  using Done = std::function<void(std::optional<Address>)>;  // nothing: nobody is there
  // The member nearest to a place on the ring, now or later (Node::locate).
  using Locate = std::function<void(const Address& place, Done)>;

  // `changed` is called after somebody was found, with whom.
  Neighbours(const Prefix& prefix, Locate locate, Clock& clock,
             std::function<void(const Address&)> changed);

  // At once (before this returns) if it was found lately, else along the ring.
  void resolve(const IpAddress& ip, Done done);
  // Found lately.
  std::optional<Address> find(const IpAddress& ip) const;

 private:
  struct Entry {
    std::optional<Address> node;
    TimePoint valid_until{};
  };

  // Looks at the places of `ip` on the ring, from the n-th.
  void look(const IpAddress& ip, std::size_t n);
  void found(const IpAddress& ip, const std::optional<Address>& node);

  const Prefix prefix_;
  Locate locate_;
  Clock& clock_;
  std::function<void(const Address&)> changed_;
  std::map<IpAddress, Entry> entries_;
  std::map<IpAddress, std::vector<Done>> asked_;
};

}  // namespace wow
