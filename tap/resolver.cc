#include "tap/resolver.h"

#include <algorithm>
#include <utility>

#include "dht/inner_ipv6.h"
#include "tap/mac_address.h"
#include "tap/names.h"

namespace wow {

Resolver::Resolver(const Prefix& subnet, DhtCalls dht, Clock& clock, Changed changed,
                   const std::optional<Prefix>& subnet6)
    : subnet_(subnet),
      subnet6_(subnet6),
      dht_(std::move(dht)),
      clock_(clock),
      changed_(std::move(changed)) {}

bool Resolver::is_leased(const IpAddress& ip) const {
  if (subnet_.contains(ip)) return is_host_address(ip, subnet_);
  if (subnet6_ && subnet6_->contains(ip)) {
    return is_host_address(ip, guest_ipv6_prefix(*subnet6_));
  }
  return !ip.is_multicast() && !ip.is_loopback() && !ip.is_link_local() && !ip.is_unspecified();
}

void Resolver::resolve(const IpAddress& ip, Done done, Dht::Likely likely) {
  const auto found = entries_.find(ip);
  if (found == entries_.end()) return ask(ip, std::move(done), std::move(likely));
  const Entry& entry = found->second;
  const TimePoint now = clock_.now();
  if (!entry.binding) {
    if (now - entry.asked_at >= kNegativeTtl) return ask(ip, std::move(done), std::move(likely));
    return done(Error{ErrorCode::kNotFound, "nobody holds " + ip.text()});
  }
  if (now >= entry.binding->valid_until) return ask(ip, std::move(done), std::move(likely));
  const Binding binding = *entry.binding;
  if (now >= entry.refresh_at) ask(ip, nullptr);
  done(binding);
}

void Resolver::resolve_again(const IpAddress& ip, Done done) {
  const auto found = entries_.find(ip);
  if (found != entries_.end() && clock_.now() - found->second.asked_at < kDoubtAfter) {
    return resolve(ip, std::move(done));
  }
  ask(ip, std::move(done));
}

const Binding* Resolver::find(const IpAddress& ip) const {
  const auto found = entries_.find(ip);
  if (found == entries_.end() || !found->second.binding) return nullptr;
  const Binding& binding = *found->second.binding;
  return clock_.now() < binding.valid_until ? &binding : nullptr;
}

bool Resolver::refute(const IpAddress& ip, const Address& node) {
  const auto found = entries_.find(ip);
  if (found == entries_.end() || !found->second.binding) return false;
  // One who lies about it makes us ask the DHT once in a while, no more.
  if (found->second.binding->node != node || clock_.now() - found->second.asked_at < kDoubtAfter) {
    return false;
  }
  bind(ip, found->second, std::nullopt);
  entries_.erase(found);
  return true;
}

void Resolver::learn(const Binding& binding) {
  if (!entries_.contains(binding.ip)) make_room();
  const TimePoint now = clock_.now();
  Entry& entry = entries_[binding.ip];
  entry.asked_at = now;
  entry.refresh_at = now + (binding.valid_until - now) / 2;
  bind(binding.ip, entry, binding);
}

void Resolver::forget(const IpAddress& ip) {
  const auto found = entries_.find(ip);
  if (found == entries_.end()) return;
  bind(ip, found->second, std::nullopt);
  entries_.erase(found);
}

bool Resolver::move(const Address& from, const Binding& binding) {
  const Binding* known = find(binding.ip);
  if (!known || known->node != from) return false;
  learn(binding);
  return true;
}

void Resolver::sweep(const std::function<bool(const Address& node)>& in_use) {
  const TimePoint now = clock_.now();
  std::vector<IpAddress> old;
  for (auto i = entries_.begin(); i != entries_.end();) {
    Entry& entry = i->second;
    const bool ran_out =
        entry.binding ? now >= entry.binding->valid_until : now - entry.asked_at >= kNegativeTtl;
    const bool renewed = entry.binding && now >= entry.refresh_at && in_use(entry.binding->node);
    if (renewed) old.push_back(i->first);
    if (renewed && ran_out) changed_(entry.binding->node);
    if (!renewed && ran_out) {
      bind(i->first, entry, std::nullopt);
      i = entries_.erase(i);
    } else {
      ++i;
    }
  }
  for (const IpAddress& ip : old) ask(ip, nullptr);
}

bool Resolver::is_of_another(const MacAddress& mac, const Address& node) const {
  return std::ranges::any_of(by_node_, [&](const auto& one) {
    return one.first != node && entries_.at(one.second).binding->mac == mac;
  });
}

const Binding* Resolver::of(const Address& node) const {
  for (auto i = by_node_.lower_bound({node, IpAddress()}); i != by_node_.end() && i->first == node;
       ++i) {
    const Binding* binding = find(i->second);
    if (binding && binding->mac == mac_of(node)) return binding;
  }
  return nullptr;
}

void Resolver::bind(const IpAddress& ip, Entry& entry, std::optional<Binding> binding) {
  const auto before = std::exchange(entry.binding, std::move(binding));
  if (before && (!entry.binding || entry.binding->node != before->node)) {
    by_node_.erase({before->node, ip});
    changed_(before->node);
  }
  if (!entry.binding) return;
  by_node_.emplace(entry.binding->node, ip);
  const bool same = before && before->node == entry.binding->node;
  // One that had run out was none.
  if (!same || clock_.now() >= before->valid_until) changed_(entry.binding->node);
}

void Resolver::ask(const IpAddress& ip, Done done, Dht::Likely likely) {
  // Whoever registers the service's address, say, must not be believed to hold it.
  if (!is_leased(ip)) {
    if (done) done(Error{ErrorCode::kNotFound, ip.text() + " is no host's address"});
    return;
  }
  const auto asked = asked_.find(ip);
  const bool full =
      asked == asked_.end() ? asked_.size() >= kAskedMax : asked->second.size() >= kWaitersMax;
  if (full) {
    if (done) done(Error{ErrorCode::kExhausted, "too many addresses are being looked up"});
    return;
  }
  auto& waiters = asked_[ip];
  if (done) waiters.push_back(std::move(done));
  if (asked != asked_.end()) return;
  const TimePoint now = clock_.now();
  dht_.look_up(
      ip_key(ip), [this, ip, now](auto answer) { on_answer(ip, now, answer); }, std::move(likely));
}

void Resolver::on_answer(const IpAddress& ip, TimePoint asked_at, const Result<DhtRecord>& answer) {
  auto waiters = std::move(asked_.extract(ip).mapped());
  Result<Binding> result = Error{ErrorCode::kNotFound, "nobody holds " + ip.text()};
  const bool unavailable = !answer && answer.error().code != ErrorCode::kNotFound;
  const auto known = entries_.find(ip);
  if (known != entries_.end() && known->second.asked_at > asked_at && find(ip)) {
    // It moved while the store was asked, and whoever had it has told us.
    result = *known->second.binding;
  } else if (unavailable) {
    // While the DHT does not answer, what it said before holds until its lease ends.
    if (const Binding* binding = find(ip)) {
      result = *binding;
      entries_[ip].refresh_at = clock_.now() + kNegativeTtl;
    } else {
      result = answer.error();
    }
  } else {
    if (!entries_.contains(ip)) make_room();
    Entry& entry = entries_[ip];
    entry.asked_at = entry.refresh_at = asked_at;
    std::optional<Binding> binding;
    const auto lease = answer ? parse_lease(*answer) : std::nullopt;
    if (lease && lease->ip == ip && answer->ttl > answer->age) {
      const Duration left = answer->ttl - answer->age;
      binding = Binding{ip, answer->owner, lease->name, asked_at + left,
                        lease->mac.value_or(mac_of(answer->owner))};
      entry.refresh_at = asked_at + std::min<Duration>(kRefreshAfter, left / 2);
      result = *binding;
    }
    bind(ip, entry, std::move(binding));
  }
  for (const Done& done : waiters) done(result);
}

void Resolver::make_room() {
  if (entries_.size() < kEntriesMax) return;
  // Negative and old entries have the earliest time of renewal.
  const auto oldest = std::min_element(entries_.begin(), entries_.end(), [](auto& a, auto& b) {
    return a.second.refresh_at < b.second.refresh_at;
  });
  bind(oldest->first, oldest->second, std::nullopt);
  entries_.erase(oldest);
}

}  // namespace wow
