// A small deterministic internet for tests: one virtual clock, hosts with one UDP port each, sites
// behind NATs and firewalls, links that delay, lose and reorder. The same seed gives the same run,
// packet for packet (trace_hash). It knows nothing of sessions or rings: SimPool puts nodes on
// hosts. Single-threaded.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/endpoint.h"
#include "base/random.h"
#include "base/timer_queue.h"
#include "base/transport.h"
#include "tools/sim/nat_model.h"

namespace wow {

class SimHost;
class World;

struct IpHash {
  std::size_t operator()(const IpAddress& ip) const { return EndpointHash()(Endpoint{ip, 0}); }
};

// A LAN and its gateway. Hosts of one site reach each other's own addresses without passing the
// gateway.
class Site {
 public:
  Site(const IpAddress& outside, const NatRules& rules, std::uint64_t seed)
      : gateway(outside, rules, seed) {}
  NatModel gateway;

 private:
  friend class World;
  std::unordered_map<IpAddress, SimHost*, IpHash> hosts_;
};

// What one datagram meets on its way.
struct Link {
  Duration latency = 20ms;  // one way
  Duration jitter =
      0ms;  // up to this is added, for each datagram anew; more than their spacing reorders them
  double loss = 0;       // 0..1
  double duplicate = 0;  // 0..1: arrives twice
};

struct SimCounters {
  std::uint64_t datagrams_out = 0, bytes_out = 0;  // UDP payload
  std::uint64_t datagrams_in = 0, bytes_in = 0;
};

// One machine: its clock, randomness and UDP socket, to hand to a node.
class SimHost final : public Clock, public Transport {
 public:
  static constexpr std::uint16_t kPort = 4433;
  using Receiver = std::function<void(MutableBytes packet, const Endpoint& from)>;

  SimHost(World& world, std::uint32_t id, std::uint64_t seed)
      : world_(world), id_(id), random_(seed) {}

  std::uint32_t id() const { return id_; }  // 0, 1, 2, ... in order of adding
  Clock& clock() { return *this; }
  Transport& transport() { return *this; }
  Random& random() { return random_; }
  // Where datagrams go; an empty function closes the socket.
  void set_receiver(Receiver receiver) { receiver_ = std::move(receiver); }
  bool is_up() const { return up_; }
  Endpoint endpoint() const;  // its first own address with the port; unset if it has none
  const SimCounters& counters() const { return counters_; }
  void set_wall_offset(std::chrono::seconds offset) { wall_offset_ = offset; }

  TimePoint now() const override;
  WallTime wall() const override;
  TimerId schedule(TimePoint at, std::function<void()> fire) override;
  void cancel(TimerId id) override;
  void send(std::span<const Datagram> batch) override;
  std::vector<Endpoint> local_endpoints() const override;

 private:
  friend class World;
  struct Attachment {
    IpAddress ip;
    Site* site;
  };

  World& world_;
  std::uint32_t id_;
  SeededRandom random_;
  Receiver receiver_;
  std::vector<Attachment> attachments_;
  SimCounters counters_;
  std::chrono::seconds wall_offset_{};
  std::uint64_t life_ = 0;  // timers of an earlier life do not fire
  bool up_ = true;
};

class World {
 public:
  using LinkOf = std::function<Link(const SimHost& from, const SimHost& to)>;
  using Blocked = std::function<bool(const SimHost& from, const SimHost& to)>;

  // Datagrams that did not arrive, by reason.
  struct Drops {
    std::uint64_t lost = 0, blocked = 0, filtered = 0, unreachable = 0;
  };

  explicit World(std::uint64_t seed);
  std::uint64_t seed() const { return seed_; }

  Site& add_nat(std::string_view outside_ip, const NatRules& rules = {});
  Site& add_firewall(NatScope filtering = NatScope::kAddressPortDependent);
  // A host with a public address (no site) or inside one. Texts that are no address throw
  // std::invalid_argument.
  SimHost& add_host(std::string_view ip, Site* site = nullptr);
  SimHost& add_host(std::string_view ip, Site& site) { return add_host(ip, &site); }
  // One more address (IPv6 beside IPv4, say).
  void add_address(SimHost& host, std::string_view ip, Site* site = nullptr);
  // The host wakes up elsewhere: all its addresses are replaced by this one. Telling its node is
  // the caller's.
  void move(SimHost& host, std::string_view ip, Site* site = nullptr);
  // Off: no timer of this life fires any more, nothing is sent or received. restart() begins a new
  // life.
  void crash(SimHost& host);
  void restart(SimHost& host);

  // All links; the function is asked for each datagram (while the receiver behind a NAT is not
  // known, with a host of its site).
  void set_link(const Link& link);
  void set_link(LinkOf link_of) { link_of_ = std::move(link_of); }
  void set_lan_link(const Link& link) { lan_link_ = link; }
  // Who cannot reach whom, asked on arrival; an empty function heals.
  void set_blocked(Blocked blocked) { blocked_ = std::move(blocked); }

  TimePoint now() const { return now_; }
  void run_for(Duration span);
  // Runs until `done`, asked every `step`; returns whether it came true within `limit`.
  bool run_until(const std::function<bool()>& done, Duration limit, Duration step = 10ms);

  // Over time, sender, receiver and bytes of every delivery so far.
  std::uint64_t trace_hash() const { return trace_hash_; }
  std::uint64_t deliveries() const { return deliveries_; }
  const Drops& drops() const { return drops_; }
  SimHost& host(std::uint32_t id) { return *hosts_.at(id); }
  std::size_t host_count() const { return hosts_.size(); }

 private:
  friend class SimHost;
  struct Flight {
    Endpoint source, to;
    std::uint32_t sender = 0;
    Site* lan = nullptr;  // set: never left this LAN
    Bytes bytes;
  };
  struct Arrival {
    TimePoint at;
    std::uint64_t sequence;
    std::uint32_t flight;
    bool operator>(const Arrival& o) const {
      return at != o.at ? at > o.at : sequence > o.sequence;
    }
  };
  struct Public {
    SimHost* host = nullptr;
    Site* site = nullptr;
  };

  void attach(SimHost& host, const IpAddress& ip, Site* site);
  void detach(SimHost& host);
  void transmit(SimHost& from, const Datagram& datagram);
  void launch(Flight flight, const Link& link);
  void deliver_next();
  SimHost* receiver_of(const Flight& flight);
  const SimHost* likely_receiver(const Endpoint& to) const;
  void trace(const Flight& flight, const SimHost& to);
  void run_to(TimePoint end);

  std::uint64_t seed_;
  SeededRandom random_;
  TimePoint now_;
  TimerQueue timers_;
  std::vector<std::unique_ptr<SimHost>> hosts_;
  std::vector<std::unique_ptr<Site>> sites_;
  std::unordered_map<IpAddress, Public, IpHash> internet_;
  LinkOf link_of_;
  Link lan_link_{200us};
  Blocked blocked_;
  std::vector<Arrival> arrivals_;  // a heap, the earliest on top
  std::vector<Flight> flights_;
  std::vector<std::uint32_t> free_flights_;
  std::uint64_t sequence_ = 0, deliveries_ = 0, trace_hash_ = 0;
  Drops drops_;
};

}  // namespace wow
