#include "tap/virtual_network.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/log.h"
#include "dht/inner_ipv6.h"
#include "proto/vnet.pb.h"
#include "tap/bridge.h"
#include "tap/dht_calls.h"
#include "tap/directory.h"
#include "tap/dns.h"
#include "tap/inbound.h"
#include "tap/lease_agent.h"
#include "tap/names.h"
#include "tap/outbound.h"
#include "tap/pinger.h"
#include "tap/resolver.h"
#include "tap/service_host.h"
#include "tap/table_keeper.h"
#include "tunnel/frame_headers.h"

namespace wow {
namespace {

constexpr Duration kSweepInterval = 30s;

}  // namespace

class VirtualNetwork::Impl {
 public:
  Impl(Node& node, Dht& dht, Clock& clock, Random& random, FramePort& port, MetricSlot& metrics,
       VirtualNetworkOptions options, Hooks hooks);
  ~Impl();

  void start();
  void resolve(const std::string& host, std::function<void(Result<LeaseRow>)> done);

  Inbound::Hooks inbound_hooks();
  Outbound::Hooks outbound_hooks();
  // For the hooks: begins one with `node`, for packets from `source`.
  auto want_session() {
    return [this](const Address& node, const IpAddress& source) {
      node_.want_shortcut(node, source.bytes());
    };
  }
  LeaseAgent::Hooks lease_hooks();
  // `facts`: of the frame's kind byte (proto/headers.h).
  void take_frame(const Session& from, ByteView frame, std::uint8_t facts);
  void on_message(const Address& from, ByteView message);
  void on_not_mine(const Address& from, const pb::NotMine& message);
  void send(const Address& to, const pb::VnetMessage& message);
  void to_host(ByteView frame) { port_.write(std::array{frame}); }
  // Begins a session with whom the host will talk to.
  void meet(const Address& node);

  // Something of `node` that the workers' tables say.
  void changed(const Address& node);
  std::optional<IpAddress> own_ip6() const;
  void add_bridge(FramePort& lan, const Credentials& credentials, IsHostsOwn is_hosts_own);
  Bridge::Hooks bridge_hooks(FramePort& lan, IsHostsOwn is_hosts_own);
  void on_moved(const Address& from, const pb::GuestMoved& message);
  // Answers to frames of the host and of guests go where those came from.
  void to_sender(ByteView frame);
  void publish_soon();
  void publish();
  void sweep();

