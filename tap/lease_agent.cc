#include "tap/lease_agent.h"

#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/log.h"
#include "dht/inner_ipv6.h"
#include "proto/vnet.pb.h"
#include "tap/names.h"

namespace wow {
std::uint64_t lease_candidate(const Address& node, std::uint32_t n, const Prefix& subnet) {
  Writer in;
  in.bytes(view_of("wow lease 1")).bytes(node.bytes()).u32(n);
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest;
  SHA256(in.view().data(), in.view().size(), digest.data());
  return get_big_endian(digest.data(), 8) % subnet.size();
}

LeaseAgent::LeaseAgent(const Address& self, DhtCalls dht, Clock& clock, Random& random,
                       const VirtualNetworkOptions& options, Hooks hooks)
    : self_(self),
      dht_(std::move(dht)),
      clock_(clock),
      random_(random),
      options_(options),
      hooks_(std::move(hooks)),
      last_ip_(options.last_ip),
      last_name_(options.last_name),
      retry_timer_(clock),
      renew_timer_(clock),
      expire_timer_(clock),
      heartbeat_timer_(clock) {}

void LeaseAgent::start() {
  if (std::exchange(started_, true)) return;
  begin();
}

std::optional<IpAddress> LeaseAgent::usable_ip() const {
  if (!lease_ || in_doubt_ || clock_.now() >= lease_->expires || heartbeat_late()) {
    return std::nullopt;
  }
  return lease_->ip;
}

// --- The address ---

void LeaseAgent::begin() {
  ++round_;
  retry_timer_.cancel();
  taken_.clear();
  preferred_.clear();
  next_hash_ = 0;
  asked_own_ = false;
  name_ = options_.name_is_explicit || last_name_.empty() ? options_.name : last_name_;
  if (options_.wanted_ip) {
    if (!is_leasable(*options_.wanted_ip)) {
      return refuse(ErrorCode::kInvalidArgument,
                    "address " + options_.wanted_ip->text() + " cannot be leased: choose one of " +
                        options_.subnet.text() + " that is neither reserved nor its first or " +
                        "last two");
    }
    preferred_.push_back(*options_.wanted_ip);
  } else {
    for (const auto& reserved : options_.reservations) {
      if (reserved.node == self_ && reserved.ip) preferred_.push_back(*reserved.ip);
    }
    if (last_ip_) preferred_.push_back(*last_ip_);
    std::erase_if(preferred_, [this](auto& ip) { return !is_leasable(ip); });
  }
  if (options_.name_is_explicit && !is_host_name(options_.name)) {
    return refuse(ErrorCode::kInvalidArgument,
                  "name \"" + options_.name + "\" is not 1 to 63 of a-z, 0-9 and inner hyphens");
  }
  try_next();
}

void LeaseAgent::try_next() {
  if (!preferred_.empty()) {
    const IpAddress ip = preferred_.front();
    preferred_.pop_front();
    if (!taken_.contains(ip)) return claim(ip);
    return try_next();
  }
  if (const auto ip = next_hashed()) return claim(*ip);
  pick_from_list();
}

std::optional<IpAddress> LeaseAgent::next_hashed() {
  // In a small subnet hashes repeat, so there are more of them than tries.
  constexpr std::uint32_t kHashesMax = 8 * kHashedTriesMax;
  while (next_hash_ < kHashesMax && taken_.size() < kHashedTriesMax) {
    const IpAddress ip = options_.subnet.at(lease_candidate(self_, next_hash_++, options_.subnet));
    if (is_leasable(ip) && !taken_.contains(ip)) return ip;
  }
  return std::nullopt;
}

void LeaseAgent::claim(const IpAddress& ip) {
  ip_ = ip;
  const TimePoint sent = clock_.now();
  dht_.create(
      ip_key(ip), lease_value(), options_.lease_ttl, current([this, ip, sent](auto answer) {
        if (answer) return on_ip(ip, sent);
        if (answer.error().code == ErrorCode::kUnavailable) {
          return retry(kRetryMax, [this, ip] { claim(ip); });
        }
        // A node may hold one lease: perhaps we still hold another.
        if (answer.error().code == ErrorCode::kPermission && !std::exchange(asked_own_, true)) {
          return find_own(ip);
        }
        if (options_.wanted_ip == ip) {
          return refuse(answer.error().code, "address " + ip.text() + " is not to be had (" +
                                                 answer.error().message +
                                                 "): choose another or none");
        }
        taken_.insert(ip);
        try_next();
      }));
}

void LeaseAgent::find_own(const IpAddress& wanted) {
  dht_.list(std::string(kIpKeys), {}, current([this, wanted](auto leases, const Bytes&) {
              if (!leases) return retry(kRetryMax, [this, wanted] { find_own(wanted); });
              const auto own = std::find_if(leases->begin(), leases->end(),
                                            [this](auto& record) { return is_own(record); });
              const auto lease = own == leases->end() ? std::nullopt : parse_lease(*own);
              if (!lease) return claim(wanted);
              if (options_.wanted_ip != wanted) return claim(lease->ip);
              dht_.remove(own->key, current([this, wanted](auto) { claim(wanted); }));
            }));
}

void LeaseAgent::pick_from_list() {
  dht_.list(std::string(kIpKeys), {}, current([this](auto leases, const Bytes&) {
              if (!leases) return retry(kRetryMax, [this] { pick_from_list(); });
              on_list(*leases);
            }));
}

void LeaseAgent::on_list(const std::vector<DhtRecord>& leases) {
  std::set<IpAddress> leased;
  for (const DhtRecord& record : leases) {
    const auto lease = parse_lease(record);
    if (!lease || !is_leasable(lease->ip)) continue;
    if (is_own(record) && !taken_.contains(lease->ip)) return claim(lease->ip);
    leased.insert(lease->ip);
  }
  const std::uint64_t size = options_.subnet.size();
  // Each node begins at its own place, so that many who come at once do not race for one address.
  const std::uint64_t start = lease_candidate(self_, 0, options_.subnet);
  std::uint64_t leasable = 0;
  bool other = false;
  for (std::uint64_t i = 0; i < size; ++i) {
    const IpAddress ip = options_.subnet.at((start + i) % size);
    if (!is_leasable(ip)) continue;
    ++leasable;
    if (leased.contains(ip)) continue;
    if (!taken_.contains(ip)) return claim(ip);
    other = true;
  }
  // Not listed but taken: they have just run out, or were just taken.
  if (other) return retry(kRetryMax, [this] { begin(); });
  refuse(ErrorCode::kExhausted, "subnet " + options_.subnet.text() + " is exhausted (" +
                                    std::to_string(leased.size()) + " of " +
                                    std::to_string(leasable) + " addresses leased)");
}

void LeaseAgent::on_ip(const IpAddress& ip, TimePoint sent) {
  ip_ = ip;
  sent_ = sent;
  retry_delay_ = kRetryMin;
  fill_names();
  try_name();
}

// --- The name ---

void LeaseAgent::fill_names() {
  names_.clear();
  if (!options_.name_is_explicit) {
    for (const auto& reserved : options_.reservations) {
      if (reserved.node == self_) names_.push_back(reserved.name);
    }
    names_.push_back(last_name_);
  }
  names_.push_back(options_.name);
  if (!options_.name_is_explicit) names_.push_back(name_with_address(options_.name, ip_));
  std::erase_if(names_, [this](auto& name) { return !is_host_name(name) || !is_name_free(name); });
}

void LeaseAgent::try_name() {
  if (names_.empty()) {
    if (!options_.name.empty()) log_warn("no name could be had", {{"wanted", options_.name}});
    return settle("");
  }
  const std::string name = names_.front();
  dht_.create(name_key(name), name_value(), options_.lease_ttl, current([this, name](auto answer) {
                if (answer) return settle(name);
                if (answer.error().code == ErrorCode::kUnavailable) {
                  return retry(kRetryMax, [this] { try_name(); });
                }
                names_.pop_front();
                if (!options_.name_is_explicit) return try_name();
                dht_.remove(ip_key(ip_), [](auto) {});
                refuse(answer.error().code, "name " + name + " is not to be had (" +
                                                answer.error().message +
                                                "): choose another with --name, or none");
              }));
}

void LeaseAgent::settle(const std::string& name) {
  const TimePoint expires = sent_ + options_.lease_ttl;
  if (clock_.now() >= expires) return begin();
  const bool record_is_right = name == name_;
  name_ = last_name_ = name;
  last_ip_ = ip_;
  lease_ = LeaseInfo{ip_, name, mac_of(self_), expires, inner_ipv6(options_.subnet6, self_)};
  schedule_renewal();
  heartbeat_timer_.after(kHeartbeat, [this] { heartbeat(); });
  hooks_.held(*lease_);
  if (!record_is_right && lease_) renew();
}

// --- Keeping both ---

void LeaseAgent::recheck() {
  retry_delay_ = kRetryMin;
  if (lease_) renew();
}

void LeaseAgent::schedule_renewal() {
  const TimePoint now = clock_.now();
  const Duration left = lease_->expires - now;
  expire_timer_.after(left, [this] { lose("it ran out before it could be renewed"); });
  renew_timer_.after(std::max(Duration{}, left - options_.lease_ttl / 2), [this] { renew(); });
}

void LeaseAgent::renew() {
  ++round_;  // answers to earlier tries prove less
  renew_timer_.cancel();
  retry_timer_.cancel();
  const TimePoint sent = clock_.now();
  // A put, not a renewal of what is there: the record may have run out, or lack our present name.
  dht_.put(ip_key(ip_), lease_value(), options_.lease_ttl, current([this, sent](auto answer) {
             if (answer) return renew_name(sent);
             if (answer.error().code == ErrorCode::kUnavailable) {
               return retry(kRenewRetryMax, [this] { renew(); });
             }
             lose(answer.error().message);
           }));
}

void LeaseAgent::renew_name(TimePoint sent) {
  if (name_.empty()) return on_renewed(sent);
  dht_.put(name_key(name_), name_value(), options_.lease_ttl, current([this, sent](auto answer) {
             if (answer) return on_renewed(sent);
             if (answer.error().code == ErrorCode::kUnavailable) {
               return retry(kRenewRetryMax, [this] { renew(); });
             }
             log_warn("name lost", {{"name", name_}, {"why", answer.error().message}});
             on_renewed(sent);
             last_name_.clear();
             on_ip(ip_, sent);
           }));
}

void LeaseAgent::on_renewed(TimePoint sent) {
  retry_delay_ = kRetryMin;
  sent_ = sent;
  lease_->expires = sent + options_.lease_ttl;
  schedule_renewal();
  if (std::exchange(in_doubt_, false)) hooks_.usable_changed();
}

bool LeaseAgent::heartbeat_late() const {
  return clock_.now() - heartbeat_timer_.due() > kClockJump;
}

void LeaseAgent::heartbeat() {
  const bool late = heartbeat_late();
  heartbeat_timer_.after(kHeartbeat, [this] { heartbeat(); });
  if (!late || std::exchange(in_doubt_, true)) return;
  log_info("clock jumped: lease is checked before it is used", {{"ip", ip_.text()}});
  retry_delay_ = kRetryMin;
  hooks_.usable_changed();
  renew();
}

void LeaseAgent::lose(const std::string& why) {
  log_warn("lease lost", {{"ip", ip_.text()}, {"why", why}});
  drop_lease();
  retry_delay_ = kRetryMin;
  begin();
}

void LeaseAgent::drop_lease() {
  ++round_;
  for (Timer* timer : {&retry_timer_, &renew_timer_, &expire_timer_, &heartbeat_timer_}) {
    timer->cancel();
  }
  in_doubt_ = false;
  if (std::exchange(lease_, std::nullopt)) hooks_.lost();
}

// --- The end ---

void LeaseAgent::release(std::function<void()> done) {
  const auto lease = lease_;
  drop_lease();
  if (!lease) return done();
  const auto drop_ip = [this, ip = lease->ip, done = std::move(done)](auto) {
    dht_.remove(ip_key(ip), [done](auto) { done(); });
  };
  if (lease->name.empty()) return drop_ip(0);
  dht_.remove(name_key(lease->name), drop_ip);
}

void LeaseAgent::refuse(ErrorCode code, std::string message) {
  drop_lease();
  hooks_.refused({code, std::move(message)});
}

void LeaseAgent::retry(Duration limit, std::function<void()> again) {
  retry_timer_.after(random_.jittered(retry_delay_), std::move(again));
  retry_delay_ = std::min(2 * retry_delay_, limit);
}

// Not a guest's on our bridge.
bool LeaseAgent::is_own(const DhtRecord& record) const {
  if (record.owner != self_) return false;
  const auto lease = parse_lease(record);
  return lease && lease->mac.value_or(mac_of(self_)) == mac_of(self_);
}

Bytes LeaseAgent::lease_value() const {
  pb::Lease value;
  value.set_ip(ip_.text());
  value.set_name(name_);
  const MacAddress mac = mac_of(self_);
  value.set_mac(mac.data(), mac.size());
  return to_bytes(value.SerializeAsString());
}

Bytes LeaseAgent::name_value() const {
  pb::NameRecord value;
  value.set_ip(ip_.text());
  return to_bytes(value.SerializeAsString());
}

bool LeaseAgent::is_leasable(const IpAddress& ip) const {
  if (!is_host_address(ip, options_.subnet)) return false;
  return std::none_of(options_.reservations.begin(), options_.reservations.end(),
                      [&](auto& r) { return r.ip == ip && r.node != self_; });
}

bool LeaseAgent::is_name_free(const std::string& name) const {
  return std::none_of(options_.reservations.begin(), options_.reservations.end(),
                      [&](auto& r) { return r.name == name && r.node != self_; });
}

}  // namespace wow
