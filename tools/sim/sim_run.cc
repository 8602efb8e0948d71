#include "tools/sim/sim_run.h"

#include <algorithm>
#include <charconv>

#include "overlay/limits.h"
#include "tools/sim/ring_shape.h"

namespace wow {
namespace {

constexpr double kHeaderBytes = 28;  // IPv4 and UDP
constexpr Duration kCheckEvery = 10s;
constexpr std::size_t kCheckedNodes = 256;  // each time
constexpr std::uint32_t kPublicNet = 20u << 24, kNatNet = 30u << 24;
constexpr std::uint32_t kHomeNet = 10u << 24;

}  // namespace

SimRun::SimRun(const SimOptions& options, std::uint64_t seed, std::size_t default_nodes,
               Progress progress)
    : options(options),
      nodes(options.nodes != 0 ? options.nodes : default_nodes),
      world(seed),
      pool(world),
      random(seed + 2),
      progress_(std::move(progress)),
      seed_(seed),
      internet_(seed + 3),
      begun_(world.now()),
      next_check_(begun_) {
  set_links();
  if (progress_) pool.set_progress([this] { progress_(seconds(), *this); });
}

void SimRun::draw_anew(std::uint64_t seed) {
  seed_ = seed;
  world.draw_anew(seed);
  random = SeededRandom(seed + 2);
}

double SimRun::option_minutes(double by_default) const {
  return options.minutes > 0 ? options.minutes : by_default;
}
double SimRun::option_part(double by_default) const {
  return options.part >= 0 ? options.part : by_default;
}
double SimRun::option_loss(double by_default) const {
  return options.loss >= 0 ? options.loss : by_default;
}

void SimRun::set_links(double loss) {
  Link link;
  link.loss = option_loss(loss);
  if (options.latency == "model") {
    // Packets that follow each other closely overtake each other now and then.
    link.jitter = 2ms;
    world.set_link([this, link](const SimHost& from, const SimHost& to) mutable {
      link.latency = internet_.latency(from.id(), to.id());
      return link;
    });
    return;
  }
  const char* const end = options.latency.data() + options.latency.size();
  unsigned ms = 0;
  if (const auto read = std::from_chars(options.latency.data(), end, ms);
      read.ec == std::errc() && read.ptr == end) {
    link.latency = std::chrono::milliseconds(ms);
    return world.set_link(link);
  }
  if (!matrix_) matrix_ = std::make_unique<LatencyMatrix>(LatencyMatrix::read(options.latency));
  world.set_link([this, link](const SimHost& from, const SimHost& to) mutable {
    link.latency = matrix_->latency(from.id(), to.id());
    return link;
  });
}

SimHost& SimRun::public_host() { return world.add_host(IpAddress::v4(kPublicNet + ++hosts_)); }

std::vector<SimHost*> SimRun::public_hosts(std::size_t count) {
  std::vector<SimHost*> out;
  while (out.size() < count) out.push_back(&public_host());
  return out;
}

SimHost& SimRun::host_behind_nat(const NatRules& rules) {
  const auto number = static_cast<std::uint32_t>(nats_.size() + 1);
  Site& site = world.add_nat(IpAddress::v4(kNatNet + number).text(), rules);
  nats_.push_back(&site);
  // Networks of their own, as homes mostly have: whoever tries another's is let out by its NAT.
  return world.add_host(IpAddress::v4(kHomeNet + (number << 8) + 2).text(), site);
}

std::pair<double, double> SimRun::nat_entries() const {
  double most = 0, sum = 0;
  for (const Site* site : nats_) {
    const auto entries = static_cast<double>(site->gateway.entries(world.now()));
    most = std::max(most, entries);
    sum += entries;
  }
  return {most, nats_.empty() ? 0 : sum / static_cast<double>(nats_.size())};
}

std::vector<Endpoint> SimRun::start_bootstraps(std::size_t count) {
  const auto hosts = public_hosts(count);
  std::vector<Endpoint> out;
  for (const SimHost* host : hosts) out.push_back(host->endpoint());
  for (SimHost* host : hosts) {
    NodeOptions node;
    node.bootstraps = out;
    pool.add(*host, node);
  }
  return out;
}

void SimRun::grow_ring(std::size_t count, std::size_t bootstraps, Duration spread) {
  const auto hosts = public_hosts(count);
  NodeOptions node;
  for (std::size_t i = 0; i < bootstraps && i < count; ++i)
    node.bootstraps.push_back(hosts[i]->endpoint());
  // Five hundred a second: more at once would only need more room for packets on their way.
  spread = std::max<Duration>({spread, 2s, std::chrono::milliseconds(2 * count)});
  const double all_started = seconds() + std::chrono::duration<double>(spread).count();
  const bool whole = pool.construct(hosts, spread, node);
  report.at_most("whole after the last of the ring has started",
                 whole ? seconds() - all_started : kNever, 60, "s");
  run_for(20s);
}

void SimRun::tick() {
  if (progress_) progress_(seconds(), *this);
  if (world.now() < next_check_) return;
  next_check_ = world.now() + kCheckEvery;
  check_safety();
}

void SimRun::run_for(Duration span) {
  run_until([] { return false; }, span, 1s);
}

void SimRun::run_for_seconds(double seconds) {
  run_for(Duration(static_cast<Duration::rep>(seconds * 1e9)));
}

double SimRun::run_until(const std::function<bool()>& done, Duration limit, Duration step) {
  const TimePoint start = world.now();
  while (!done()) {
    const Duration left = start + limit - world.now();
    if (left <= 0ns) return kNever;
    world.run_for(std::min(step, left));
    tick();
  }
  return to_seconds(world.now() - start);
}

double SimRun::until_whole(Duration limit, const std::string& chart) {
  RingChecker checker(pool);
  if (chart.empty()) return run_until([&] { return checker.whole(); }, limit);
  const double start = seconds();
  Chart health{Chart::Kind::kLine, chart, "seconds", "part of nodes with all near edges", {}};
  const double took = run_until(
      [&] {
        health.points.emplace_back(seconds() - start, checker.health());
        return health.points.back().second == 1;
      },
      limit, 100ms);
  report.add(std::move(health));
  return took;
}

SimNode& SimRun::any() {
  const auto& ring = pool.ring();
  return *ring[random.below(ring.size())];
}

double SimRun::routable_part(std::size_t samples, std::vector<double>* hops,
                             std::vector<double>* stretch) {
  const auto& ring = pool.ring();
  std::size_t asked = 0, arrived = 0;
  const auto ask = [&](const SimNode& from, const SimNode& to) {
    const Walk way = walk(pool, from, to.address());
    if (way.looped)
      throw SafetyViolation("a packet from " + from.address().short_hex() + " to " +
                            to.address().short_hex() + " goes in circles");
    ++asked;
    if (!way.arrived) return;
    ++arrived;
    if (hops) hops->push_back(way.hops);
    const Duration direct = world.link(from.host, to.host).latency;
    if (stretch && direct > 0ns) stretch->push_back(to_seconds(way.latency) / to_seconds(direct));
  };
  if (ring.size() * (ring.size() - 1) <= samples) {
    for (const SimNode* from : ring) {
      for (const SimNode* to : ring) {
        if (from != to) ask(*from, *to);
      }
    }
  } else {
    while (asked < samples) {
      const SimNode &from = any(), &to = any();
      if (&from != &to) ask(from, to);
    }
  }
  return asked == 0 ? 1 : static_cast<double>(arrived) / static_cast<double>(asked);
}

double SimRun::bytes_sent() const {
  double out = 0;
  for (std::size_t i = 0; i < world.host_count(); ++i) {
    const SimCounters& c = world.host(static_cast<std::uint32_t>(i)).counters();
    out += static_cast<double>(c.bytes_out) + kHeaderBytes * static_cast<double>(c.datagrams_out);
  }
  return out;
}

void SimRun::demand_one_ring() {
  one_ring_ = true;
  hops_used_up_ = pool.total(Metric::kDropHopLimit);
}

void SimRun::check_safety() {
  const auto violated = [this](const std::string& what) {
    throw SafetyViolation(what + ", after " + std::to_string(seconds()) + " s");
  };
  if (pool.ring().empty()) return;
  const std::size_t size = pool.ring().size();
  for (std::size_t i = 0; i < std::min(kCheckedNodes, size); ++i)
    check_tables(size <= kCheckedNodes ? *pool.ring()[i] : any());
  if (!one_ring_) return;
  // Each hop but one is nearer, and a ring with far edges is a few hops wide: what lives for 32
  // went in circles.
  if (pool.total(Metric::kDropHopLimit) > hops_used_up_)
    violated("a routed packet used up its hops");
  const RingShape shape = ring_shape(pool);
  if (shape.cycles > 1) violated("there are " + std::to_string(shape.cycles) + " rings");
  if (!shape.ordered) violated("the ring is not in the order of addresses");
  if (shape.without_successor > 0) violated("somebody has no live neighbour");
}

void SimRun::check_tables(const SimNode& node) {
  const NodeTables t = node.node->tables();
  const auto demand = [&](const char* table, std::size_t size, std::size_t limit) {
    if (size <= limit) return;
    throw SafetyViolation("node " + node.address().short_hex() + " has " + std::to_string(size) +
                          " " + table + ", which may be " + std::to_string(limit) + ", after " +
                          std::to_string(seconds()) + " s");
  };
  demand("sessions", t.sessions, node.options.limits.sessions_max);
  demand("links", t.links, ring::kLinksMax);
  demand("requests", t.requests, ring::kRequestsMax);
  demand("hints", t.hints, ring::kHintsMax);
  demand("vias", t.vias, ring::kViasMax);
  demand("shortcuts", t.shortcuts, ring::kShortcutsMax);
  demand("bytes waiting to be sent", t.outbox_bytes, ring::kOutboxBytesMax);
  demand("bytes of unfinished messages", t.partial_bytes, ring::kPartialBytesMax);
}

}  // namespace wow
