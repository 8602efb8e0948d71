#include "tools/daemon/daemon.h"

#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>

#include "base/asio/resume_watch.h"
#include "base/log.h"
#include "tools/daemon/control_commands.h"
#include "tools/daemon/generation_watch.h"
#include "tools/daemon/host_side.h"
#include "tools/daemon/log_file.h"
#include "tools/daemon/notify.h"
#include "tools/daemon/port_mapping.h"
#include "tools/daemon/privileges.h"

namespace wow {

namespace asio = boost::asio;

namespace {

// Changes of the network come in bursts; the first is acted on after this.
constexpr Duration kNetworkSettle = 20ms;
// After `wow down` the answer must still leave.
constexpr Duration kStopAfter = 50ms;
constexpr Duration kLogTurn = 10min;

class Daemon {
 public:
  using Ready = std::function<void(Result<std::string>)>;

  Daemon(const DaemonOptions& options, Ready ready)
      : options_(options),
        ready_(std::move(ready)),
        signals_(io_, SIGTERM, SIGINT),
        monitor_wait_(io_) {}

  int run() {
    if (auto done = open(); !done) {
      ready_(done.error());
      return done.error().code == ErrorCode::kUntrusted ? kExitExpelled : 1;
    }
    start();
    io_.run();
    return expelled_ ? kExitExpelled : failed_ ? 1 : 0;
  }

 private:
  // Everything that needs root, then root is given up.
  Result<void> open() {
    forbid_core_dumps();
    std::unique_ptr<NamesHelper> names;
    if (!options_.router && options_.names != "off") {
      auto started = NamesHelper::start(options_.pool);
      if (!started) return started.error();
      names = std::move(*started);
    }
    std::unique_ptr<ChangeHook> hook;
    if (!options_.on_change.empty()) {
      auto started = ChangeHook::start(options_.pool, options_.on_change, {});
      if (!started) return started.error();
      hook = std::move(*started);
    }
    if (!options_.no_port_map) {
      auto started = PortMapper::start(drop_everything);
      if (!started) return started.error();
      mapper_ = std::move(*started);
    }
    NodeHostOptions host_options;
    host_options.directory = options_.directory;
    host_options.listen = options_.listen;
    host_options.listen_tcp = options_.listen_tcp;
    host_options.listen_tls = options_.listen_tls;
    host_options.proxy = options_.proxy;
    host_options.bootstraps = options_.bootstraps;
    host_options.lan = !options_.no_lan;
    host_options.allow_loopback = options_.allow_loopback;
    host_options.workers = options_.router ? 0 : options_.workers;
    host_options.relay_rate = options_.relay_rate;
    host_options.punch = options_.punch;
    if (options_.router) host_options.punch.probes = 0;
    host_options.name = options_.name;
    host_options.router = options_.router;
    auto host = NodeHost::open(io_.get_executor(), host_options);
    if (!host) return host.error();
    host_ = std::move(*host);
    if (is_expelled()) return expelled();
    if (!options_.router) {
      auto side = HostSide::open(*host_, options_, std::move(names), std::move(hook));
      if (!side) return side.error();
      host_side_ = std::move(*side);
    }
    auto monitor = NetworkMonitor::open();
    if (!monitor) return monitor.error();
    monitor_ = std::make_unique<NetworkMonitor>(std::move(*monitor));
    try {
      server_ = std::make_unique<ControlServer>(io_.get_executor(), options_.socket,
                                                geteuid() == 0 ? find_group(kDaemonUser) : -1);
    } catch (const std::exception& error) {
      return Error{ErrorCode::kIo, error.what()};
    }
    watch_generation();
    return give_up_root();
  }

  // In the port mapper's process, which reads what devices say.
  static void drop_everything() {
    forbid_core_dumps();
    const auto user = geteuid() == 0 ? find_user(kDaemonUser) : std::nullopt;
    if (user && !become_user(*user, false)) _exit(1);
    if (!restrict_system_calls()) _exit(1);
  }

  Result<void> give_up_root() {
    if (geteuid() == 0) {
      const auto user = find_user(kDaemonUser);
      if (user) {
        if (auto own = own_files(*user); !own) return own;
        host_->give_sockets_to(user->uid);
        if (auto become = become_user(*user, !options_.router); !become) return become;
      } else {
        log_warn("running as root",
                 {{"why", "there is no user wow; the package or tools/setup makes it"}});
      }
    }
    return restrict_system_calls();
  }

  // Files made as root until now, and by `wow join` before the user existed.
  Result<void> own_files(const UserIds& user) {
    std::error_code error;
    std::vector<std::filesystem::path> paths = {options_.directory};
    for (const auto& entry : std::filesystem::directory_iterator(options_.directory, error))
      paths.push_back(entry.path());
    for (const auto& path : paths) {
      if (lchown(path.c_str(), user.uid, user.gid) != 0) {
        return Error{ErrorCode::kPermission,
                     "cannot give " + path.string() + " to user " + kDaemonUser};
      }
    }
    return {};
  }

