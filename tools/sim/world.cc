#include "tools/sim/world.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

namespace wow {
namespace {

// Far from zero, so that a default-constructed time is never mistaken for "just now".
constexpr TimePoint kStart{Duration(1h)};
constexpr WallTime kWallStart{std::chrono::seconds(1'800'000'000)};  // January 2027

IpAddress ip_or_throw(std::string_view text) {
  const auto ip = IpAddress::parse(text);
  if (!ip) throw std::invalid_argument("not an IP address: " + std::string(text));
  return *ip;
}

}  // namespace

Endpoint SimHost::endpoint() const {
  return attachments_.empty() ? Endpoint() : Endpoint{attachments_[0].ip, kPort};
}

TimePoint SimHost::now() const { return world_.now_; }

WallTime SimHost::wall() const {
  const auto since = std::chrono::duration_cast<std::chrono::seconds>(world_.now_ - kStart);
  return kWallStart + since + wall_offset_;
}

TimerId SimHost::schedule(TimePoint at, std::function<void()> fire) {
  return world_.timers_.add(std::max(at, now()), [this, life = life_, fire = std::move(fire)] {
    if (life == life_) fire();
  });
}

void SimHost::cancel(TimerId id) { world_.timers_.cancel(id); }

void SimHost::send(std::span<const Datagram> batch) {
  for (const Datagram& datagram : batch) world_.transmit(*this, datagram);
}

std::vector<Endpoint> SimHost::local_endpoints() const {
  std::vector<Endpoint> out;
  for (const Attachment& a : attachments_) out.push_back({a.ip, kPort});
  return out;
}

World::World(std::uint64_t seed) : seed_(seed), random_(seed), now_(kStart) { set_link(Link{}); }

Site& World::add_nat(std::string_view outside_ip, const NatRules& rules) {
  const IpAddress outside = ip_or_throw(outside_ip);
  Site& site = *sites_.emplace_back(std::make_unique<Site>(outside, rules, random_.u64()));
  internet_[outside] = {nullptr, &site};
  return site;
}

Site& World::add_firewall(NatScope filtering) {
  NatRules rules;
  rules.translate = false;
  rules.filtering = filtering;
  return *sites_.emplace_back(std::make_unique<Site>(IpAddress(), rules, random_.u64()));
}

SimHost& World::add_host(std::string_view ip, Site* site) {
  const auto id = static_cast<std::uint32_t>(hosts_.size());
  SimHost& host = *hosts_.emplace_back(std::make_unique<SimHost>(*this, id, random_.u64()));
  attach(host, ip_or_throw(ip), site);
  return host;
}

void World::add_address(SimHost& host, std::string_view ip, Site* site) {
  attach(host, ip_or_throw(ip), site);
}

void World::move(SimHost& host, std::string_view ip, Site* site) {
  detach(host);
  attach(host, ip_or_throw(ip), site);
}

void World::crash(SimHost& host) {
  host.up_ = false;
  ++host.life_;
  host.receiver_ = nullptr;
}

void World::restart(SimHost& host) { host.up_ = true; }

void World::attach(SimHost& host, const IpAddress& ip, Site* site) {
  const bool taken = site ? site->hosts_.contains(ip) : internet_.contains(ip);
  if (taken) throw std::invalid_argument("address taken: " + ip.text());
  host.attachments_.push_back({ip, site});
  if (site) site->hosts_[ip] = &host;
  if (!site) {
    internet_[ip] = {&host, nullptr};
  } else if (!site->gateway.rules().translate) {
    internet_[ip] = {nullptr, site};
  }
}

void World::detach(SimHost& host) {
  for (const auto& a : host.attachments_) {
    if (a.site) a.site->hosts_.erase(a.ip);
    if (!a.site || !a.site->gateway.rules().translate) internet_.erase(a.ip);
  }
  host.attachments_.clear();
}

void World::set_link(const Link& link) {
  link_of_ = [link](const SimHost&, const SimHost&) { return link; };
}

void World::transmit(SimHost& from, const Datagram& datagram) {
  if (!from.up_) return;
  const Endpoint& to = datagram.to;
  const SimHost::Attachment* out = nullptr;  // a LAN that has the address, else any of its family
  for (const auto& a : from.attachments_) {
    const bool lan = a.site && a.site->hosts_.contains(to.ip);
    if (lan || (!out && a.ip.is_v4() == to.ip.is_v4())) out = &a;
    if (lan) break;
  }
  ++from.counters_.datagrams_out;
  from.counters_.bytes_out += datagram.head.size() + datagram.body.size();
  if (!out) {
    ++drops_.unreachable;
    return;
  }
  Flight flight{{out->ip, SimHost::kPort}, to, from.id_, nullptr, {}};
  flight.bytes.reserve(datagram.head.size() + datagram.body.size());
  flight.bytes.insert(flight.bytes.end(), datagram.head.begin(), datagram.head.end());
  flight.bytes.insert(flight.bytes.end(), datagram.body.begin(), datagram.body.end());
  Site* site = out->site;
  if (site && site->hosts_.contains(to.ip)) {
    flight.lan = site;
    return launch(std::move(flight), lan_link_);
  }
  if (site) {
    flight.source = site->gateway.outgoing(flight.source, to, now_);
    if (to.ip == site->gateway.outside() && !site->gateway.rules().hairpin) {
      ++drops_.filtered;
      return;
    }
  }
  const SimHost* receiver = likely_receiver(to);
  if (!receiver) {
    ++drops_.unreachable;
    return;
  }
  launch(std::move(flight), link_of_(from, *receiver));
}

void World::launch(Flight flight, const Link& link) {
  if (link.loss > 0 && random_.unit() < link.loss) {
    ++drops_.lost;
    return;
  }
  const int copies = link.duplicate > 0 && random_.unit() < link.duplicate ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    Duration delay = link.latency;
    if (link.jitter > 0ns) delay += Duration(random_.below(link.jitter.count()));
    std::uint32_t slot = static_cast<std::uint32_t>(flights_.size());
    if (free_flights_.empty()) {
      flights_.emplace_back();
    } else {
      slot = free_flights_.back();
      free_flights_.pop_back();
    }
    if (i + 1 < copies) {
      flights_[slot] = flight;
    } else {
      flights_[slot] = std::move(flight);
    }
    arrivals_.push_back({now_ + delay, ++sequence_, slot});
    std::push_heap(arrivals_.begin(), arrivals_.end(), std::greater<>());
  }
}

const SimHost* World::likely_receiver(const Endpoint& to) const {
  const auto found = internet_.find(to.ip);
  if (found == internet_.end()) return nullptr;
  if (found->second.host) return found->second.host;
  const Site& site = *found->second.site;
  if (const auto inside = site.hosts_.find(to.ip); inside != site.hosts_.end())
    return inside->second;
  const SimHost* first = nullptr;
  for (const auto& [any, host] : site.hosts_) {
    if (!first || host->id() < first->id()) first = host;
  }
  return first;
}

SimHost* World::receiver_of(const Flight& flight) {
  Endpoint to = flight.to;
  Site* site = flight.lan;
  if (!site) {
    const auto found = internet_.find(to.ip);
    if (found == internet_.end()) return ++drops_.unreachable, nullptr;
    site = found->second.site;
    if (site) {
      const auto inside = site->gateway.incoming(flight.source, to, now_);
      if (!inside) return ++drops_.filtered, nullptr;
      to = *inside;
    } else if (to.port == SimHost::kPort) {
      return found->second.host;
    }
  }
  if (site && to.port == SimHost::kPort) {
    if (const auto host = site->hosts_.find(to.ip); host != site->hosts_.end()) return host->second;
  }
  return ++drops_.unreachable, nullptr;
}

void World::deliver_next() {
  std::pop_heap(arrivals_.begin(), arrivals_.end(), std::greater<>());
  const std::uint32_t slot = arrivals_.back().flight;
  arrivals_.pop_back();
  Flight flight = std::move(flights_[slot]);  // the receiver may send, which may grow flights_
  free_flights_.push_back(slot);
  SimHost* host = receiver_of(flight);
  if (!host) return;
  if (blocked_ && blocked_(*hosts_[flight.sender], *host)) {
    ++drops_.blocked;
    return;
  }
  if (!host->up_ || !host->receiver_) {
    ++drops_.unreachable;
    return;
  }
  ++host->counters_.datagrams_in;
  host->counters_.bytes_in += flight.bytes.size();
  trace(flight, *host);
  // A copy: the receiver may crash its host, which would destroy the function under its feet.
  const auto receiver = host->receiver_;
  receiver(flight.bytes, flight.source);
}

void World::trace(const Flight& flight, const SimHost& to) {
  ++deliveries_;
  const auto mix = [this](std::uint64_t v) {
    trace_hash_ = (trace_hash_ ^ v) * 0x9e3779b97f4a7c15;
    trace_hash_ ^= trace_hash_ >> 29;
  };
  mix(now_.time_since_epoch().count());
  mix(std::uint64_t{flight.sender} << 32 | to.id());
  const Bytes& bytes = flight.bytes;
  for (std::size_t i = 0; i < bytes.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, std::min<std::size_t>(8, bytes.size() - i));
    mix(word);
  }
}

void World::run_to(TimePoint end) {
  for (;;) {
    const auto timer = timers_.next_due();
    const bool delivery = !arrivals_.empty() && (!timer || arrivals_.front().at <= *timer);
    if (!delivery && !timer) break;
    const TimePoint next = delivery ? arrivals_.front().at : *timer;
    if (next > end) break;
    now_ = std::max(now_, next);
    if (delivery) {
      deliver_next();
    } else {
      timers_.fire_one(now_);
    }
  }
  now_ = end;
}

void World::run_for(Duration span) { run_to(now_ + span); }

bool World::run_until(const std::function<bool()>& done, Duration limit, Duration step) {
  const TimePoint end = now_ + limit;
  while (!done()) {
    if (now_ >= end) return false;
    run_to(std::min(now_ + step, end));
  }
  return true;
}

}  // namespace wow
