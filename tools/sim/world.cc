#include "tools/sim/world.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

namespace wow {
namespace {

// Far from zero, so that a default-constructed time is never mistaken for "just now".
constexpr TimePoint kStart{Duration(1h)};
constexpr WallTime kWallStart{std::chrono::seconds(1'800'000'000)};  // January 2027

constexpr std::int64_t kMillion = 1'000'000;

IpAddress ip_or_throw(std::string_view text) {
  const auto ip = IpAddress::parse(text);
  if (!ip) throw std::invalid_argument("not an IP address: " + std::string(text));
  return *ip;
}

}  // namespace

Endpoint SimHost::endpoint() const {
  return attachments_.empty() ? Endpoint() : Endpoint{attachments_[0].ip, kPort};
}

TimePoint SimHost::now() const {
  TimePoint out = world_.now_ - stood_still_;
  if (drift_ppm_ != 0) out += (world_.now_ - kStart) / kMillion * drift_ppm_;
  return out;
}

WallTime SimHost::wall() const {
  const auto since = std::chrono::duration_cast<std::chrono::seconds>(now() - kStart);
  return kWallStart + since + wall_offset_;
}

TimerId SimHost::schedule(TimePoint at, std::function<void()> fire) {
  Duration wait = std::max(at - now(), Duration::zero());
  if (drift_ppm_ != 0) {
    // A little more than the drift demands: a timer may be late, but not early.
    const std::int64_t rate = kMillion + drift_ppm_;
    wait = wait / rate * kMillion + wait % rate * kMillion / rate +
           Duration(1 + 2 * std::abs(drift_ppm_));
  }
  return world_.events_.add(world_.now_ + wait, {id_, life_}, std::move(fire));
}

void SimHost::cancel(TimerId id) { world_.events_.cancel(id); }

void SimHost::send(std::span<const Datagram> batch) {
  for (const Datagram& datagram : batch) world_.transmit(*this, datagram);
}

std::vector<Endpoint> SimHost::local_endpoints() const {
  std::vector<Endpoint> out;
  for (const Attachment& a : attachments_) out.push_back({a.ip, kPort});
  for (const Attachment& a : attachments_) {
    if (accepts_streams_) out.push_back({a.ip, kPort, Carrier::kTcp});
  }
  return out;
}

std::uint16_t SimHost::port_of(std::uint8_t socket) {
  if (socket == 0) return kPort;
  constexpr std::uint16_t kFirst = 10'000, kPorts = 20'000;
  const auto [at, is_new] = sockets_.try_emplace(socket);
  if (is_new) at->second = static_cast<std::uint16_t>(kFirst + next_socket_port_++ % kPorts);
  return at->second;
}

std::optional<std::uint8_t> SimHost::socket_at(std::uint16_t port) const {
  if (port == kPort) return 0;
  for (const auto& [socket, its_port] : sockets_)
    if (its_port == port) return socket;
  return std::nullopt;
}

World::World(std::uint64_t seed) : seed_(seed), random_(seed), now_(kStart) { set_link(Link{}); }

Site& World::add_nat(std::string_view outside_ip, const NatRules& rules, Site* parent) {
  const IpAddress outside = ip_or_throw(outside_ip);
  Site& site = *sites_.emplace_back(std::make_unique<Site>(outside, rules, random_.u64(), parent));
  (parent ? parent->places_ : internet_)[outside] = {nullptr, &site};
  ++topology_;
  return site;
}

Site& World::add_firewall(NatScope filtering, Site* parent) {
  NatRules rules;
  rules.translate = false;
  rules.filtering = filtering;
  return *sites_.emplace_back(std::make_unique<Site>(IpAddress(), rules, random_.u64(), parent));
}

SimHost& World::add_host(const IpAddress& ip, Site* site) {
  const auto id = static_cast<std::uint32_t>(hosts_.size());
  SimHost& host = *hosts_.emplace_back(std::make_unique<SimHost>(*this, id, random_.u64()));
  attach(host, ip, site);
  return host;
}

SimHost& World::add_host(std::string_view ip, Site* site) {
  return add_host(ip_or_throw(ip), site);
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
  host.held_ = 0;
  ++host.life_;
  host.receiver_ = nullptr;
  host.streams_.clear();
  host.sockets_.clear();
}

void World::restart(SimHost& host) { host.up_ = true; }

void World::pause(SimHost& host, Duration span, PausedClock clock) {
  const TimePoint end = now_ + span;
  host.paused_until_ = end;
  if (clock == PausedClock::kStops) host.stood_still_ += span;
  events_.retime(host.id_, [&](TimePoint at) {
    return clock == PausedClock::kStops ? at + span : std::max(at, end);
  });
}

Place* World::find(Site* network, const IpAddress& ip) {
  Places& places = network ? network->places_ : internet_;
  const auto found = places.find(ip);
  return found == places.end() ? nullptr : &found->second;
}

void World::attach(SimHost& host, const IpAddress& ip, Site* site) {
  if (find(site, ip)) throw std::invalid_argument("address taken: " + ip.text());
  ++topology_;
  host.attachments_.push_back({ip, site});
  (site ? site->places_ : internet_)[ip] = {&host, nullptr};
  // A firewall translates nothing, so that its hosts have their addresses outside, too.
  for (Site* s = site; s && !s->gateway.rules().translate; s = s->parent)
    (s->parent ? s->parent->places_ : internet_)[ip] = {nullptr, s};
}

void World::detach(SimHost& host) {
  ++topology_;
  for (const auto& a : host.attachments_) {
    (a.site ? a.site->places_ : internet_).erase(a.ip);
    for (Site* s = a.site; s && !s->gateway.rules().translate; s = s->parent)
      (s->parent ? s->parent->places_ : internet_).erase(a.ip);
  }
  host.attachments_.clear();
}

void World::set_link(const Link& link) {
  link_of_ = [link](const SimHost&, const SimHost&) { return link; };
}

void World::transmit(SimHost& from, const Datagram& datagram) {
  if (!from.up_) return;
  if (datagram.to.is_stream()) return transmit_stream(from, datagram);
  const Endpoint& to = datagram.to;
  const Endpoint far{to.ip, to.port};        // as the others know it
  const SimHost::Attachment* out = nullptr;  // a LAN that has the address, else any of its family
  for (const auto& a : from.attachments_) {
    const bool lan = a.site && find(a.site, to.ip);
    if (lan || (!out && a.ip.is_v4() == to.ip.is_v4())) out = &a;
    if (lan) break;
  }
  const std::size_t bytes = datagram.head.size() + datagram.body.size();
  ++from.counters_.datagrams_out;
  from.counters_.bytes_out += bytes;
  if (!out) {
    ++drops_.unreachable;
    return;
  }
  const auto wait = uplink_delay(from, bytes);
  if (!wait) {
    ++drops_.queue_full;
    return;
  }
  Way way;
  way.source = {out->ip, from.port_of(to.socket)};
  way.to = far;
  way.sender = from.id_;
  way.lan = out->site;
  while (way.lan && !find(way.lan, to.ip)) {
    NatModel& gateway = way.lan->gateway;
    way.source = gateway.outgoing(way.source, far, now_);
    if (to.ip == gateway.outside() && !gateway.rules().hairpin) {
      ++drops_.filtered;
      return;
    }
    way.lan = way.lan->parent;
  }
  if (way.lan) return launch(way, datagram, lan_link_, *wait);
  const SimHost* receiver = likely_receiver(to, way);
  if (!receiver) {
    ++drops_.unreachable;
    return;
  }
  launch(way, datagram, link_of_(from, *receiver), *wait);
}

// How long until the last byte is on the wire; nothing if the queue is full.
std::optional<Duration> World::uplink_delay(SimHost& from, std::size_t bytes) {
  if (!from.uplink_ || from.uplink_->uplink.bytes_per_second <= 0) return Duration::zero();
  constexpr std::size_t kHeaders = 28;  // IP and UDP
  auto& [uplink, free_at] = *from.uplink_;
  const Duration backlog = std::max(free_at - now_, Duration::zero());
  if (to_seconds(backlog) * uplink.bytes_per_second > static_cast<double>(uplink.queue_bytes))
    return std::nullopt;
  const double seconds = static_cast<double>(bytes + kHeaders) / uplink.bytes_per_second;
  const Duration wait = backlog + Duration(static_cast<Duration::rep>(seconds * 1e9));
  free_at = now_ + wait;
  return wait;
}

std::uint32_t World::take_flight() {
  if (free_flights_.empty()) {
    const auto first = static_cast<std::uint32_t>(flights_.size() << kChunkBits);
    flights_.push_back(std::make_unique<Flight[]>(std::size_t{1} << kChunkBits));
    for (std::uint32_t i = 1u << kChunkBits; i > 0; --i) free_flights_.push_back(first + i - 1);
  }
  const std::uint32_t slot = free_flights_.back();
  free_flights_.pop_back();
  return slot;
}

void World::launch(const Way& way, const Datagram& datagram, const Link& link, Duration wait) {
  if (link.loss > 0 && random_.unit() < link.loss) {
    ++drops_.lost;
    return;
  }
  const std::size_t bytes = datagram.head.size() + datagram.body.size();
  if (link.payload_max != 0 && bytes > link.payload_max &&
      (datagram.dont_fragment || link.drops_fragments)) {
    ++drops_.too_big;
    return;
  }
  const int copies = link.duplicate > 0 && random_.unit() < link.duplicate ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    Duration delay = wait + link.latency;
    if (link.jitter > 0ns) delay += Duration(random_.below(link.jitter.count()));
    const std::uint32_t slot = take_flight();
    Flight& flight = this->flight(slot);
    flight.way = way;
    flight.bytes.assign(datagram.head.begin(), datagram.head.end());
    flight.bytes.insert(flight.bytes.end(), datagram.body.begin(), datagram.body.end());
    events_.add(now_ + delay, {}, [this, slot] { arrive(slot); });
  }
}

// While a NAT has not said who it is for: a host of that site.
const SimHost* World::likely_receiver(const Endpoint& to, Way& way) {
  const Place* place = find(nullptr, to.ip);
  if (place && place->host && to.port == SimHost::kPort) {
    way.receiver = place->host;
    way.topology = topology_;
  }
  while (place && place->site) {
    const Places& inside = place->site->places_;
    if (const auto same = inside.find(to.ip); same != inside.end()) {
      place = &same->second;
      continue;
    }
    const Place* first = nullptr;
    for (const auto& [any, p] : inside) {
      if (!first || !first->host || (p.host && p.host->id() < first->host->id())) first = &p;
    }
    place = first;
  }
  return place ? place->host : nullptr;
}

std::optional<World::Receiver> World::receiver_of(const Way& way) {
  if (way.receiver && way.topology == topology_) return Receiver{way.receiver, 0};
  Endpoint to = way.to;
  const Place* place = find(way.lan, to.ip);
  while (place && place->site) {
    Site& site = *place->site;
    const auto inside = site.gateway.incoming(way.source, to, now_);
    if (!inside) {
      ++drops_.filtered;
      return std::nullopt;
    }
    to = *inside;
    place = find(&site, to.ip);
  }
  const auto socket = place && place->host ? place->host->socket_at(to.port) : std::nullopt;
  if (socket) return Receiver{place->host, *socket};
  ++drops_.unreachable;
  return std::nullopt;
}

void World::arrive(std::uint32_t slot) {
  if (!take_in(slot)) return;
  Bytes& bytes = flight(slot).bytes;
  bytes.clear();
  if (bytes.capacity() > kBufferKept) Bytes().swap(bytes);
  free_flights_.push_back(slot);
}

// False if the flight has to wait.
bool World::take_in(std::uint32_t slot) {
  Flight& flight = this->flight(slot);
  const auto found = receiver_of(flight.way);
  if (!found) return true;
  SimHost* const host = found->host;
  const bool walled = host->udp_blocked_ || hosts_[flight.way.sender]->udp_blocked_;
  if (walled || (blocked_ && blocked_(*hosts_[flight.way.sender], *host))) {
    ++drops_.blocked;
    return true;
  }
  if (!host->up_ || !host->receiver_) {
    ++drops_.unreachable;
    return true;
  }
  if (host->paused_until_ > now_) {
    if (host->held_ >= kHeldMax) {
      ++drops_.queue_full;
      return true;
    }
    ++host->held_;
    events_.add(host->paused_until_, {}, [this, slot] { arrive(slot); });
    return false;
  }
  host->held_ = 0;
  ++host->counters_.datagrams_in;
  host->counters_.bytes_in += flight.bytes.size();
  trace(flight, *host);
  // A copy: the receiver may crash its host, which would destroy the function under its feet.
  const auto receiver = host->receiver_;
  Endpoint source = flight.way.source;
  source.socket = found->socket;
  receiver(flight.bytes, source);
  return true;
}

void World::trace(const Flight& flight, const SimHost& to) {
  ++deliveries_;
  const auto mix = [this](std::uint64_t v) {
    trace_hash_ = (trace_hash_ ^ v) * 0x9e3779b97f4a7c15;
    trace_hash_ ^= trace_hash_ >> 29;
  };
  mix(now_.time_since_epoch().count());
  mix(std::uint64_t{flight.way.sender} << 32 | to.id());
  const Bytes& bytes = flight.bytes;
  for (std::size_t i = 0; i < bytes.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, std::min<std::size_t>(8, bytes.size() - i));
    mix(word);
  }
}

void World::run_to(TimePoint end) {
  while (auto event = events_.pop(end)) {
    now_ = std::max(now_, event->at);
    const auto& owner = event->owner;
    if (owner.id != EventQueue::kNobody && hosts_[owner.id]->life_ != owner.life) continue;
    event->fire();
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
