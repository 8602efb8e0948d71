#include "tools/lab/linux/grid_cell.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <set>

#include "tools/cli/control_client.h"
#include "tools/cli/fields.h"
#include "tools/lab/linux/keeper.h"
#include "tools/lab/linux/laboratory.h"

namespace wow::lab {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

constexpr const char* kPool = "lab";
constexpr int kTriesToMeet = 8;       // new keys, until two hosts have not met on the ring
constexpr int kTriesToJoin = 40;      // new keys, until two hosts are apart on the ring
constexpr std::size_t kNearEach = 3;  // a node's neighbours on each side (docs/ring.md)
constexpr std::uint16_t kPort = 9000;
constexpr Duration kSendInterval = 20ms;
constexpr Duration kAskInterval = 50ms;   // how exactly the time of a direct path is known
constexpr Duration kFirstAsks = 20ms;     // and that of a relayed one: nothing better is there yet
constexpr Duration kAfterDirect = 500ms;  // traffic goes on, to see whether the change lost any
constexpr Duration kLastPackets = 300ms;  // for those under way at the end
constexpr double kFirstIsLate = 600;      // milliseconds: who dropped something is noted
constexpr Duration kStoreLimit = 30s;
constexpr std::size_t kReplicas = 3;
constexpr int kPauseMilliseconds = 100;
constexpr const char* kUpLimit = "6";  // seconds for `wow up`, which usually takes one

TimePoint now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return TimePoint(std::chrono::seconds(t.tv_sec) + Duration(t.tv_nsec));
}
double milliseconds(Duration d) { return to_seconds(d) * 1000; }

// The control socket of a node's daemon, as seen from the laboratory.
fs::path socket_of(const std::string& node) {
  const std::string pid = read_text(kLabFolder / "nodes" / node);
  return "/proc/" + pid.substr(0, pid.find('\n')) + "/root/run/wow/" + kPool + ".sock";
}

// Without names of peers: these are in the store, and would take round trips.
json::object ask(const std::string& node, const std::string& what,
                 const json::object& arguments = {{"names", false}}) {
  const auto answer = ask_daemon(socket_of(node), kPool, what, arguments, std::chrono::seconds(3));
  return answer ? *answer : json::object();
}

std::string kind_of_path(const std::string& node, const std::string& peer) {
  const json::object answer = ask(node, "peers");
  const json::value* peers = answer.if_contains("peers");
  if (!peers) return "";
  for (const json::value& one : peers->as_array()) {
    const json::object& row = one.as_object();
    if (text(row, "address") != peer) continue;
    if (row.at("direct").as_bool()) return "direct";
    if (row.at("stream").as_bool()) return "stream";
    if (row.at("relayed").as_bool()) return "relayed";
    return "routed";
  }
  return "";
}

bool has_peers(const std::string& node) {
  const json::object answer = ask(node, "peers");
  const json::value* peers = answer.if_contains("peers");
  return peers && !peers->as_array().empty();
}

// Nobody between.
bool is_straight(const std::string& path) { return path == "direct" || path == "stream"; }
bool is_off_the_ring(const std::string& path) { return path == "relayed" || is_straight(path); }

// What paths both ends use now, since `after`. True: nobody is between them any more.
bool note_paths(GridRow& row, const std::string& a, const std::string& b, Duration after) {
  const bool straight = is_straight(a) && is_straight(b);
  if (straight) row.direct_ms = milliseconds(after);
  const bool relayed = !straight && is_off_the_ring(a) && is_off_the_ring(b);
  if (relayed && !row.relayed_ms) row.relayed_ms = milliseconds(after);
  return straight;
}

json::object counters_of(const std::string& node) {
  const json::object status = ask(node, "status");
  const json::value* counters = status.if_contains("counters");
  return counters ? counters->as_object() : json::object();
}

std::uint64_t rise(const json::object& before, const json::object& after, std::string_view name) {
  return static_cast<std::uint64_t>(number(after, name) - number(before, name));
}

