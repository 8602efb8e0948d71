#include "tap/neighbours.h"

#include <algorithm>
#include <utility>

#include "dht/inner_ipv6.h"

namespace wow {

Neighbours::Neighbours(const Prefix& prefix, Locate locate, Clock& clock,
                       std::function<void(const Address&)> changed)
    : prefix_(prefix), locate_(std::move(locate)), clock_(clock), changed_(std::move(changed)) {}

std::optional<Address> Neighbours::find(const IpAddress& ip) const {
  const auto found = entries_.find(ip);
  if (found == entries_.end() || clock_.now() >= found->second.valid_until) return std::nullopt;
  return found->second.node;
}

void Neighbours::resolve(const IpAddress& ip, Done done) {
  if (!prefix_.contains(ip)) return done(std::nullopt);
  const auto found = entries_.find(ip);
  if (found != entries_.end() && clock_.now() < found->second.valid_until) {
    return done(found->second.node);
  }
  const auto asked = asked_.find(ip);
  const bool full =
      asked == asked_.end() ? asked_.size() >= kAskedMax : asked->second.size() >= kWaitersMax;
  if (full) return done(std::nullopt);
  asked_[ip].push_back(std::move(done));
  if (asked != asked_.end()) return;
  look(ip, 0);
}

void Neighbours::look(const IpAddress& ip, std::size_t n) {
  const auto places = ring_places_of(ip);
  if (n == places.size()) return found(ip, std::nullopt);
  locate_(places[n], [this, ip, n](const auto& node) {
    if (node && inner_ipv6(prefix_, *node) == ip) return found(ip, node);
    look(ip, n + 1);
  });
}

void Neighbours::found(const IpAddress& ip, const std::optional<Address>& node) {
  const auto waiters = std::move(asked_.extract(ip).mapped());
  if (entries_.size() >= kEntriesMax && !entries_.contains(ip)) {
    entries_.erase(std::min_element(entries_.begin(), entries_.end(), [](auto& a, auto& b) {
      return a.second.valid_until < b.second.valid_until;
    }));
  }
  entries_[ip] = {node, clock_.now() + (node ? kValidFor : kNegativeTtl)};
  if (node) changed_(*node);
  for (const Done& done : waiters) done(node);
}

}  // namespace wow
