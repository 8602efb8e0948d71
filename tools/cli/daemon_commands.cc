// up, router and down: starting and stopping the daemon. Without --foreground it goes to the
// background once it is ready, so that the command's end means "the pool is there", and its exit
// status whether.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iostream>

#include "base/log.h"
#include "dht/asio/machine.h"
#include "dht/asio/node_host.h"
#include "tools/cli/commands.h"
#include "tools/cli/config.h"
#include "tools/cli/control_client.h"
#include "tools/daemon/daemon.h"
#include "tools/daemon/log_file.h"
#include "tools/daemon/notify.h"
#include "tools/daemon/privileges.h"
#include "tunnel/identity/invite.h"

namespace wow {
namespace {

// Joining takes a second; who waits this long wants to know for what.
constexpr int kPatienceMs = 10'000;

struct UpArguments {
  std::string pool;
  std::string invite;
  bool foreground = false;
  std::string log_level = "info";
  std::string ip;
  std::vector<std::string> bootstraps;
  std::optional<std::uint16_t> listen;
  std::string proxy = "auto";
  DaemonOptions daemon;
};

std::string default_host_name() {
  char raw[256] = {};
  gethostname(raw, sizeof raw - 1);
  std::string out;
  for (const char c : std::string(raw)) {
    if (c == '.') break;
    const char lower = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    out += is_valid_name(std::string("a") + lower + "a") ? lower : '-';
  }
  out = out.substr(0, 63);
  while (!out.empty() && out.front() == '-') out.erase(0, 1);
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out.empty() ? "host" : out;
}

void set_level(const std::string& level) {
  set_log_level(level == "debug"  ? LogLevel::kDebug
                : level == "warn" ? LogLevel::kWarn
                                  : LogLevel::kInfo);
}

// "auto": what the environment says; a word there that cannot be used is no reason to stay down.
std::optional<Proxy> proxy_of(const std::string& word) {
  if (word == "off") return std::nullopt;
  if (word != "auto") return value_or_throw(Proxy::parse(word));
  std::string why;
  auto proxy = proxy_from_environment(&why);
  if (!why.empty()) std::cerr << "Proxy ignored: " << why << ".\n";
  return proxy;
}

// The daemon gives root up, and removes its socket at the end.
void make_runtime_directory(const std::filesystem::path& path) {
  value_or_throw(make_directory(path, false));
  const auto user = geteuid() == 0 ? find_user(kDaemonUser) : std::nullopt;
  if (user && chown(path.c_str(), user->uid, user->gid) != 0)
    throw CommandError("cannot give " + path.string() + " to user " + kDaemonUser);
}

// The invite that the file names, "auto" or a path: for a machine that is no member yet, or a copy
// of one. Who is a member needs it no more.
void join_by_file(const CommandContext& context, const std::string& pool,
                  const std::string& invite) {
  const auto directory = context.paths.member_directory(pool);
  if (std::filesystem::exists(directory / kMemberFile) && !is_copied(directory)) return;
  if (invite != kHandedInvite && !std::filesystem::path(invite).is_absolute())
    throw CommandError(context.paths.config_file(pool).string() +
                       ": invite takes auto or an absolute path, not \"" + invite + "\"");
  join_pool(context, invite, pool);
}

// Files first, then what they name: everything that can be wrong is said before anything is
// started.
DaemonOptions prepare(const CommandContext& context, CLI::App& command, UpArguments& arguments,
                      bool router) {
  std::string pool = arguments.pool.empty() ? context.pool : arguments.pool;
  const bool named = !arguments.invite.empty();
  if (named) pool = join_pool(context, arguments.invite, pool);
  pool = value_or_throw(context.paths.choose_pool(pool));
  // Both ways to run share the file.
  const CLI::App* other = command.get_parent()->get_subcommand(router ? "up" : "router");
  value_or_throw(apply_config(command, context.paths.config_file(pool), other));

  DaemonOptions options = arguments.daemon;
  options.pool = pool;
  options.router = router;
  options.directory = context.paths.member_directory(pool);
  options.socket = context.paths.runtime / (pool + ".sock");
  options.listen = arguments.listen;
  options.proxy = proxy_of(arguments.proxy);
  options.name_is_explicit = !options.name.empty();
  if (!options.name_is_explicit) options.name = default_host_name();
  if (!is_valid_name(options.name))
    throw CommandError("\"" + options.name + "\" cannot be a host name: a-z, 0-9 and - only");
  if (!arguments.ip.empty()) {
    options.ip = IpAddress::parse(arguments.ip);
    if (!options.ip)
      throw CommandError("--ip takes an address such as 10.128.0.9, not \"" + arguments.ip + "\"");
  }
  for (const std::string& text : arguments.bootstraps) {
    if (!is_bootstrap(text))
      throw CommandError(
          "--bootstrap takes ADDRESS:PORT or NAME:PORT such as 198.51.100.7:4433, not \"" + text +
          "\"");
    options.bootstraps.push_back(text);
  }
  if (daemon_listens(options.socket)) {
    throw CommandError("a daemon runs for pool " + pool + " already: `wow status " + pool +
                       "` asks it, `wow down " + pool + "` stops it");
  }
  if (!named && !arguments.invite.empty()) join_by_file(context, pool, arguments.invite);
  // Without a membership nothing runs, as the daemon will say, and nothing is to be left behind.
  if (std::filesystem::exists(options.directory)) make_runtime_directory(context.paths.runtime);
  return options;
}

int run_in_foreground(const DaemonOptions& options) {
  return run_daemon(options, [](const Result<std::string>& ready) {
    if (ready) {
      std::cout << *ready << std::endl;
      notify_systemd("READY=1\nSTATUS=" + *ready);
    } else {
      std::cerr << "wow: " << ready.error().message << std::endl;
    }
  });
}

// The child becomes the daemon; its first line through the pipe is '+' and a sentence, or '-' and
// an error.
int run_in_background(DaemonOptions options) {
  options.log = options.directory / "log";
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) throw CommandError("cannot make a pipe");
  const pid_t child = fork();
  if (child < 0) throw CommandError("cannot start another process");
  if (child == 0) {
    close(fds[0]);
    setsid();
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(null, fd);
    LogFile(options.log).take_stderr();
    const int status = run_daemon(options, [&fds](const Result<std::string>& ready) {
      const std::string line = ready ? "+" + *ready : "-" + ready.error().message;
      [[maybe_unused]] const auto written = write(fds[1], line.data(), line.size());
      close(std::exchange(fds[1], -1));
    });
    _exit(status);
  }
  close(fds[1]);
  pollfd told{fds[0], POLLIN, 0};
  if (poll(&told, 1, kPatienceMs) == 0) {
    std::cerr
        << "Still waiting: members of pool " << options.pool
        << " do not answer, or do not let this node in (was its invite closed?).\n`wow status "
        << options.pool << "` and " << options.log.string()
        << " tell more; the daemon goes on trying.\n";
  }
  std::string line;
  char buffer[1024];
  for (ssize_t got; (got = read(fds[0], buffer, sizeof buffer)) > 0;)
    line.append(buffer, static_cast<std::size_t>(got));
  close(fds[0]);
  // A daemon that failed is gone when we say so: another `wow up` may follow at once.
  if (line.empty() || line[0] == '-') waitpid(child, nullptr, 0);
  if (line.empty())
    throw CommandError("the daemon ended before it was ready: see " + options.log.string());
  if (line[0] == '-') throw CommandError(line.substr(1));
  std::cout << line.substr(1) << "\n";
  return 0;
}

void add_start_command(CLI::App& app, CommandContext& context, bool router) {
  auto arguments = std::make_shared<UpArguments>();
  CLI::App* command =
      router
          ? app.add_subcommand("router",
                               "Run a router: a member without a virtual interface; no root needed")
          : app.add_subcommand("up", "Bring this machine into its pool: interface, address, name");
  command->add_option("POOL", arguments->pool, "Name of the pool");
  command->add_option("--invite", arguments->invite,
                      "Join by this invite first; auto: by the one that was handed to this "
                      "virtual machine (QEMU's firmware, a drive of `wow image config`)");
  command->add_flag("--foreground", arguments->foreground,
                    "Stay in the foreground (systemd, containers)");
  command
      ->add_option("--listen", arguments->listen, "UDP port; default: the one used before, or any")
      ->check(CLI::Range(1, 65535));
  command
      ->add_option("--listen-tcp", arguments->daemon.listen_tcp,
                   "TCP port for members whose UDP is blocked; default: the number of the UDP "
                   "port; 0: none")
      ->check(CLI::Range(0, 65535));
  command
      ->add_option("--listen-tls", arguments->daemon.listen_tls,
                   "TCP port for streams that look like HTTPS, 443 best; default: none")
      ->check(CLI::Range(0, 65535));
  command
      ->add_option("--proxy", arguments->proxy,
                   "http://[USER:PASSWORD@]HOST:PORT or socks5://..., for streams of ours; auto: "
                   "https_proxy or all_proxy say it; off: none")
      ->capture_default_str();
  command
      ->add_option("--bootstrap", arguments->bootstraps,
                   "ADDRESS:PORT or NAME:PORT to start from, beside the invite's; may be repeated. "
                   "tcp://ADDRESS:PORT or tls://ADDRESS:PORT: by stream only")
      ->allow_extra_args(false);
  command->add_flag("--no-lan", arguments->daemon.no_lan,
                    "Do not look for members on the LAN by multicast");
  command->add_flag("--no-port-map", arguments->daemon.no_port_map,
                    "Do not ask the router for a port (PCP, NAT-PMP, UPnP)");
  command->add_option("--log-level", arguments->log_level, "debug, info or warn")
      ->check(CLI::IsMember({"debug", "info", "warn"}));
  command->add_flag("--allow-loopback", arguments->daemon.allow_loopback,
                    "Reach nodes of this very machine through 127.0.0.1");
  command
      ->add_option(
          "--relay-rate", arguments->daemon.relay_rate,
          "Packets a second that this node passes on from either end of a circuit; 0: none, "
          "it is no relay")
      ->check(CLI::Range(0, 10'000'000))
      ->capture_default_str();
  if (!router) {
    command->add_option("--name", arguments->daemon.name,
                        "Name in the pool; refused if taken. Default: the host name");
    command->add_option("--ip", arguments->ip,
                        "Virtual address; refused if taken. Default: any free one");
    command->add_option("--workers", arguments->daemon.workers, "Packet threads")
        ->check(CLI::Range(1, 7))
        ->capture_default_str();
    command
        ->add_option("--punch-probes", arguments->daemon.punch.probes,
                     "Ports of another site's NAT that are tried by chance where each destination "
                     "has another; 0: none are guessed")
        ->check(CLI::Range(0, 8192))
        ->capture_default_str();
    command
        ->add_option("--punch-rate", arguments->daemon.punch.probes_per_second,
                     "Such packets a second, of 44 bytes each, to all peers together")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    command
        ->add_option("--poll-us", arguments->daemon.poll_us,
                     "Microseconds that packet threads look for more before they sleep, while a "
                     "processor is free; 0: never")
        ->check(CLI::Range(0, 1000))
        ->capture_default_str();
    command
        ->add_option("--names", arguments->daemon.names,
                     "How this host learns the pool's names: auto, resolved, hosts or off")
        ->check(CLI::IsMember({"auto", "resolved", "hosts", "off"}))
        ->capture_default_str();
    command->add_option("--on-change", arguments->daemon.on_change,
                        "Program to run when the pool's names or addresses changed");
    command->add_option("--bridge", arguments->daemon.bridge,
                        "Bridge of this host whose guests join the pool; the invite must allow it");
    command->add_flag("--ignore-routes", arguments->daemon.ignore_routes,
                      "Come up though the subnet collides with a route of this host");
  }
  command->callback([&context, command, arguments, router] {
    const DaemonOptions options = prepare(context, *command, *arguments, router);
    set_level(arguments->log_level);
    const int status =
        arguments->foreground ? run_in_foreground(options) : run_in_background(options);
    if (status != 0) throw CLI::RuntimeError(status);
  });
}

void down(const CommandContext& context, const std::string& pool) {
  value_or_throw(stop_daemon(context.paths.socket(pool), pool));
  std::cout << "Pool " << pool
            << " is down on this machine; its address stays leased for the next `wow up`.\n";
}

}  // namespace

void add_daemon_commands(CLI::App& app, CommandContext& context) {
  add_start_command(app, context, false);
  add_start_command(app, context, true);
  auto pool = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("down", "Stop the daemon of a pool");
  command->add_option("POOL", *pool, "Name of the pool");
  command->callback([&context, pool] {
    down(context, value_or_throw(context.paths.choose_pool(pool->empty() ? context.pool : *pool)));
  });
}

}  // namespace wow