// Notes what a node dropped meanwhile: "a drop_no_route 3".
void note_drops(GridRow& row, const std::string& node, const json::object& before,
                const json::object& after) {
  for (const auto& [name, value] : after) {
    const std::uint64_t count = rise(before, after, name);
    if (!name.starts_with("drop_") || count == 0) continue;
    if (!row.note.empty()) row.note += ", ";
    row.note += node + " " + std::string(name) + " " + std::to_string(count);
  }
}

// To a node that this one has no path to.
std::optional<double> ring_round_trip_ms(const std::string& node, const std::string& peer) {
  const json::object answer = ask(node, "trace", {{"node", peer}});
  const json::value* hops = answer.if_contains("hops");
  if (text(answer, "way") != "ring" || !hops || !answer.at("arrived").as_bool())
    return std::nullopt;
  const json::value& last = hops->as_array().back().at("round_trip");
  return last.is_number() ? std::optional(last.to_number<double>() * 1000) : std::nullopt;
}

// How many members keep the pool's store, as a node knows.
std::size_t replicas(const std::string& node) {
  const json::object status = ask(node, "status");
  const json::value* dht = status.if_contains("dht");
  return dht ? dht->as_object().at("members").as_array().size() : 0;
}

std::string lease_of(const std::string& node) {
  const json::object status = ask(node, "status");
  const json::value* lease = status.if_contains("lease");
  return lease && lease->is_object() ? text(lease->as_object(), "ip") : "";
}

sockaddr_in socket_address(const std::string& ip) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(kPort);
  inet_pton(AF_INET, ip.c_str(), &out.sin_addr);
  return out;
}