  void start() {
    stop_timer_ = std::make_unique<Timer>(host_->clock());
    settle_timer_ = std::make_unique<Timer>(host_->clock());
    log_timer_ = std::make_unique<Timer>(host_->clock());
    if (!options_.log.empty()) turn_log();
    control_ = std::make_unique<ControlContext>(
        ControlContext{options_, *host_, host_side_.get(), host_->clock().now(),
                       [this] { stop_timer_->after(kStopAfter, [this] { stop(); }); }});
    add_control_commands(*server_, *control_);
    server_->start();
    signals_.async_wait([this](const boost::system::error_code& error, int) {
      if (!error) stop();
    });
    watch_network();
    host_->set_settings_observer([this] { on_settings(); });
    host_->set_copy_observer([this] {
      tell_ready(Error{ErrorCode::kUntrusted,
                       "this machine is a copy of another that runs with the same key: it has "
                       "stopped, and becomes a node of its own by `wow up --invite INVITE`"});
    });
    host_->node().on_joined([this] { on_joined(); });
    if (host_side_)
      host_side_->start([this](const Result<std::string>& result) { tell_ready(result); });
    host_->start();
    if (mapper_) {
      mapping_ =
          std::make_unique<PortMapping>(io_.get_executor(), std::move(mapper_), host_->port(),
                                        [this](std::optional<Endpoint> outside) {
                                          if (!outside)
                                            host_->metric_slot().add(Metric::kPortMapFailed);
                                          host_->node().set_mapped_endpoint(outside);
                                        });
      control_->mapping = mapping_.get();
    }
    log_info("started", {{"pool", options_.pool},
                         {"node", host_->node().address().hex()},
                         {"as", options_.router ? "router" : "host"},
                         {"port", host_->port()}});
  }

  void on_joined() {
    if (options_.router) {
      tell_ready("router " + host_->node().address().short_hex() + " of pool " + options_.pool +
                 " is up on UDP port " + std::to_string(host_->port()));
    }
  }

  void tell_ready(const Result<std::string>& result) {
    if (!told_) {
      told_ = true;
      ready_(result);
    } else if (result) {
      notify_systemd("STATUS=" + *result);
    }
    if (!result) {
      failed_ = true;
      log_error("giving up", {{"pool", options_.pool}, {"why", result.error().message}});
      stop_timer_->after(kStopAfter, [this] { stop(); });
    }
  }

  bool is_expelled() const { return !host_->credentials().welcome(host_->credentials().self()); }
  Error expelled() const {
    return {ErrorCode::kUntrusted,
            "this node was expelled from pool " + options_.pool + ": ask for a new invite"};
  }
  void on_settings() {
    if (!is_expelled()) return;
    expelled_ = true;
    tell_ready(expelled());
  }

  void turn_log() {
    LogFile(options_.log).turn();
    log_timer_->after(kLogTurn, [this] { turn_log(); });
  }

  // Most events change nothing that a peer could notice; to call them moves would cast doubt on
  // every path.
  void look_at_network() {
    auto now = network_now();
    const bool moved = std::exchange(moved_, false);
    if (now == network_ && !moved) return;
    network_ = std::move(now);
    log_info(moved ? "moved to another host, or another port" : "network changed",
             {{"addresses", network_.first.size()}});
    begin_anew();
  }
  // Its addresses may be the same: NATs have forgotten it, and so have its peers.
  void on_resumed(Duration slept) {
    log_info("resumed from sleep", {{"slept_s", to_seconds_whole(slept)}});
    network_ = network_now();
    begin_anew();
  }
  void begin_anew() {
    host_->on_network_change();
    if (mapping_) mapping_->renew();
  }
  static std::int64_t to_seconds_whole(Duration d) {
    return std::chrono::duration_cast<std::chrono::seconds>(d).count();
  }
  static std::pair<std::vector<IpAddress>, std::string> network_now() {
    return {local_addresses(), default_routes()};
  }

  void watch_network() {
    network_ = network_now();
    monitor_wait_.assign(dup(monitor_->fd()));
    wait_for_change();
    resume_watch_ = std::make_unique<ResumeWatch>(io_.get_executor(),
                                                  [this](Duration slept) { on_resumed(slept); });
  }
  void watch_generation() {
    generation_watch_ = GenerationWatch::open(io_.get_executor(), [this] {
      log_info("this virtual machine was cloned, or set back", {});
      host_->on_new_generation();
      if (mapping_) mapping_->renew();
    });
  }
  void wait_for_change() {
    monitor_wait_.async_wait(
        asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& error) {
          if (error) return;
          const bool changed =
              monitor_->drain(host_side_ ? host_side_->interface_index() : 0, &moved_);
          if (changed && !settle_timer_->is_set()) {
            settle_timer_->after(kNetworkSettle, [this] { look_at_network(); });
          }
          wait_for_change();
        });
  }

  void stop() {
    if (stopped_) return;
    stopped_ = true;
    notify_systemd("STOPPING=1");
    log_info("stopping", {{"pool", options_.pool}});
    if (host_->node().drain()) return stop_timer_->after(Node::kDrain, [this] { end(); });
    end();
  }

  void end() {
    host_->stop();
    io_.stop();
  }

  const DaemonOptions options_;
  Ready ready_;
  asio::io_context io_{1};
  asio::signal_set signals_;
  asio::posix::stream_descriptor monitor_wait_;
  // Goes last: while its socket is there, the interface or the lock may be.
  std::unique_ptr<ControlServer> server_;
  std::unique_ptr<PortMapper> mapper_;
  std::unique_ptr<PortMapping> mapping_;
  std::unique_ptr<NodeHost> host_;
  std::unique_ptr<HostSide> host_side_;
  std::unique_ptr<NetworkMonitor> monitor_;
  std::unique_ptr<ControlContext> control_;
  std::unique_ptr<Timer> stop_timer_, settle_timer_, log_timer_;
  std::unique_ptr<ResumeWatch> resume_watch_;
  std::unique_ptr<GenerationWatch> generation_watch_;
  bool moved_ = false;  // as the network card said, not looked at yet
  std::pair<std::vector<IpAddress>, std::string> network_;  // addresses and default routes
  bool told_ = false;
  bool failed_ = false;
  bool expelled_ = false;
  bool stopped_ = false;
};

}  // namespace

int run_daemon(const DaemonOptions& options,
               const std::function<void(Result<std::string>)>& ready) {
  return Daemon(options, ready).run();
}

}  // namespace wow
