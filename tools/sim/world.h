// A deterministic internet: one virtual clock, hosts with one UDP port each (and more while their
// nodes ask for them), sites behind NATs and
// firewalls, links that delay, lose and reorder. The same seed gives the same run,
// packet for packet (trace_hash). It knows nothing of sessions or rings: SimPool puts nodes on
// hosts. Single-threaded.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/endpoint.h"
#include "base/random.h"
#include "base/transport.h"
#include "tools/sim/event_queue.h"
#include "tools/sim/nat_model.h"

namespace wow {

class SimHost;
class Site;
class World;

struct IpHash {
  std::size_t operator()(const IpAddress& ip) const { return EndpointHash()(Endpoint{ip, 0}); }
};

// What an address leads to, within one network: a host, or the gateway of a site.
struct Place {
  SimHost* host = nullptr;
  Site* site = nullptr;
};
using Places = std::unordered_map<IpAddress, Place, IpHash>;

// A LAN and its gateway. Hosts of one site reach each other's own addresses without passing the
// gateway. A site may lie in another (a home router behind a carrier's NAT).
class Site {
 public:
  Site(const IpAddress& outside, const NatRules& rules, std::uint64_t seed, Site* parent)
      : gateway(outside, rules, seed), parent(parent) {}
  NatModel gateway;
  Site* const parent;  // null: the internet is outside

 private:
  friend class World;
  Places places_;
  const SimHost* keeps_port_ = nullptr;  // whose streams leave from the port that they have inside
};

// What one datagram meets on its way.
struct Link {
  Duration latency = 20ms;  // one way
  // Up to this is added, for each datagram anew; more than their spacing reorders them.
  Duration jitter = 0ms;
  double loss = 0;       // 0..1
  double duplicate = 0;  // 0..1: arrives twice
  // Larger payloads are lost, if they must not be fragmented or fragments are filtered; 0: none.
  std::size_t payload_max = 0;
  bool drops_fragments = false;
};

struct SimCounters {
  std::uint64_t datagrams_out = 0, bytes_out = 0;  // UDP payload
  std::uint64_t datagrams_in = 0, bytes_in = 0;
};

// What a host sends leaves one after the other; what would wait behind more than this is dropped.
struct Uplink {
  double bytes_per_second = 0;  // 0: no bound
  std::size_t queue_bytes = 64 * 1024;
};

// Whether a host's clock runs on while it stands still (a stopped process, a laptop asleep) or
// stands still as well (a virtual machine that was frozen).
enum class PausedClock { kRuns, kStops };

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
  // How much faster than the world's its clock runs, from the start of the world on: for hosts on
  // which nothing runs yet.
  void set_drift(int parts_per_million) { drift_ppm_ = parts_per_million; }
  // Whether it accepts streams at its own addresses, and dials from there; every host can dial.
  void accept_streams() { accepts_streams_ = true; }
  // Nothing by UDP in or out, as behind some firewalls; streams are not touched.
  void block_udp(bool blocked) { udp_blocked_ = blocked; }
  // Ends all its streams, as a router that restarts does.
  void reset_streams() { streams_.clear(); }
  void set_uplink(const Uplink& uplink) { uplink_ = std::make_unique<Busy>(Busy{uplink, {}}); }

  TimePoint now() const override;
  WallTime wall() const override;
  TimerId schedule(TimePoint at, std::function<void()> fire) override;
  void cancel(TimerId id) override;
  void send(std::span<const Datagram> batch) override;
  std::vector<Endpoint> local_endpoints() const override;
  void release(std::uint8_t socket) override { sockets_.erase(socket); }
  std::size_t sockets_open() const { return sockets_.size(); }  // beside its own

 private:
  friend class World;
  struct Attachment {
    IpAddress ip;
    Site* site;
  };
  // One end of a stream, known by the far endpoint.
  struct StreamEnd {
    std::uint32_t peer = 0;  // the host there,
    Endpoint mirrored;       // and what it knows this stream by
    TimePoint ready{};       // the latest arrival: what is sent later arrives later
  };
  struct Busy {
    Uplink uplink;
    TimePoint free_at;
  };

  // The port of a further socket, opened when first used; and back, if it is one.
  std::uint16_t port_of(std::uint8_t socket);
  std::optional<std::uint8_t> socket_at(std::uint16_t port) const;

  World& world_;
  const std::uint32_t id_;
  std::uint32_t life_ = 0;  // timers of an earlier life do not fire
  SeededRandom random_;
  Receiver receiver_;
  std::vector<Attachment> attachments_;
  SimCounters counters_;
  std::unique_ptr<Busy> uplink_;
  std::chrono::seconds wall_offset_{};
  Duration stood_still_{};    // its clock, in all pauses
  TimePoint paused_until_{};  // of the world's time
  std::uint32_t held_ = 0;    // datagrams that wait for the end of the pause
  int drift_ppm_ = 0;
  bool up_ = true;
  bool accepts_streams_ = false, udp_blocked_ = false;
  std::uint16_t next_stream_port_ = 0, next_socket_port_ = 0;
  std::map<std::uint8_t, std::uint16_t> sockets_;
  std::map<Endpoint, StreamEnd> streams_;
};