// A UDP socket at a host's address in the pool.
Fd socket_in(const std::string& node, const std::string& ip) {
  const Namespaces here("/proc", getpid(), {"net"});
  const std::string pid = read_text(kLabFolder / "nodes" / node);
  Namespaces("/proc", static_cast<pid_t>(std::stol(pid)), {"net"}).enter();
  Fd out(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  here.enter();
  const sockaddr_in address = socket_address(ip);
  if (!out || bind(out.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    fail_with_errno("cannot send in " + node);
  return out;
}

std::string first_hex_address(const std::string& said) {
  constexpr std::size_t kDigits = 40;
  constexpr const char* kHex = "0123456789abcdef";
  for (std::size_t at = said.find_first_of(kHex); at != std::string::npos;) {
    std::size_t end = std::min(said.find_first_not_of(kHex, at), said.size());
    if (end - at == kDigits) return said.substr(at, kDigits);
    at = said.find_first_of(kHex, end);
  }
  return "";
}

}  // namespace

GridCell::Running GridCell::begin(const std::string& node,
                                  const std::vector<std::string>& command) {
  Pipe output = make_pipe();
  const pid_t pid = fork_bound([&] {
    const Fd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    dup2(nothing.get(), STDIN_FILENO);
    dup2(output.write.get(), STDOUT_FILENO);
    dup2(output.write.get(), STDERR_FILENO);
    return exec_in_node("/", node, command);
  });
  return {pid, std::move(output.read)};
}

GridCell::Said GridCell::end(const Running& running) {
  Said out;
  out.text = read_all(running.output.get());
  out.status = wait_for(running.pid);
  return out;
}

GridCell::Said GridCell::run(const std::string& node, const std::vector<std::string>& command) {
  return end(begin(node, command));
}

GridCell::GridCell(const GridCellOptions& options) : options_(options) {
  std::vector<std::string> routers;
  std::string bootstraps;
  {
    Laboratory laboratory;
    laboratory.add(grid_routers(options_.routers));
    const Prefix six = *Prefix::parse(kInternetPrefix6);
    for (const auto& [name, host] : laboratory.topology().hosts) {
      routers.push_back(name);
      proxy_ = host.ip.text();
      if (routers.size() <= 2)
        bootstraps += " --bootstrap " + host.ip.text() + ":4433 --bootstrap '[" +
                      ipv6_like(six, host.ip) + "]:4433'";
    }
  }
  const std::string invite = (kLabFolder / "lab.invite").string();
  const auto succeed = [](const Said& said) {
    if (said.status != 0) throw LabError("the grid's pool cannot be made: " + said.text);
  };
  succeed(run(routers[0], {"bash", "-c",
                           std::string("umask 077; wow pool create ") + kPool +
                               " --subnet 10.128.0.0/16 && wow invite create " + kPool +
                               bootstraps + " >" + invite}));
  std::vector<Running> starting;
  for (const std::string& router : routers)
    starting.push_back(begin(router, {"bash", "-c",
                                      "wow join " + invite + " && exec timeout 30 wow router " +
                                          kPool + " --listen 4433 --listen-tls 443"}));
  for (const Running& one : starting) succeed(end(one));
  for (const std::string& router : routers) ring_.push_back(text(ask(router, "status"), "address"));
  const auto serve = [&](int port, const std::string& login) {
    std::vector<std::string> words = {"wow", "lab", "proxy", "--port", std::to_string(port)};
    if (!login.empty()) words.insert(words.end(), {"--login", login});
    proxies_.push_back(begin(routers.back(), words));
  };
  serve(kGridProxyPort, "");
  serve(kGridPasswordProxyPort, "lab:secret");
  // Whoever joins while the store is still founded waits for it.
  const TimePoint limit = now() + kStoreLimit;
  while (replicas(routers[0]) < kReplicas) {
    if (now() > limit) throw LabError("the store of the grid's pool has no replicas");
    poll(nullptr, 0, kPauseMilliseconds);
  }
}

std::string GridCell::join(const std::string& host) {
  const Said said =
      run(host, {"bash", "-c",
                 std::string("rm -rf /var/lib/wow/lab /etc/wow/lab.conf; exec wow join ") +
                     (kLabFolder / "lab.invite").string()});
  const std::string address = first_hex_address(said.text);
  if (said.status != 0 || address.empty())
    throw LabError("host " + host + " cannot join: " + said.text);
  return address;
}

bool GridCell::are_far_apart(const std::string& a, const std::string& b) const {
  const auto& [low, high] = std::minmax(a, b);
  const auto between = static_cast<std::size_t>(std::count_if(
      ring_.begin(), ring_.end(), [&](const std::string& r) { return r > low && r < high; }));
  return between >= kNearEach && ring_.size() - between >= kNearEach;
}

void GridCell::join_apart() {
  address_a_ = join("a");
  for (int i = 0; i < kTriesToJoin; ++i) {
    address_b_ = join("b");
    if (are_far_apart(address_a_, address_b_)) return;
  }
}

std::vector<std::string> GridCell::up_command(const GridKind& kind) const {
  std::string more = kind.up;
  constexpr std::string_view kProxy = "PROXY";
  if (const auto at = more.find(kProxy); at != std::string::npos)
    more.replace(at, kProxy.size(), proxy_);
  return {"bash", "-c", std::string("exec timeout ") + kUpLimit + " wow up " + kPool + " " + more};
}

std::string GridCell::bring_up(GridRow& row, const GridKind& from, const GridKind& to) {
  const Running a = begin("a", up_command(from)), b = begin("b", up_command(to));
  const Said said_a = end(a), said_b = end(b);
  // Who hears nobody comes up, too, as the first of a pool.
  const bool is_up_a = said_a.status == 0 && has_peers("a");
  const bool is_up_b = said_b.status == 0 && has_peers("b");
  joined_[row.from].count(is_up_a);
  joined_[row.to].count(is_up_b);
  return !is_up_a ? row.from : !is_up_b ? row.to : "";
}

bool GridCell::have_met() const { return !kind_of_path("a", address_b_).empty(); }

void GridCell::watch_traffic(GridRow& row) {
  const std::string ip_a = lease_of("a"), ip_b = lease_of("b");
  const Fd from = socket_in("a", ip_a), to = socket_in("b", ip_b);
  const sockaddr_in target = socket_address(ip_b);
  const json::object before_a = counters_of("a"), before_b = counters_of("b");
  std::set<std::uint32_t> arrived;
  const TimePoint start = now();
  TimePoint next_send = start, next_ask = start + kFirstAsks, last_send = start + options_.watch;
  while (now() < last_send + kLastPackets) {
    if (now() >= next_send && now() < last_send) {
      const auto number = static_cast<std::uint32_t>(row.sent++);
      sendto(from.get(), &number, sizeof number, 0, reinterpret_cast<const sockaddr*>(&target),
             sizeof target);
      next_send += kSendInterval;
    }
    if (now() >= next_ask && !row.direct_ms && now() < last_send) {
      const std::string path_a = kind_of_path("a", address_b_),
                        path_b = kind_of_path("b", address_a_);
      if (note_paths(row, path_a, path_b, now() - start))
        last_send = std::min(last_send, now() + kAfterDirect);
      next_ask = now() + (row.relayed_ms ? kAskInterval : kFirstAsks);
    }
    pollfd files[] = {{to.get(), POLLIN, 0}, {from.get(), POLLIN, 0}};
    poll(files, 2, 2);
    std::uint32_t number = 0;
    sockaddr_in source{};
    socklen_t length = sizeof source;
    while (recvfrom(to.get(), &number, sizeof number, 0, reinterpret_cast<sockaddr*>(&source),
                    &length) == sizeof number) {
      if (arrived.empty()) row.first_ms = milliseconds(now() - start);
      arrived.insert(number);
      // Answered, as most traffic is.
      sendto(to.get(), &number, sizeof number, 0, reinterpret_cast<const sockaddr*>(&source),
             length);
    }
    while (recv(from.get(), &number, sizeof number, 0) > 0) {
    }
  }
  row.lost = row.sent - static_cast<int>(arrived.size());
  const json::object after_a = counters_of("a"), after_b = counters_of("b");
  row.checks = rise(before_a, after_a, "path_checks") + rise(before_b, after_b, "path_checks");
  if (row.lost > 0 || row.first_ms > kFirstIsLate) {
    note_drops(row, "a", before_a, after_a);
    note_drops(row, "b", before_b, after_b);
  }
  const std::string path = kind_of_path("a", address_b_);
  row.path = arrived.empty() ? "unreachable" : path.empty() ? "routed" : path;
}

void GridCell::remove_pair(const Topology& pair) {
  // With a farewell, and the address given back: the next pair shall meet a quiet ring.
  const std::vector<std::string> leave = {"timeout", "3", "wow", "leave", kPool};
  const Running a = begin("a", leave), b = begin("b", leave);
  end(a);
  end(b);
  Laboratory laboratory;
  for (const auto& [name, host] : pair.hosts) laboratory.power_off(name);
  auto sites = laboratory.topology().sites_downwards();
  std::reverse(sites.begin(), sites.end());
  for (const std::string& name : sites) laboratory.remove_site(name);
}

GridRow GridCell::measure(const GridKind& from, const GridKind& to) {
  GridRow row;
  row.from = from.name;
  row.to = to.name;
  for (const GridKind* kind : {&from, &to}) {
    if (!joined_[kind->name].never()) continue;
    row.note = kind->name + " finds no member";
    return row;
  }
  const Topology pair = grid_topology(from, to);
  for (int i = 1;; ++i) {
    Laboratory().add(pair);
    try {
      join_apart();
      const std::string failed = bring_up(row, from, to);
      // Asked by the one that is sent to: the sender must not get to know the store by it.
      if (failed.empty()) row.ring_ms = ring_round_trip_ms("b", address_a_);
      if (!failed.empty()) {
        row.note = failed + " finds no member";
        // A busy machine may be late; a wall stays one.
        if (!joined_[failed].never() && i < kTriesToMeet) {
          row.note.clear();
          remove_pair(pair);
          continue;
        }
      } else if (have_met() && i < kTriesToMeet) {
        remove_pair(pair);
        continue;
      } else {
        if (have_met()) row.note = "had met on the ring";
        watch_traffic(row);
      }
    } catch (const std::exception& error) {
      row.note = error.what();
    }
    remove_pair(pair);
    return row;
  }
}

}  // namespace wow::lab
