#include "tools/daemon/host_side.h"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/asio/files.h"
#include "base/log.h"
#include "dht/inner_ipv6.h"
#include "tunnel/identity/settings.h"

namespace wow {

namespace json = boost::json;

namespace {
constexpr const char* kLeaseFile = "lease";  // the address held last, tried first
constexpr std::uint8_t kLanMacFirst = 0x06;  // locally administered, too
constexpr int kLanMtu = 1500;                // of a bridge with network cards and guests
constexpr Duration kNamesInterval = 1s;      // how fresh the hosts block is in a small pool
}  // namespace

namespace {

// The port of the host's bridge: an interface of its own, so that the host's address, its workers
// and their offloads stay as they are.
Result<TapDevice> open_lan(NodeHost& host, const DaemonOptions& options) {
  if (!host.credentials().self().may_bridge) {
    return Error{
        ErrorCode::kPermission,
        "this machine's invite does not let it bridge: join with one that was made by `wow "
        "invite create --bridge`"};
  }
  // Not the node's: a bridge takes frames for its ports' own MACs itself.
  MacAddress mac = mac_of(host.node().address());
  mac[0] = kLanMacFirst;
  auto lan = TapDevice::open("wowb-" + options.pool, mac, kLanMtu, 1);
  if (!lan) return lan;
  if (auto joined = join_bridge(lan->index(), options.bridge); !joined) return joined.error();
  return lan;
}

}  // namespace

Result<std::unique_ptr<HostSide>> HostSide::open(NodeHost& host, const DaemonOptions& options,
                                                 std::unique_ptr<NamesHelper> names,
                                                 std::unique_ptr<ChangeHook> hook) {
  const auto subnet = Prefix::parse(host.settings().subnet());
  const auto collision = colliding_route(*subnet);
  if (!collision) return collision.error();
  if (*collision && !options.ignore_routes) {
    return Error{ErrorCode::kAlreadyExists, "the pool's subnet " + subnet->text() +
                                                " collides with this host's route " + **collision +
                                                ": leave that network, make the pool with another "
                                                "--subnet, or come up with --ignore-routes"};
  }
  auto tap = TapDevice::open("wow-" + options.pool, mac_of(host.node().address()),
                             static_cast<int>(host.settings().mtu()), options.workers,
                             TapDevice::Offloads::kAll);
  if (!tap) return tap.error();
  std::optional<TapDevice> lan;
  if (!options.bridge.empty()) {
    auto port = open_lan(host, options);
    if (!port) return port.error();
    lan.emplace(std::move(*port));
  }
  return std::unique_ptr<HostSide>(new HostSide(host, options, std::move(*tap), std::move(lan),
                                                std::move(names), std::move(hook)));
}

HostSide::HostSide(NodeHost& host, const DaemonOptions& options, TapDevice tap,
                   std::optional<TapDevice> lan, std::unique_ptr<NamesHelper> names,
                   std::unique_ptr<ChangeHook> hook)
    : host_(host),
      options_(options),
      tap_(std::move(tap)),
      names_(std::move(names)),
      hook_(std::move(hook)),
      port_(tap_.queues().front(), host.metric_slot()),
      lan_(lan ? std::make_unique<LanPort>(host, std::move(*lan)) : nullptr),
      plane_(host, tap_.queues(), std::chrono::microseconds(options.poll_us)) {}

HostSide::~HostSide() = default;

VirtualNetworkOptions HostSide::network_options() const {
  const pb::Settings& settings = host_.settings();
  VirtualNetworkOptions out;
  out.pool = options_.pool;
  out.subnet = *Prefix::parse(settings.subnet());
  out.subnet6 = inner_ipv6_prefix(host_.credentials().pool_key());
  out.mtu = static_cast<int>(settings.mtu());
  out.lease_ttl = std::chrono::seconds(lease_seconds(settings));
  out.name = options_.name;
  out.name_is_explicit = options_.name_is_explicit;
  out.wanted_ip = options_.ip;
  for (const pb::Reservation& reserved : settings.reservations()) {
    VirtualNetworkOptions::Reservation entry;
    entry.name = reserved.name();
    entry.ip = IpAddress::parse(reserved.ip());
    entry.node = Address::parse(view_of(reserved.node())).value_or(Address());
    out.reservations.push_back(std::move(entry));
  }
  const auto file = read_file(options_.directory / kLeaseFile);
  boost::system::error_code error;
  const json::value last = file ? json::parse(text_of(*file), error) : json::value();
  if (const auto* lease = last.if_object()) {
    const auto* ip = lease->if_contains("ip");
    const auto* name = lease->if_contains("name");
    if (ip && ip->is_string()) out.last_ip = IpAddress::parse(ip->get_string());
    if (name && name->is_string()) out.last_name = std::string(name->get_string());
  }
  return out;
}

void HostSide::start(Ready ready) {
  ready_ = std::move(ready);
  VirtualNetwork::Hooks hooks;
  hooks.lease_held = [this](const LeaseInfo& lease) { on_lease(lease); };
  hooks.lease_lost = [this] {
    lease_state_ = "the lease was lost; taking another";
    clear_interface(tap_.index());
  };
  hooks.lease_refused = [this](const Error& error) {
    lease_state_ = error.message;
    log_error("no lease", {{"why", error.message}});
    if (ready_) ready_(error);
  };
  hooks.names_changed = [this](const std::vector<LeaseRow>& rows) { tell_names(rows); };
  hooks.tables = &plane_.tables();
  hooks.tables_changed = [this] { plane_.tables_changed(); };
  network_ = std::make_unique<VirtualNetwork>(host_.node(), host_.dht(), host_.clock(),
                                              host_.random(), port_, host_.metric_slot(),
                                              network_options(), std::move(hooks));
  if (lan_) {
    network_->add_bridge(*lan_, host_.credentials(), [this](const MacAddress& mac) {
      return interface_mac(options_.bridge) == mac;
    });
    lan_->start(*network_);
  }
  plane_.start(*network_);
  network_->start();
}

void HostSide::on_lease(const LeaseInfo& lease) {
  const Prefix subnet = *Prefix::parse(host_.settings().subnet());
  if (auto done = configure_interface(tap_.index(), lease.ip, subnet); !done) {
    if (ready_) ready_(done.error());
    return;
  }
  if (auto done = add_ipv6_address(tap_.index(), lease.ip6, kInnerIpv6Bits); !done) {
    log_info("no inner IPv6", {{"why", done.error().message}});
  }
  save_lease(lease);
  lease_state_ = "held";
  log_info("lease held",
           {{"ip", lease.ip.text()}, {"name", lease.name}, {"interface", tap_.name()}});
  const bool resolved = names_ && names_by_resolved();
  if (resolved) names_->set_resolved(tap_.name(), network_->service_ip());
  if (hook_ || (names_ && !resolved)) network_->follow_names(kNamesInterval);
  if (ready_) {
    ready_(lease.name + "." + options_.pool + ".internal is up at " + lease.ip.text() + " on " +
           tap_.name());
  }
}

bool HostSide::names_by_resolved() const {
  return options_.names == "resolved" || (options_.names == "auto" && NamesHelper::resolved_runs());
}

void HostSide::save_lease(const LeaseInfo& lease) const {
  const json::object saved{{"ip", lease.ip.text()}, {"name", lease.name}};
  if (auto done = write_file(options_.directory / kLeaseFile, view_of(json::serialize(saved)));
      !done) {
    log_warn("lease not saved", {{"why", done.error().message}});
  }
}

void HostSide::tell_names(const std::vector<LeaseRow>& rows) {
  if (hook_ && !hook_->changed()) log_warn("on-change not run", {{"why", "its helper is gone"}});
  if (!names_ || names_by_resolved()) return;
  // IPv4 alone: glibc prefers IPv6 where both are known (RFC 3484), and schedulers of clusters take
  // what they get first. Who wants the other asks the DNS.
  std::vector<HostName> names;
  for (const LeaseRow& row : rows) {
    if (!row.name.empty()) names.push_back({row.ip, row.name});
  }
  if (!names_->set_hosts(names)) log_warn("names not kept", {{"why", "the names helper is gone"}});
}

}  // namespace wow
