// A node with what it stands on: membership files, UDP sockets, streams, clock, randomness,
// metrics, the store's file. The public Router and the daemon are both made of one. On one Asio
// executor (one thread or a strand).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "base/asio/asio_clock.h"
#include "base/asio/lan_multicast.h"
#include "base/asio/node_transport.h"
#include "base/asio/system_random.h"
#include "base/error.h"
#include "base/metrics.h"
#include "dht/asio/bootstrap_names.h"
#include "dht/asio/file_store.h"
#include "dht/dht.h"
#include "dht/node_network.h"
#include "dht/own_record.h"
#include "overlay/lan_discovery.h"
#include "overlay/node.h"
#include "proto/identity.pb.h"
#include "tunnel/identity/tls_credentials.h"

namespace wow {

// Files of a membership's folder.
inline constexpr const char* kMemberFile =
    "member";  // key and certificates (tunnel/identity/member.h)
inline constexpr const char* kSettingsFile = "settings";  // the newest settings met
inline constexpr const char* kStoreFile = "dht";          // the replica's log
inline constexpr const char* kStateFile = "state";        // port and remembered members
inline constexpr const char* kLockFile = "lock";          // held while a daemon runs

struct NodeHostOptions {
  std::filesystem::path directory;
  std::optional<std::uint16_t> listen;  // empty: the port used before, or any
  // Where streams are accepted: plain TCP (empty: at the number of the UDP port, if it is free; 0:
  // nowhere), and such as look like HTTPS.
  std::optional<std::uint16_t> listen_tcp;
  std::optional<std::uint16_t> listen_tls;
  std::optional<Proxy> proxy;           // for the streams that we open
  std::vector<std::string> bootstraps;  // ADDRESS:PORT or NAME:PORT, beside the invite's
  bool lan = false;                     // finds members on the LAN by multicast
  bool allow_loopback = false;
  std::string name;    // told to the pool beside the address, for people
  bool router = true;  // told likewise: whether this node has no virtual interface
  int relay_rate = CircuitLeg::kPacketsPerSecond;  // packets that each end of a circuit may have
                                                   // passed on in a second; 0: no relay
  PunchBudget punch;  // how many ports of others' NATs are guessed, and how fast
  int workers = 0;    // sockets that packet workers will read, one each; 0: the executor reads one
};

class NodeHost {
 public:
  // Opens files and sockets; nothing is sent yet. kNotFound: no membership there; kAlreadyExists:
  // another process has it, or the port; else what is wrong with a file.
  static Result<std::unique_ptr<NodeHost>> open(boost::asio::any_io_executor executor,
                                                const NodeHostOptions& options);
  ~NodeHost();

  // Before this process becomes that user.
  void give_sockets_to(unsigned uid) { streams_->give_to(uid); }
  void start();
  // Says goodbye and remembers members; the sockets close when the host is destroyed.
  void stop();
  // This machine's addresses or routes changed, or it slept.
  void on_network_change();
  // This machine may be a clone of one that runs, with all that was in its memory: besides, all
  // sessions get new keys.
  void on_new_generation();

  const boost::asio::any_io_executor& executor() const { return executor_; }
  Clock& clock() { return clock_; }
  Random& random() { return random_; }
  Metrics& metrics() { return metrics_; }
  MetricSlot& metric_slot() { return slot_; }
  const UdpSocket& socket(int worker) const { return sockets_[static_cast<std::size_t>(worker)]; }
  std::uint16_t port() const { return sockets_.front().port(); }
  StreamTransport& streams() { return *streams_; }
  TlsCredentials& credentials() { return *credentials_; }
  const pb::Settings& settings() const { return settings_; }
  ByteView invite_id() const { return invite_id_; }
  Node& node() { return *node_; }
  Dht& dht() { return *dht_; }

  // Takes settings from a command: kUntrusted if they are not this pool's or not newer.
  Result<void> adopt(ByteView signed_settings);
  // Sees each packet of a stream before the node does; true: it was taken.
  void set_stream_taker(std::function<bool(MutableBytes packet, const Endpoint& from)> taker) {
    stream_taker_ = std::move(taker);
  }
  // Called once if another machine has our key and was there first: the folder is marked as copied,
  // and the observer is to stop us.
  void set_copy_observer(std::function<void()> observer) { copy_observer_ = std::move(observer); }
  // When another machine last began to use our key, and was told to stop.
  const std::optional<TimePoint>& copy_seen() const { return copy_seen_; }
  // Called after settings from anywhere were adopted and stored.
  void set_settings_observer(std::function<void()> observer) {
    settings_observer_ = std::move(observer);
  }

 private:
  NodeHost(boost::asio::any_io_executor executor, NodeHostOptions options);
  Result<void> lock();
  Result<void> open_sockets();
  Result<void> open_streams();
  Result<void> load(NodeOptions& node_options);
  void load_state(NodeOptions& node_options);
  void sort_bootstraps(const std::vector<std::string>& texts, NodeOptions& node_options);
  void open_lan();
  void save_state();
  void on_settings();
  void add_own_record();
  void look_for_unrest();

  boost::asio::any_io_executor executor_;
  NodeHostOptions options_;
  int lock_fd_ = -1;
  AsioClock clock_;
  SystemRandom random_;
  Metrics metrics_;
  MetricSlot& slot_;
  std::vector<UdpSocket> sockets_;
  std::optional<UdpSocket> other_socket_;  // from which questions about NATs are answered, too
  std::uint16_t last_port_ = 0;
  std::vector<NodeOptions::Remembered> remembered_;
  std::vector<std::string> bootstrap_names_;
  pb::Settings settings_;
  Bytes invite_id_;
  std::unique_ptr<TlsCredentials> credentials_;
  std::unique_ptr<FileStore> store_;
  std::unique_ptr<UdpTransport> udp_, other_transport_;
  std::unique_ptr<SideSockets> side_;
  std::unique_ptr<StreamTransport> streams_;
  std::unique_ptr<NodeTransport> transport_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<NodeNetwork> network_;
  std::unique_ptr<Dht> dht_;
  std::unique_ptr<BootstrapNames> names_;
  std::unique_ptr<LanDiscovery> lan_;
  std::unique_ptr<LanMulticast> lan_socket_;
  std::unique_ptr<OwnRecord> own_record_;
  std::uint64_t handshakes_ = 0;
  std::optional<TimePoint> copy_seen_;
  Timer save_timer_, unrest_timer_;
  std::function<void()> settings_observer_, copy_observer_;
  std::function<bool(MutableBytes, const Endpoint&)> stream_taker_;
};

}  // namespace wow