class World {
 public:
  using LinkOf = std::function<Link(const SimHost& from, const SimHost& to)>;
  using Blocked = std::function<bool(const SimHost& from, const SimHost& to)>;

  // Datagrams that did not arrive, by reason.
  struct Drops {
    std::uint64_t lost = 0, blocked = 0, filtered = 0, unreachable = 0;
    std::uint64_t too_big = 0;
    std::uint64_t queue_full = 0;  // of an uplink, or of the socket of a paused host
  };

  explicit World(std::uint64_t seed);
  std::uint64_t seed() const { return seed_; }
  // What befalls packets follows from this seed from now on; hosts go on as they would.
  void draw_anew(std::uint64_t seed) { random_ = SeededRandom(seed); }

  // Within `parent`, if there is one.
  Site& add_nat(std::string_view outside_ip, const NatRules& rules = {}, Site* parent = nullptr);
  Site& add_firewall(NatScope filtering = NatScope::kAddressPortDependent, Site* parent = nullptr);
  // A host with a public address (no site) or inside one. Texts that are no address, and addresses
  // that are taken, throw std::invalid_argument.
  SimHost& add_host(const IpAddress& ip, Site* site = nullptr);
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
  // Stands still for `span` from now: timers that fall due meanwhile fire at its end, datagrams
  // wait for it (kHeldMax of them).
  void pause(SimHost& host, Duration span, PausedClock clock);
  static constexpr std::uint32_t kHeldMax = 256;

  // All links; the function is asked for each datagram (while the receiver behind a NAT is not
  // known, with a host of its site).
  void set_link(const Link& link);
  void set_link(LinkOf link_of) { link_of_ = std::move(link_of); }
  Link link(const SimHost& from, const SimHost& to) const { return link_of_(from, to); }
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
  const SimHost& host(std::uint32_t id) const { return *hosts_.at(id); }
  std::size_t host_count() const { return hosts_.size(); }

 private:
  friend class SimHost;
  struct Way {
    Endpoint source, to;
    std::uint32_t sender = 0;
    std::uint32_t topology = 0;  // `receiver` holds as long as nothing has moved since
    SimHost* receiver = nullptr;
    Site* lan = nullptr;  // set: went no further up than this site
  };
  struct Flight {
    Way way;
    Bytes bytes;
  };
  static constexpr int kChunkBits = 8;
  static constexpr std::size_t kBufferKept = 256;  // bytes of a buffer worth keeping for the next

  void attach(SimHost& host, const IpAddress& ip, Site* site);
  void detach(SimHost& host);
  Place* find(Site* network, const IpAddress& ip);
  void transmit(SimHost& from, const Datagram& datagram);
  // Over a stream (world_streams.cc): nothing is lost or overtaken. Dials where there is none.
  void transmit_stream(SimHost& from, const Datagram& datagram);
  SimHost::StreamEnd* dial_stream(SimHost& from, const Endpoint& to);
  Endpoint stream_source(SimHost& from);
  SimHost* stream_peer(const SimHost& from, const Endpoint& source, const Endpoint& to);
  void arrive_by_stream(const SimHost::StreamEnd& end, std::uint32_t sender, Bytes& bytes);
  std::optional<Duration> uplink_delay(SimHost& from, std::size_t bytes);
  void launch(const Way& way, const Datagram& datagram, const Link& link, Duration wait);
  void arrive(std::uint32_t slot);
  bool take_in(std::uint32_t slot);
  struct Receiver {
    SimHost* host;
    std::uint8_t socket;
  };
  std::optional<Receiver> receiver_of(const Way& way);
  const SimHost* likely_receiver(const Endpoint& to, Way& way);
  void trace(const Flight& flight, const SimHost& to);
  void run_to(TimePoint end);
  Flight& flight(std::uint32_t slot) {
    return flights_[slot >> kChunkBits][slot & ((1u << kChunkBits) - 1)];
  }
  std::uint32_t take_flight();

  std::uint64_t seed_;
  SeededRandom random_;
  TimePoint now_;
  EventQueue events_;
  std::vector<std::unique_ptr<SimHost>> hosts_;
  std::vector<std::unique_ptr<Site>> sites_;
  Places internet_;
  std::uint32_t topology_ = 0;  // grows whenever an address changes hands
  LinkOf link_of_;
  Link lan_link_{200us};
  Blocked blocked_;
  // Streams that nobody has taken yet, by where they come from and where they go to.
  struct Knock {
    std::uint32_t host;
    TimePoint until;
  };
  std::map<std::pair<Endpoint, Endpoint>, Knock> knocks_;
  std::vector<std::unique_ptr<Flight[]>> flights_;  // in chunks: a flight stays where it is
  std::vector<std::uint32_t> free_flights_;
  std::uint64_t deliveries_ = 0, trace_hash_ = 0;
  Drops drops_;
};

}  // namespace wow