  // Answers of the DHT that come after our end are dropped.
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  Node& node_;
  Clock& clock_;
  Random& random_;
  FramePort& port_;
  FramePort* lan_ = nullptr;
  MetricSlot& metrics_;
  const VirtualNetworkOptions options_;
  Hooks hooks_;
  const DhtCalls dht_;
  Resolver resolver_;
  Neighbours neighbours_;
  TableKeeper keeper_;
  Directory directory_;
  DnsResponder dns_;
  ServiceHost service_;
  LeaseAgent agent_;
  Outbound outbound_;
  Inbound inbound_;
  Pinger pinger_;
  std::unique_ptr<Bridge> bridge_;
  Timer publish_timer_, sweep_timer_;
};

VirtualNetwork::Impl::Impl(Node& node, Dht& dht, Clock& clock, Random& random, FramePort& port,
                           MetricSlot& metrics, VirtualNetworkOptions options, Hooks hooks)
    : node_(node),
      clock_(clock),
      random_(random),
      port_(port),
      metrics_(metrics),
      options_(std::move(options)),
      hooks_(std::move(hooks)),
      dht_(calls_of(dht, alive_)),
      resolver_(
          options_.subnet, dht_, clock, [this](const Address& node) { changed(node); },
          options_.subnet6),
      neighbours_(
          options_.subnet6,
          [this](auto& place, auto done) {
            node_.locate(place, [done, alive = std::weak_ptr<int>(alive_)](auto found) {
              if (!alive.expired()) done(found);
            });
          },
          clock, [this](const Address& node) { changed(node); }),
      keeper_(node, resolver_, neighbours_, options_.subnet6, *hooks_.tables),
      directory_(dht_, resolver_, clock, options_.pool, options_.subnet6),
      dns_(options_.pool, options_.subnet, options_.subnet6, directory_,
           [this](const Address& node) { meet(node); }),
      service_(service_address(options_.subnet), dns_, metrics,
               [this](ByteView frame) { to_host(frame); }),
      agent_(node.address(), dht_, clock, random, options_, lease_hooks()),
      outbound_(node.address(), service_address(options_.subnet), resolver_, neighbours_, metrics,
                outbound_hooks()),
      inbound_(node.address(), resolver_, clock, metrics, inbound_hooks()),
      pinger_(clock, random, [this](auto& to, auto& message) { send(to, message); }),
      publish_timer_(clock),
      sweep_timer_(clock) {
  hooks_.tables->own_ip6 = inner_ipv6(options_.subnet6, node.address());
  hooks_.tables->own_mac = mac_key(mac_of(node.address()).data());
  // The store keeps this call for as long as it lives.
  dht.on_lineage_change([this, alive = std::weak_ptr<int>(alive_)](const DhtLineageChange&) {
    if (alive.expired()) return;
    log_warn("the store was begun anew: the lease is asked for again", {});
    agent_.recheck();
  });
}

VirtualNetwork::Impl::~Impl() {
  node_.set_handler(Service::kVnet, nullptr);
  node_.set_frame_handler(nullptr);
  node_.set_broadcast_handler(Service::kVnet, nullptr);
  node_.set_session_observer(nullptr);
  node_.set_shortcut_observer(nullptr);
}

void VirtualNetwork::Impl::start() {
  node_.set_handler(Service::kVnet,
                    [this](const Address& from, ByteView message) { on_message(from, message); });
  node_.set_frame_handler([this](Session& from, ByteView frame, std::uint8_t facts) {
    take_frame(from, frame, facts);
  });
  node_.set_broadcast_handler(
      Service::kVnet, [this](const Address& origin, ByteView payload, std::uint32_t) {
        pb::VnetMessage message;
        if (!message.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) return;
        if (bridge_ && message.has_bridge_hello()) {
          bridge_->on_broadcast(origin, message.bridge_hello());
        }
      });
  node_.set_session_observer([this](const Address& peer, Session* session) {
    changed(peer);
    if (session) directory_.hurry();
  });
  node_.set_shortcut_observer([this](const Address& peer, ByteView word) {
    if (const auto source = IpAddress::from_bytes(word)) inbound_.expect(peer, *source);
  });
  // The node keeps this call for as long as it lives.
  node_.on_joined([this, alive = std::weak_ptr<int>(alive_)] {
    if (alive.expired()) return;
    if (bridge_) bridge_->start();
    agent_.start();
  });
  if (node_.joined() && bridge_) bridge_->start();
  if (node_.joined()) agent_.start();
  sweep();
}

Inbound::Hooks VirtualNetwork::Impl::inbound_hooks() {
  return {
      .own_ip = [this] { return agent_.usable_ip(); },
      .to_host = [this](ByteView frame) { to_host(frame); },
      .not_mine =
          [this](const Address& peer, const IpAddress& ip) {
            if (bridge_ && bridge_->tell_moved(peer, ip)) return;
            pb::VnetMessage message;
            message.mutable_not_mine()->set_ip(ip.text());
            send(peer, message);
          },
      .own_ip6 = [this] { return own_ip6(); },
      .ip6_of = [this](const Address& peer) { return inner_ipv6(options_.subnet6, peer); },
      .guest_at = [this](const IpAddress& ip) -> std::optional<MacAddress> {
        return bridge_ ? bridge_->guest_at(ip) : std::nullopt;
      },
      .to_guest = [this](auto& mac, ByteView frame) { bridge_->to_guest(mac, frame); },
      .other =
          [this](const Address& peer, ByteView frame) {
            if (bridge_) bridge_->take_from(peer, frame);
            return bridge_ != nullptr;
          },
  };
}

void VirtualNetwork::Impl::meet(const Address& node) {
  const auto ip = agent_.usable_ip();
  if (ip && node != node_.address()) node_.want_shortcut(node, ip->bytes());
}

Outbound::Hooks VirtualNetwork::Impl::outbound_hooks() {
  return {
      .own_ip = [this] { return agent_.usable_ip(); },
      .to_host = [this](ByteView frame) { to_sender(frame); },
      .to_node = [this](const Address& node, ByteView frame,
                        std::uint8_t facts) { node_.send_frame(node, frame, facts); },
      .want_session = want_session(),
      .frame_max = [this](const Address& node) -> std::size_t {
        const Session* session = node_.session(node);
        const std::size_t most = session == nullptr ? 0 : session->datagram_max();
        return most == 0 ? 0 : most - kDataOverheadBytes;
      },
      .to_service = [this](auto& ethernet, auto& ip) { service_.take(ethernet, ip); },
      .own_ip6 = [this] { return own_ip6(); },
      .to_guest =
          [this](ByteView frame) {
            if (lan_ != nullptr) lan_->write(std::array{frame});
          },
  };
}

LeaseAgent::Hooks VirtualNetwork::Impl::lease_hooks() {
  return {
      .held =
          [this](const LeaseInfo& lease) {
            publish_soon();
            if (hooks_.lease_held) hooks_.lease_held(lease);
          },
      .lost =
          [this] {
            // At once: not one more frame may leave with this address.
            publish();
            if (hooks_.lease_lost) hooks_.lease_lost();
          },
      .refused =
          [this](const Error& error) {
            if (hooks_.lease_refused) hooks_.lease_refused(error);
          },
      .usable_changed = [this] { publish(); },
  };
}

void VirtualNetwork::Impl::take_frame(const Session& from, ByteView frame, std::uint8_t facts) {
  if ((facts & kFactChecksumPartial) == 0) return inbound_.take(from.peer(), frame);
  const auto headers = FrameHeaders::parse(frame);
  if (!headers) return metrics_.add(Metric::kDropMalformed);
  Bytes completed = to_bytes(frame);
  complete_checksum(completed, *headers);
  inbound_.take(from.peer(), completed);
}

void VirtualNetwork::Impl::on_message(const Address& from, ByteView bytes) {
  pb::VnetMessage message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return metrics_.add(Metric::kDropMalformed);
  }
  if (message.has_echo()) return pinger_.on_echo(from, message.echo());
  if (message.has_not_mine()) return on_not_mine(from, message.not_mine());
  if (message.has_guest_moved()) return on_moved(from, message.guest_moved());
  if (bridge_) return bridge_->on_message(from, message);
  metrics_.add(Metric::kDropMalformed);
}

