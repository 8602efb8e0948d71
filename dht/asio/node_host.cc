#include "dht/asio/node_host.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/asio/files.h"
#include "base/log.h"
#include "dht/asio/build_date.h"
#include "dht/asio/machine.h"
#include "dht/inner_ipv6.h"
#include "tunnel/frame_headers.h"
#include "tunnel/identity/member.h"
#include "tunnel/identity/settings.h"

namespace wow {

namespace json = boost::json;

namespace {
constexpr Duration kSaveEvery = 1min;
// From the node's port to the one from which it answers questions about NATs, too.
constexpr unsigned kOtherPortAway = 16384;
constexpr Duration kUnrestInterval = 5s;

// The path that the pool's TLS streams ask for: strangers cannot know it.
std::string stream_target(ByteView pool_key) {
  constexpr std::string_view kPurpose = "wow stream 1";
  constexpr std::size_t kShown = 16;
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest{};
  HMAC(EVP_sha256(), pool_key.data(), static_cast<int>(pool_key.size()), view_of(kPurpose).data(),
       kPurpose.size(), digest.data(), nullptr);
  std::string out = "/";
  for (std::size_t i = 0; i < kShown; ++i) {
    constexpr char kDigits[] = "0123456789abcdef";
    out += kDigits[digest[i] >> 4];
    out += kDigits[digest[i] & 15];
  }
  return out;
}
}  // namespace

NodeHost::NodeHost(boost::asio::any_io_executor executor, NodeHostOptions options)
    : executor_(executor),
      options_(std::move(options)),
      clock_(executor),
      slot_(metrics_.add_slot()),
      save_timer_(clock_),
      unrest_timer_(clock_) {}

NodeHost::~NodeHost() {
  if (lock_fd_ >= 0) close(lock_fd_);
}

Result<std::unique_ptr<NodeHost>> NodeHost::open(boost::asio::any_io_executor executor,
                                                 const NodeHostOptions& options) {
  std::unique_ptr<NodeHost> host(new NodeHost(std::move(executor), options));
  NodeOptions node_options;
  if (auto done = host->load(node_options); !done) return done.error();
  if (auto done = host->lock(); !done) return done.error();
  if (auto done = host->open_sockets(); !done) return done.error();
  auto store = FileStore::open(options.directory / kStoreFile);
  if (!store) return store.error();
  host->store_ = std::move(*store);

  NodeHost& h = *host;
  h.udp_ = std::make_unique<UdpTransport>(h.sockets_.front(), h.slot_, options.allow_loopback);
  if (auto done = h.open_streams(); !done) return done.error();
  h.side_ = std::make_unique<SideSockets>(h.executor_, h.slot_);
  h.transport_ = std::make_unique<NodeTransport>(*h.udp_, *h.side_, *h.streams_);
  h.node_ = std::make_unique<Node>(*h.credentials_, h.clock_, h.random_, *h.transport_, h.slot_,
                                   node_options);
  h.network_ = std::make_unique<NodeNetwork>(*h.node_);
  DhtOptions dht_options;
  if (const auto founder = Address::parse(view_of(h.settings_.founder())))
    dht_options.founder = founder;
  dht_options.lease_subnet = Prefix::parse(h.settings_.subnet());
  dht_options.lease_subnet6 = guest_ipv6_prefix(inner_ipv6_prefix(h.credentials_->pool_key()));
  dht_options.majority_lost_after =
      majority_lost_after(std::chrono::seconds(lease_seconds(h.settings_)));
  if (h.settings_.dht_shards() > 0) dht_options.shards = h.settings_.dht_shards();
  h.dht_ = std::make_unique<Dht>(*h.network_, *h.store_, *h.credentials_, h.clock_, h.random_,
                                 h.slot_, dht_options);
  h.network_->attach(*h.dht_);
  h.add_own_record();
  h.node_->set_settings_observer([&h] { h.on_settings(); });
  const auto off_the_ring = [&h] { return !h.node_->joined() || h.node_->alone(); };
  h.names_ = std::make_unique<BootstrapNames>(
      h.executor_, h.clock_, h.bootstrap_names_,
      BootstrapNames::Handlers{
          .tell = [&h](const auto& endpoints) { h.node_->set_named_bootstraps(endpoints); },
          .needed = off_the_ring,
          .failed = [&h] { h.slot_.add(Metric::kNamesFailed); },
          .named = [&h](const auto& ip, const auto& name) { h.streams_->set_name(ip, name); }},
      h.options_.proxy ? std::optional(h.options_.proxy->kind) : std::nullopt);
  h.lan_ = std::make_unique<LanDiscovery>(
      *h.credentials_, h.clock_, h.random_, *h.transport_, h.slot_,
      LanDiscovery::Handlers{
          .send = [&h](ByteView packet) { h.lan_socket_->send(packet); },
          .seeks = off_the_ring,
          .found = [&h](const Member& member) { h.node_->on_lan_member(member); }});
  return host;
}

Result<void> NodeHost::load(NodeOptions& node_options) {
  const auto file = read_file(options_.directory / kMemberFile);
  if (!file) {
    if (file.error().code != ErrorCode::kNotFound) return file.error();
    return Error{ErrorCode::kNotFound, options_.directory.string() +
                                           " holds no membership: make one with `wow join INVITE`"};
  }
  auto membership = Membership::parse(text_of(*file));
  if (!membership) {
    return Error{membership.error().code,
                 (options_.directory / kMemberFile).string() + ": " + membership.error().message};
  }
  if (is_copied(options_.directory)) {
    return Error{ErrorCode::kUntrusted,
                 "the membership in " + options_.directory.string() +
                     " was copied from another machine, and two nodes cannot share a key: join "
                     "again by an invite, and this machine becomes a node of its own"};
  }
  settings_ = membership->settings();
  invite_id_ = membership->invite_id;
  sort_bootstraps(membership->bootstraps, node_options);
  sort_bootstraps(options_.bootstraps, node_options);
  node_options.expects_more = options_.lan || !bootstrap_names_.empty();
  node_options.virtual_subnet = Prefix::parse(settings_.subnet());
  node_options.allow_loopback = options_.allow_loopback;
  node_options.streams = true;
  node_options.punch = options_.punch;
  node_options.limits.workers = options_.workers;
  node_options.limits.circuit_packets_per_second = options_.relay_rate;
  if (!options_.router) {
    node_options.limits.datagram_wanted =
        settings_.mtu() + kEthernetHeaderBytes + kDataOverheadBytes;
  }
  auto credentials = TlsCredentials::make(*membership, clock_, build_date());
  if (!credentials) return credentials.error();
  credentials_ = std::move(*credentials);
  if (const auto newer = read_file(options_.directory / kSettingsFile)) {
    if (credentials_->adopt_settings(*newer)) settings_ = credentials_->settings();
  }
  load_state(node_options);
  return {};
}

void NodeHost::sort_bootstraps(const std::vector<std::string>& texts, NodeOptions& node_options) {
  for (const std::string& text : texts) {
    if (const auto endpoint = Endpoint::parse(text)) {
      node_options.bootstraps.push_back(*endpoint);
    } else {
      bootstrap_names_.push_back(text);
    }
  }
}

Result<void> NodeHost::lock() {
  const auto path = options_.directory / kLockFile;
  lock_fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (lock_fd_ < 0)
    return Error{ErrorCode::kPermission,
                 "cannot write in " + options_.directory.string() + ": use sudo?"};
  // One that was just killed may need a moment to be gone.
  bool held = false;
  for (int i = 0; i < 25 && !(held = flock(lock_fd_, LOCK_EX | LOCK_NB) == 0); ++i) usleep(20'000);
  if (!held) {
    return Error{ErrorCode::kAlreadyExists, "another daemon runs for pool " + settings_.name() +
                                                " here: `wow status` asks it, `wow down` stops it"};
  }
  return {};
}

Result<void> NodeHost::open_sockets() {
  const int count = std::max(options_.workers, 1);
  const bool shared = count > 1;
  auto first = UdpSocket::open(options_.listen.value_or(last_port_));
  // A port that was merely used before is no promise: take any other.
  if (!first && !options_.listen && last_port_ != 0) first = UdpSocket::open(0);
  if (first && shared) {
    // Asked for alone at first: a port to share could be another daemon's, and shared with it.
    const std::uint16_t free_port = first->port();
    { const UdpSocket closes = std::move(*first); }
    first = UdpSocket::open(free_port, true);
  }
  if (!first) return first.error();
  sockets_.push_back(std::move(*first));
  while (static_cast<int>(sockets_.size()) < count) {
    auto next = UdpSocket::open(port(), true);
    if (!next) return next.error();
    sockets_.push_back(std::move(*next));
  }
  if (shared && !sockets_.front().steer_by_receiver_index(count)) {
    return Error{ErrorCode::kIo, "this kernel cannot steer packets to workers: use --workers 1"};
  }
  for (const unsigned wanted : {(port() + kOtherPortAway) % 65536, 0u}) {
    auto other = UdpSocket::open(static_cast<std::uint16_t>(wanted));
    if (!other) continue;
    other_socket_.emplace(std::move(*other));
    break;
  }
  return {};
}

Result<void> NodeHost::open_streams() {
  StreamOptions options;
  options.target = stream_target(credentials_->pool_key());
  options.proxy = options_.proxy;
  streams_ = std::make_unique<StreamTransport>(executor_, options, slot_);
  if (options_.listen_tcp != 0) {
    auto done = streams_->listen(Carrier::kTcp, options_.listen_tcp.value_or(port()));
    if (!done && options_.listen_tcp) return done.error();
    if (!done) log_warn("no streams accepted", {{"why", done.error().message}});
  }
  if (options_.listen_tls.value_or(0) != 0)
    return streams_->listen(Carrier::kTls, *options_.listen_tls);
  return {};
}

void NodeHost::start() {
  const auto take = [this](MutableBytes packet, const Endpoint& from) {
    node_->on_datagram(packet, from);
  };
  if (options_.workers == 0) udp_->start(executor_, take);
  side_->start(take);
  const auto take_of_stream = [this](MutableBytes packet, const Endpoint& from) {
    if (!stream_taker_ || !stream_taker_(packet, from)) node_->on_datagram(packet, from);
  };
  streams_->start({.packet = take_of_stream,
                   .closed = [this](const Endpoint& far) { node_->on_stream_closed(far); },
                   .proven = [this] { return node_->sessions().streams(); }});
  if (other_socket_) {
    other_transport_ = std::make_unique<UdpTransport>(*other_socket_, slot_);
    other_transport_->start(executor_, [this](MutableBytes packet, const Endpoint& from) {
      node_->on_other_port(packet, from);
    });
    node_->set_other_port(other_socket_->port(), [this](const Endpoint& to, ByteView packet) {
      const Datagram datagram{to, packet, {}};
      if (other_transport_) other_transport_->send({&datagram, 1});
    });
  }
  // First the store: should the node find itself alone, the store has waited as long, and founds at
  // once.
  dht_->start();
  node_->start();
  names_->start();
  if (options_.lan) open_lan();
  save_state();
  look_for_unrest();
}

void NodeHost::open_lan() {
  auto socket = LanMulticast::open(
      executor_, {}, slot_,
      [this](MutableBytes packet, const IpAddress& from) { lan_->on_packet(packet, from); });
  if (!socket) return log_warn("no LAN discovery", {{"why", socket.error().message}});
  lan_socket_ = std::move(*socket);
  lan_->start();
}

void NodeHost::on_network_change() {
  streams_->redial_all();
  if (lan_socket_) lan_socket_->refresh();
  node_->on_network_change();
  names_->start();
  if (lan_socket_) lan_->start();
  own_record_->begin_anew();
}

void NodeHost::on_new_generation() {
  std::array<std::uint8_t, 32> fresh;
  random_.fill(fresh);
  begin_random_anew(fresh);
  // First, while the paths in use are not yet in doubt.
  node_->sessions().renew_all();
  dht_->on_store_copied();
  on_network_change();
  own_record_->was_copied();
}

void NodeHost::stop() {
  save_state();
  names_->stop();
  lan_->stop();
  lan_socket_.reset();
  save_timer_.cancel();
  unrest_timer_.cancel();
  own_record_->stop();
  node_->stop();
  udp_->stop();
  side_->stop();
  streams_->stop();
  other_transport_.reset();
}

void NodeHost::load_state(NodeOptions& node_options) {
  const auto file = read_file(options_.directory / kStateFile);
  boost::system::error_code error;
  const json::value parsed = file ? json::parse(text_of(*file), error) : json::value();
  const json::object* state = parsed.if_object();
  if (!state) return;
  if (const auto* port = state->if_contains("port");
      port && port->is_int64() && port->get_int64() > 0 && port->get_int64() <= UINT16_MAX) {
    last_port_ = static_cast<std::uint16_t>(port->get_int64());
  }
  const auto* members = state->if_contains("members");
  if (!members || !members->is_array()) return;
  for (const json::value& entry : members->get_array()) {
    const auto* member = entry.if_object();
    const auto* hex = member ? member->if_contains("address") : nullptr;
    const auto* endpoints = member ? member->if_contains("endpoints") : nullptr;
    if (!hex || !hex->is_string() || !endpoints || !endpoints->is_array()) continue;
    const auto address = Address::from_hex(hex->get_string());
    if (!address) continue;
    NodeOptions::Remembered remembered{*address, {}};
    for (const json::value& text : endpoints->get_array()) {
      const auto endpoint = text.is_string() ? Endpoint::parse(text.get_string()) : std::nullopt;
      if (endpoint) remembered.endpoints.push_back(*endpoint);
    }
    node_options.remembered.push_back(std::move(remembered));
  }
  remembered_ = node_options.remembered;
}

void NodeHost::save_state() {
  // Nobody met yet is no reason to forget those of last time.
  if (auto met = node_->remember(); !met.empty()) remembered_ = std::move(met);
  json::array members;
  for (const auto& member : remembered_) {
    json::array endpoints;
    for (const Endpoint& endpoint : member.endpoints) endpoints.emplace_back(endpoint.text());
    members.push_back(
        json::object{{"address", member.address.hex()}, {"endpoints", std::move(endpoints)}});
  }
  const json::object state{{"port", port()}, {"members", std::move(members)}};
  if (auto done = write_file(options_.directory / kStateFile, view_of(json::serialize(state)));
      !done) {
    log_warn("state not saved", {{"why", done.error().message}});
  }
  save_timer_.after(kSaveEvery, [this] { save_state(); });
}

Result<void> NodeHost::adopt(ByteView signed_settings) {
  if (node_->adopt_settings(signed_settings)) return {};
  return Error{ErrorCode::kUntrusted,
               "these settings are not signed for this pool, or not newer than number " +
                   std::to_string(credentials_->settings_number())};
}

// Tells the pool who this node is and by which invite it came, and finds out whether another has
// its key.
void NodeHost::add_own_record() {
  own_record_ = std::make_unique<OwnRecord>(
      node_->address(), OwnRecord::Facts{invite_id_, options_.name, options_.router}, clock_,
      random_,
      OwnRecord::Hooks{.get = [this](auto& key, auto done) { dht_->get(key, std::move(done)); },
                       .put = [this](auto& key, ByteView data, Duration ttl,
                                     auto done) { dht_->put(key, data, ttl, std::move(done)); },
                       .unheard = [this] { node_->sessions().renew_all(); },
                       .copied =
                           [this] {
                             dht_->on_store_copied();
                             copy_seen_ = clock_.now();
                             log_warn("another machine uses this node's key",
                                      {{"why", "its disk is a copy of ours"},
                                       {"and", "it was told to stop"}});
                           },
                       .is_copy =
                           [this] {
                             if (auto done = remember_copied(options_.directory); !done) {
                               log_warn("not marked as copied", {{"why", done.error().message}});
                             }
                             if (copy_observer_) copy_observer_();
                           }});
  node_->on_joined([this] { own_record_->keep(); });
  dht_->on_lineage_change([this](const DhtLineageChange&) { own_record_->keep(); });
}

// Peers that hear two machines with one key give their session now to this one and now to that.
void NodeHost::look_for_unrest() {
  unrest_timer_.after(kUnrestInterval, [this] { look_for_unrest(); });
  const std::uint64_t done = metrics_.total(Metric::kHandshakesDone);
  if (std::exchange(handshakes_, done) != done) own_record_->unrest();
}

void NodeHost::on_settings() {
  settings_ = credentials_->settings();
  if (auto done = write_file(options_.directory / kSettingsFile, credentials_->signed_settings());
      !done) {
    log_warn("settings not saved", {{"why", done.error().message}});
  }
  log_info("settings adopted", {{"number", settings_.number()}});
  if (settings_observer_) settings_observer_();
}

}  // namespace wow
