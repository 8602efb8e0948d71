// The virtual Ethernet as this node sees it: its lease and name, whom an IP address belongs to, ARP
// answered locally, the receiver's source check, DNS. Frames that packet workers cannot place come
// here. Synchronous; control thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/frame_port.h"
#include "base/metrics.h"
#include "base/random.h"
#include "dht/dht.h"
#include "overlay/node.h"
#include "tap/mac_address.h"
#include "tunnel/forwarding.h"

namespace wow {

struct VirtualNetworkOptions {
  std::string pool;  // for names: NAME.POOL.internal
  Prefix subnet;
  Prefix subnet6;  // of the inner IPv6 addresses: inner_ipv6_prefix() of the pool's key
  int mtu = 1380;
  Duration lease_ttl = 7 * 24h;
  std::string name;  // wanted; empty: none
  bool name_is_explicit =
      false;  // taken: refuse, rather than append the address's last two numbers
  std::optional<IpAddress> wanted_ip;  // taken or outside: refuse
  std::optional<IpAddress> last_ip;    // held before a restart: tried first
  std::string last_name;
  // From the settings: addresses and names that only one node may hold. Ours are tried first.
  struct Reservation {
    std::string name;  // may be empty
    std::optional<IpAddress> ip;
    Address node;
  };
  std::vector<Reservation> reservations;
};

struct LeaseInfo {
  IpAddress ip;
  std::string name;
  MacAddress mac{};
  TimePoint expires{};  // by CLOCK_BOOTTIME, counted from sending
  IpAddress ip6;        // ours by our node's address, whatever the lease
};

// One line of `wow leases` and of the hosts block.
struct LeaseRow {
  IpAddress ip;
  std::string name;
  Address node;
  Duration ttl_left{};
  IpAddress ip6;  // unspecified: of a guest on the node's bridge
};

// What a host with a bridge has beside its own interface.
struct BridgeStatus {
  std::size_t guests = 0;  // that have an address
  std::size_t others = 0;  // hosts with bridges that are known
  bool blocked = false;    // another bridge of the pool is on the same LAN
};

class VirtualNetwork {
 public:
  // What the daemon does for us, and the tables that its workers read: all optional but these.
  struct Hooks {
    std::function<void(const LeaseInfo&)>
        lease_held;  // configure the interface; also after a change of lease
    std::function<void()> lease_lost;
    std::function<void(const Error&)>
        lease_refused;  // explicit name or address taken, subnet exhausted: stop
    std::function<void(const std::vector<LeaseRow>&)> names_changed;  // for /etc/hosts
    ForwardingTables* tables = nullptr;                               // ours to change
    std::function<void()> tables_changed;
  };

  VirtualNetwork(Node& node, Dht& dht, Clock& clock, Random& random, FramePort& port,
                 MetricSlot& metrics, VirtualNetworkOptions options, Hooks hooks);
  // Whether a MAC is that of the host's own interface to its bridge.
  using IsHostsOwn = std::function<bool(const MacAddress&)>;
  // Guests join by `lan`, a port of a bridge of this host. Before start(); `lan` outlives us.
  void add_bridge(FramePort& lan, const Credentials& credentials, IsHostsOwn is_hosts_own);
  // A frame from there.
  void on_frame_lan(ByteView frame);
  std::optional<BridgeStatus> bridge() const;
  ~VirtualNetwork();

  void start();  // begins to lease as soon as the node has joined
  // Gives name and address back (`wow leave`); `wow down` just stops.
  void release(std::function<void()> done);

  // A frame from the TAP that no worker could place.
  void on_frame_out(ByteView frame, std::uint8_t facts);
  // A frame from a peer that no worker may deliver (Node's frame handler calls it too).
  void on_frame_in(Session& from, ByteView frame, std::uint8_t facts);
  // The lease list is asked for every `interval` (hosts file mode); zero stops it.
  void follow_names(Duration interval);

  const std::optional<LeaseInfo>& lease() const;
  void leases(std::function<void(Result<std::vector<LeaseRow>>)> done);
  // An IP address, NAME or NAME.POOL.internal -> row.
  void resolve(const std::string& host, std::function<void(Result<LeaseRow>)> done);
  // Round trip through the overlay alone; kUnavailable after `limit`.
  void echo(const Address& node, Duration limit, std::function<void(Result<Duration>)> done);
  // The service address inside the subnet (its last host address): DNS is answered there, by us, on
  // every node.
  IpAddress service_ip() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace wow