void VirtualNetwork::Impl::on_not_mine(const Address& from, const pb::NotMine& message) {
  const auto ip = IpAddress::parse(message.ip());
  if (!ip) return metrics_.add(Metric::kDropMalformed);
  if (!resolver_.refute(*ip, from)) return;
  resolver_.resolve(*ip, [this](Result<Binding> binding) {
    if (binding) outbound_.announce(*binding);
  });
}

void VirtualNetwork::Impl::send(const Address& to, const pb::VnetMessage& message) {
  node_.send(to, Service::kVnet, view_of(message.SerializeAsString()));
}

void VirtualNetwork::Impl::changed(const Address& node) {
  keeper_.mark(node);
  publish_soon();
}

void VirtualNetwork::Impl::on_moved(const Address& from, const pb::GuestMoved& message) {
  const auto ip = IpAddress::parse(message.ip());
  const auto mac = mac_in(message.mac());
  const auto node = Address::parse(view_of(message.node()));
  if (!ip || !mac || !node) return metrics_.add(Metric::kDropMalformed);
  // Until the store has the new holder's record.
  const Binding binding{*ip, *node, "", clock_.now() + Bridge::kMovedKept, *mac};
  if (*node == node_.address() || !resolver_.move(from, binding)) return;
  node_.want_shortcut(*node);
  outbound_.announce(binding);
}

void VirtualNetwork::Impl::add_bridge(FramePort& lan, const Credentials& credentials,
                                      IsHostsOwn is_hosts_own) {
  lan_ = &lan;
  const BridgeOptions options{options_.subnet, options_.subnet6,
                              domain_suffix(options_.pool).substr(1), options_.mtu,
                              options_.lease_ttl};
  bridge_ =
      std::make_unique<Bridge>(credentials, options, resolver_, neighbours_, dht_, dns_, clock_,
                               random_, metrics_, bridge_hooks(lan, std::move(is_hosts_own)));
}

Bridge::Hooks VirtualNetwork::Impl::bridge_hooks(FramePort& lan, IsHostsOwn is_hosts_own) {
  return {
      .to_lan = [&lan](ByteView frame) { lan.write(std::array{frame}); },
      .to_host = [this](ByteView frame) { to_host(frame); },
      .announce = [this](const Binding& binding) { outbound_.announce(binding); },
      .own_ip = [this] { return agent_.usable_ip(); },
      .own_ip6 = [this] { return own_ip6(); },
      .is_leasable =
          [this](const IpAddress& ip) {
            const auto& lease = agent_.lease();
            return !(lease && lease->ip == ip) &&
                   std::none_of(options_.reservations.begin(), options_.reservations.end(),
                                [&](auto& one) { return one.ip == ip; });
          },
      .is_hosts_own = std::move(is_hosts_own),
      .forward = [this](ByteView frame, const IpAddress& to) { outbound_.forward(frame, to, 0); },
      .want_session = want_session(),
      .send = [this](const Address& to, const pb::VnetMessage& message) { send(to, message); },
      .broadcast =
          [this](const pb::VnetMessage& message) {
            node_.broadcast(Service::kVnet, view_of(message.SerializeAsString()));
          },
      .to_node =
          [this](const Address& node, ByteView frame) {
            node_.want_shortcut(node);
            node_.send_frame(node, frame, 0);
          },
      .may_bridge =
          [this](const Address& peer) {
            const Session* session = node_.session(peer);
            return session && session->state() == SessionState::kOpen &&
                   session->identity().may_bridge;
          },
      .for_each_peer =
          [this](const std::function<void(const Address&)>& visit) {
            node_.sessions().for_each([&](Session& session) {
              if (session.state() == SessionState::kOpen) visit(session.peer());
            });
          },
  };
}

