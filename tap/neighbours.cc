#include "tap/neighbours.h"

#include <algorithm>
#include <utility>

#include "tap/inner_ipv6.h"

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
  locate_(ring_place_of(ip), [this, ip](auto node) { on_located(ip, node); });
}

void Neighbours::on_located(const IpAddress& ip, const std::optional<Address>& node) {
  const auto waiters = std::move(asked_.extract(ip).mapped());
  const bool is_it = node && inner_ipv6(prefix_, *node) == ip;
  if (entries_.size() >= kEntriesMax && !entries_.contains(ip)) {
    entries_.erase(std::min_element(entries_.begin(), entries_.end(), [](auto& a, auto& b) {
      return a.second.valid_until < b.second.valid_until;
    }));
  }
  entries_[ip] = {is_it ? node : std::nullopt, clock_.now() + (is_it ? kValidFor : kNegativeTtl)};
  if (is_it) changed_(*node);
  for (const Done& done : waiters) done(is_it ? node : std::nullopt);
}

}  // namespace wow
