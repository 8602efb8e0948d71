#include "tap/guest_leases.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/log.h"
#include "proto/vnet.pb.h"
#include "tap/names.h"

namespace wow {
namespace {

constexpr std::size_t kProbesMax = 64;
constexpr std::size_t kRefusedMax = 1024;

Bytes record_of(const IpAddress& ip, const MacAddress& mac) {
  pb::Lease lease;
  lease.set_ip(ip.text());
  lease.set_mac(mac.data(), mac.size());
  return to_bytes(lease.SerializeAsString());
}

}  // namespace

GuestLeases::GuestLeases(const Address& self, DhtCalls dht, Clock& clock, MetricSlot& metrics,
                         Duration ttl, Hooks hooks)
    : self_(self),
      dht_(std::move(dht)),
      clock_(clock),
      metrics_(metrics),
      ttl_(std::min(ttl, kTtlMax)),
      hooks_(std::move(hooks)),
      sweep_timer_(clock) {
  sweep_timer_.after(kSweepInterval, [this] { sweep(); });
}

void GuestLeases::use(const MacAddress& mac, const IpAddress& ip, bool speaks, Done done) {
  const TimePoint now = clock_.now();
  if (const auto found = guests_.find(ip); found != guests_.end()) {
    Guest& guest = *found->second;
    if (guest.mac == mac) {
      guest.heard = now;
      guest.speaks |= speaks;
      if (guest.held) return done(true);
      if (guest.waiting.size() >= kWaitersMax) return done(false);
      return guest.waiting.push_back(std::move(done));
    }
    // Two with one address: the first keeps it as long as it is heard.
    if (!guest.held || now - guest.heard < kSilentAfter) return done(false);
    drop(ip);
  }
  const auto refused = refused_.find(ip);
  const bool lately =
      refused != refused_.end() && refused->second.first == mac && now < refused->second.second;
  if (lately || !hooks_.is_leasable(ip)) return done(false);
  if (guests_.size() >= kGuestsMax || addresses_of(mac).size() >= kAddressesPerMacMax ||
      !claims_.pass(now)) {
    metrics_.add(Metric::kDropRateLimited);
    return done(false);
  }
  Guest& guest = add(mac, ip);
  guest.speaks = speaks;
  guest.waiting.push_back(std::move(done));
  write(ip, guest);
  hooks_.ask_others(mac, ip);
}

GuestLeases::Guest& GuestLeases::add(const MacAddress& mac, const IpAddress& ip) {
  auto& guest = guests_[ip];
  guest = std::make_unique<Guest>(clock_);
  guest->id = next_id_++;
  guest->mac = mac;
  guest->ttl = ttl_;
  guest->began = guest->heard = clock_.now();
  return *guest;
}

GuestLeases::Guest* GuestLeases::find(const IpAddress& ip, std::uint64_t id) {
  const auto found = guests_.find(ip);
  return found == guests_.end() || found->second->id != id ? nullptr : found->second.get();
}

// A put where the record is ours, perhaps with another MAC; a create where it is not yet.
void GuestLeases::write(const IpAddress& ip, Guest& guest) {
  const TimePoint sent = clock_.now();
  const auto& call = guest.recorded ? dht_.put : dht_.create;
  call(ip_key(ip), record_of(ip, guest.mac), guest.ttl,
       [this, ip, sent, id = guest.id](auto answer) {
         if (Guest* asker = find(ip, id)) on_written(ip, *asker, sent, answer);
       });
}

void GuestLeases::on_written(const IpAddress& ip, Guest& guest, TimePoint sent,
                             const Result<DhtRecord>& answer) {
  const TimePoint now = clock_.now();
  if (answer) {
    guest.recorded = true;
    guest.expires = sent + guest.ttl;
    return hold(ip, guest);
  }
  const bool unavailable = answer.error().code == ErrorCode::kUnavailable;
  // Its record outlives an outage of the store by its own time to live; a claim has seconds.
  const TimePoint until = guest.recorded && unavailable ? guest.expires
                          : guest.held                  ? guest.began + kSettleFor
                                                        : guest.began + kClaimFor;
  const bool hopeless =
      !unavailable && (guest.recorded || answer.error().code != ErrorCode::kAlreadyExists);
  if (hopeless || now >= until) return fail(ip);
  guest.timer.after(unavailable ? 10 * kRetry : kRetry, [this, ip, id = guest.id] {
    if (Guest* asker = find(ip, id)) write(ip, *asker);
  });
}

void GuestLeases::hold(const IpAddress& ip, Guest& guest) {
  guest.held = true;
  const TimePoint until = guest.recorded ? guest.expires : clock_.now() + kSettleFor;
  const auto waiting = std::exchange(guest.waiting, {});
  hooks_.held({ip, self_, "", until, guest.mac});
  for (const Done& done : waiting) done(true);
}

void GuestLeases::fail(const IpAddress& ip) {
  const auto node = guests_.extract(ip);
  const Guest& guest = *node.mapped();
  if (refused_.size() >= kRefusedMax) refused_.clear();
  refused_[ip] = {guest.mac, clock_.now() + kRefusedFor};
  if (guest.held) hooks_.lost(ip);
  log_info("a guest's address is another's", {{"ip", ip.text()}, {"mac", to_hex(guest.mac)}});
  for (const Done& done : guest.waiting) done(false);
}

void GuestLeases::drop(const IpAddress& ip) {
  const auto node = guests_.extract(ip);
  if (node.empty()) return;
  hooks_.lost(ip);
  for (const Done& done : node.mapped()->waiting) done(false);
  dht_.remove(ip_key(ip), [](auto) {});
}

void GuestLeases::give_back(const MacAddress& mac, const IpAddress& ip) {
  if (holds(mac, ip)) drop(ip);
}

void GuestLeases::refuse(const MacAddress& mac, const IpAddress& ip) {
  const auto found = guests_.find(ip);
  if (found != guests_.end() && found->second->mac == mac && !found->second->held) fail(ip);
}

void GuestLeases::let_go(const MacAddress& mac,
                         std::function<void(std::vector<IpAddress>)> answer) {
  const auto addresses = addresses_of(mac);
  std::erase_if(probes_, [](auto& timer) { return !timer->is_set(); });
  if (addresses.empty() || probes_.size() >= kProbesMax) return answer({});
  const TimePoint asked = clock_.now();
  hooks_.probe(mac, addresses.front());
  auto& timer = probes_.emplace_back(std::make_unique<Timer>(clock_));
  timer->after(kProbeFor, [this, mac, asked, answer = std::move(answer)] {
    const auto heard = hooks_.heard_at(mac);
    if (heard && *heard > asked) return answer({});
    answer(release(mac));
  });
}

std::vector<IpAddress> GuestLeases::release(const MacAddress& mac) {
  auto gone = addresses_of(mac);
  for (const IpAddress& ip : gone) drop(ip);
  return gone;
}

void GuestLeases::on_let_go(const MacAddress& mac, const IpAddress& ip) {
  take_over(mac, ip, ttl_);
}

bool GuestLeases::stand_in(const MacAddress& mac, const IpAddress& ip) {
  take_over(mac, ip, std::min(ttl_, kStandInTtl));
  return holds(mac, ip);
}

void GuestLeases::take_over(const MacAddress& mac, const IpAddress& ip, Duration ttl) {
  const auto found = guests_.find(ip);
  if (found == guests_.end()) {
    if (guests_.size() >= kGuestsMax || !hooks_.is_leasable(ip)) return;
    Guest& guest = add(mac, ip);
    guest.speaks = true;
    guest.ttl = ttl;
    hold(ip, guest);
    return write(ip, guest);
  }
  Guest& guest = *found->second;
  if (guest.mac != mac || guest.held) return;
  guest.ttl = ttl;
  hold(ip, guest);
}

bool GuestLeases::holds(const MacAddress& mac, const IpAddress& ip) const {
  const auto found = guests_.find(ip);
  return found != guests_.end() && found->second->held && found->second->mac == mac;
}

std::optional<MacAddress> GuestLeases::mac_of(const IpAddress& ip) const {
  const auto found = guests_.find(ip);
  if (found == guests_.end() || !found->second->held) return std::nullopt;
  return found->second->mac;
}

std::optional<IpAddress> GuestLeases::address_of(const MacAddress& mac) const {
  for (const auto& [ip, guest] : guests_) {
    if (guest->held && guest->mac == mac) return ip;
  }
  return std::nullopt;
}

std::vector<IpAddress> GuestLeases::addresses_of(const MacAddress& mac) const {
  std::vector<IpAddress> out;
  for (const auto& [ip, guest] : guests_) {
    if (guest->mac == mac) out.push_back(ip);
  }
  return out;
}

void GuestLeases::for_each(
    const std::function<void(const IpAddress&, const MacAddress&)>& visit) const {
  for (const auto& [ip, guest] : guests_) {
    if (guest->held) visit(ip, guest->mac);
  }
}

std::size_t GuestLeases::guests() const {
  std::set<MacAddress> macs;
  for_each([&](const IpAddress&, const MacAddress& mac) { macs.insert(mac); });
  return macs.size();
}

void GuestLeases::sweep() {
  sweep_timer_.after(kSweepInterval, [this] { sweep(); });
  const TimePoint now = clock_.now();
  std::vector<IpAddress> over, old;
  std::vector<std::pair<MacAddress, IpAddress>> silent;
  for (const auto& [ip, guest] : guests_) {
    if (!guest->recorded) continue;
    const bool unused = !guest->speaks && now - guest->began >= kSpeakWithin;
    if (unused || now >= guest->expires) {
      over.push_back(ip);
    } else if (guest->expires - now < guest->ttl / 2 && !guest->timer.is_set()) {
      if (now - guest->heard < guest->ttl / 2) {
        old.push_back(ip);
      } else if (guest->ttl < ttl_ || (!ip.is_v4() && now - guest->probed >= kProbeAgain)) {
        guest->probed = now;
        silent.emplace_back(guest->mac, ip);
      }
    }
  }
  for (const auto& [mac, ip] : silent) hooks_.probe(mac, ip);
  for (const IpAddress& ip : over) drop(ip);
  for (const IpAddress& ip : old) write(ip, *guests_[ip]);
}

}  // namespace wow