void VirtualNetwork::Impl::to_sender(ByteView frame) {
  MacAddress to{};
  std::copy_n(frame.begin(), to.size(), to.begin());
  if (bridge_ && bridge_->is_station(to)) return lan_->write(std::array{frame});
  to_host(frame);
}

// While the lease is in doubt somebody else may be running with our key: a copy of this machine.
std::optional<IpAddress> VirtualNetwork::Impl::own_ip6() const {
  if (!agent_.usable_ip()) return std::nullopt;
  return inner_ipv6(options_.subnet6, node_.address());
}

void VirtualNetwork::Impl::publish_soon() {
  if (publish_timer_.is_set()) return;
  publish_timer_.after(Duration{}, [this] { publish(); });
}

void VirtualNetwork::Impl::publish() {
  publish_timer_.cancel();
  const auto own_ip = agent_.usable_ip();
  hooks_.tables->own_ip = own_ip ? own_ip->v4_value() : 0;
  keeper_.write();
  if (hooks_.tables_changed) hooks_.tables_changed();
}

void VirtualNetwork::Impl::sweep() {
  sweep_timer_.after(kSweepInterval, [this] { sweep(); });
  resolver_.sweep([this](const Address& node) {
    const Session* session = node_.session(node);
    return session && session->state() == SessionState::kOpen;
  });
}

void VirtualNetwork::Impl::resolve(const std::string& host,
                                   std::function<void(Result<LeaseRow>)> done) {
  if (const auto ip = IpAddress::parse(host)) return directory_.by_ip(*ip, std::move(done));
  if (const auto name = host_name_of(host, options_.pool)) {
    return directory_.by_name(*name, std::move(done));
  }
  done(Error{ErrorCode::kInvalidArgument,
             "\"" + host + "\" is neither an address nor a name of pool " + options_.pool});
}

VirtualNetwork::VirtualNetwork(Node& node, Dht& dht, Clock& clock, Random& random, FramePort& port,
                               MetricSlot& metrics, VirtualNetworkOptions options, Hooks hooks)
    : impl_(std::make_unique<Impl>(node, dht, clock, random, port, metrics, std::move(options),
                                   std::move(hooks))) {}
VirtualNetwork::~VirtualNetwork() = default;

void VirtualNetwork::start() { impl_->start(); }
void VirtualNetwork::release(std::function<void()> done) { impl_->agent_.release(std::move(done)); }
void VirtualNetwork::on_frame_out(ByteView frame, std::uint8_t facts) {
  impl_->outbound_.take(frame, facts);
}
void VirtualNetwork::add_bridge(FramePort& lan, const Credentials& credentials,
                                IsHostsOwn is_hosts_own) {
  impl_->add_bridge(lan, credentials, std::move(is_hosts_own));
}
void VirtualNetwork::on_frame_lan(ByteView frame) {
  if (impl_->bridge_) impl_->bridge_->take(frame);
}
std::optional<BridgeStatus> VirtualNetwork::bridge() const {
  if (!impl_->bridge_) return std::nullopt;
  return BridgeStatus{impl_->bridge_->guests(), impl_->bridge_->others(),
                      impl_->bridge_->blocked()};
}
void VirtualNetwork::on_frame_in(Session& from, ByteView frame, std::uint8_t facts) {
  impl_->take_frame(from, frame, facts);
}
void VirtualNetwork::follow_names(Duration interval) {
  impl_->directory_.follow(interval, [this](const std::vector<LeaseRow>& rows) {
    if (impl_->hooks_.names_changed) impl_->hooks_.names_changed(rows);
  });
}
const std::optional<LeaseInfo>& VirtualNetwork::lease() const { return impl_->agent_.lease(); }
void VirtualNetwork::leases(std::function<void(Result<std::vector<LeaseRow>>)> done) {
  impl_->directory_.list(std::move(done));
}
void VirtualNetwork::resolve(const std::string& host, std::function<void(Result<LeaseRow>)> done) {
  impl_->resolve(host, std::move(done));
}
void VirtualNetwork::echo(const Address& node, Duration limit,
                          std::function<void(Result<Duration>)> done) {
  impl_->pinger_.echo(node, limit, std::move(done));
}
IpAddress VirtualNetwork::service_ip() const { return service_address(impl_->options_.subnet); }

}  // namespace wow
