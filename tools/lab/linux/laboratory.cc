#include "tools/lab/linux/laboratory.h"

#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <boost/json/serialize.hpp>
#include <cerrno>
#include <cstdlib>
#include <fstream>

#include "tools/lab/linux/keeper.h"
#include "tools/lab/linux/line.h"
#include "tools/lab/linux/nodes.h"
#include "tools/lab/router_rules.h"

namespace wow::lab {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

constexpr const char* kNet = "net";  // the node that is the internet
// Of a node's end of its cable, another than any port of a router has: where both ends have the
// same, the kernel does not hurry to tell one that the other is up, and a second passes.
constexpr const char* kCableIndex = " index 1000";
constexpr int kDeathMilliseconds = 5'000;  // until a process that was killed is gone
constexpr int kGraceSeconds = 10;          // from SIGTERM to SIGKILL, for a command in a node
const fs::path kState = kLabFolder / "state.json";

enum BridgePortState { kDisabled = 0, kForwarding = 3 };

std::string bits(const Prefix& prefix) { return "/" + std::to_string(prefix.bits); }

// A bridge without a MAC of its own takes its ports', another one whenever they come and go.
std::string bridge_mac(const IpAddress& ip) {
  char text[24];
  const std::uint32_t v = ip.v4_value();
  std::snprintf(text, sizeof text, "02:00:%02x:%02x:%02x:%02x", v >> 24, (v >> 16) & 255,
                (v >> 8) & 255, v & 255);
  return text;
}

std::string bridge(const char* name, const IpAddress& ip) {
  return std::string("link add name ") + name + " address " + bridge_mac(ip) +
         " type bridge stp_state 0 mcast_snooping 0\nlink set dev " + name + " up\n";
}

std::string router_of(const std::string& site) { return site == kInternet ? kNet : site; }
std::string bridge_of(const std::string& site) { return site == kInternet ? kInternet : "lan"; }
// Says what the interfaces at the ends of a node's cable take.
fs::path interface_mtu_of(const std::string& node) {
  return kLabFolder / "lines" / (node + ".mtu");
}

// In a router's network: forwards, believes any source, sends no redirects.
void set_router_sysctls(const Namespaces& network, const std::optional<std::chrono::seconds>& udp) {
  wait_for(fork_to([&] {
    network.enter();
    set_sysctl("net/ipv4/ip_forward", "1");
    set_sysctl("net/ipv6/conf/all/forwarding", "1");
    for (const char* which : {"all", "default"}) {
      set_sysctl(std::string("net/ipv4/conf/") + which + "/rp_filter", "0");
      // Routers' next hops are on the bridge that a packet came from; nobody shall learn shortcuts.
      set_sysctl(std::string("net/ipv4/conf/") + which + "/send_redirects", "0");
    }
    // Else the bridge's frames go through conntrack.
    set_sysctl("net/bridge/bridge-nf-call-iptables", "0");
    set_sysctl("net/bridge/bridge-nf-call-ip6tables", "0");
    if (udp) {
      const std::string seconds = std::to_string(udp->count());
      if (!set_sysctl("net/netfilter/nf_conntrack_udp_timeout", seconds) ||
          !set_sysctl("net/netfilter/nf_conntrack_udp_timeout_stream", seconds))
        throw LabError("this kernel does not let a site have a \"timeout_s\": leave it out");
    }
    return 0;
  }));
}

// IPCTNL_MSG_CT_DELETE without a tuple deletes all entries of the namespace.
void flush_conntrack(const Namespaces& network) {
  const int status = wait_for(fork_to([&] {
    network.enter();
    const Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
    struct {
      nlmsghdr header;
      nfgenmsg message;
    } request{};
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE;
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    request.message.nfgen_family = AF_UNSPEC;
    struct {
      nlmsghdr header;
      nlmsgerr error;
    } answer{};
    if (send(socket.get(), &request, sizeof request, 0) < 0 ||
        recv(socket.get(), &answer, sizeof answer, 0) < 0 || answer.error.error != 0)
      return 1;
    return 0;
  }));
  if (status != 0) throw LabError("this kernel does not let conntrack be emptied");
}

}  // namespace

Laboratory::Laboratory() {
  lock_ = Fd(::open((kLabFolder / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock_ || flock(lock_.get(), LOCK_EX) != 0) fail_with_errno("cannot lock the laboratory");
  if (const std::string text = read_text(kState); !text.empty()) {
    auto parsed = Topology::parse(text);
    if (!parsed) throw LabError(kState.string() + ": " + parsed.error().message);
    topology_ = std::move(*parsed);
  }
}

void Laboratory::save() const {
  write_text(kState, json::serialize(topology_.to_json()) + "\n");
  for (const auto& [name, host] : topology_.hosts) {
    const fs::path home = kLabFolder / "hosts" / name;
    write_text(home / "address", (host.site.empty() ? "" : host.ip.text()) + "\n");
  }
}

pid_t Laboratory::pid_of(const std::string& node) const {
  const std::string text = read_text(kLabFolder / "nodes" / node);
  if (text.empty()) throw LabError("there is no host or site \"" + node + "\"");
  return static_cast<pid_t>(std::stol(text));
}

void Laboratory::remember_pid(const std::string& node, pid_t pid) const {
  write_text(kLabFolder / "nodes" / node, std::to_string(pid) + "\n");
}

Namespaces Laboratory::network_of(const std::string& node) const {
  return Namespaces("/proc", pid_of(node), {"net"});
}

Host& Laboratory::host(const std::string& name) {
  const auto found = topology_.hosts.find(name);
  if (found == topology_.hosts.end()) throw LabError("there is no host \"" + name + "\"");
  return found->second;
}

void Laboratory::run(const Batches& batches) const {
  if (!batches.cables.empty()) run_program({"ip", "-batch", "-"}, batches.cables);
  // Routers first. Where the far end of a cable comes up last, the kernel sees the carrier up to a
  // second later (linkwatch) and drops in silence what a host sends from the address it has
  // already.
  for (const bool is_host : {false, true}) {
    for (const auto& [node, batch] : batches.nodes) {
      if (topology_.hosts.contains(node) != is_host) continue;
      const Namespaces network = network_of(node);
      run_program({"ip", "-batch", "-"}, batch, &network);
    }
  }
}

// ---------------------------------------------------------------- making

void Laboratory::add(const Topology& more) {
  auto all = topology_.with(more);
  if (!all) throw LabError(all.error().message);
  std::error_code none;
  if (!fs::exists(kLabFolder / "nodes" / kNet, none)) make_internet();
  topology_ = std::move(*all);

  std::vector<std::string> names;
  for (const auto& [name, host] : more.hosts) names.push_back(name);
  const auto pids = boot_hosts(names, kLabFolder);
  for (std::size_t i = 0; i < names.size(); ++i) remember_pid(names[i], pids[i]);
  for (const auto& [name, site] : more.sites) {
    remember_pid(name, boot_router(name));
    set_router_sysctls(network_of(name), site.nat ? site.nat->timeout : std::nullopt);
  }
  Batches batches;
  for (const std::string& name : topology_.sites_downwards())
    if (more.sites.contains(name)) make_router(topology_.sites.at(name), batches);
  for (const std::string& name : names) connect_host(topology_.hosts.at(name), batches);
  run(batches);
  for (const auto& [name, site] : more.sites) load_rules(topology_.sites.at(name));
  save();
}

void Laboratory::make_internet() {
  remember_pid(kNet, boot_router(kNet));
  const Namespaces network = network_of(kNet);
  set_router_sysctls(network, std::nullopt);
  const Prefix prefix = *Prefix::parse(kInternetPrefix), prefix6 = *Prefix::parse(kInternetPrefix6);
  std::string batch = bridge(kInternet, prefix.at(1)) + "link set " + kInternet + " mtu " +
                      std::to_string(kMtuMax) + "\naddr add " + prefix.at(1).text() + bits(prefix) +
                      " dev " + kInternet + "\nroute add blackhole default\n";
  if (fs::exists("/proc/sys/net/ipv6"))
    batch += "addr add " + ipv6_like(prefix6, prefix.at(1)) + bits(prefix6) + " dev " + kInternet +
             " nodad\n";
  run_program({"ip", "-batch", "-"}, batch, &network);
}

// What interfaces at the end of such a cable take: of a line that was made for less than usual
// they take more than passes it, so that the rest vanishes in silence.
std::size_t Laboratory::mtu_of(const std::optional<LineQuality>& line) {
  return line ? std::max(kMtuUsual, line->mtu) : kMtuUsual;
}

std::size_t Laboratory::mtu_within(const std::string& site) const {
  return site == kInternet ? kMtuUsual : mtu_of(topology_.sites.at(site).line);
}

void Laboratory::lay_cable(const std::string& node, const std::string& device,
                           const std::string& site, const std::optional<LineQuality>& line,
                           Batches& batches) {
  const std::string router = router_of(site);
  if (line) {
    const Namespaces lower = network_of(node), upper = network_of(router);
    const fs::path settings = kLabFolder / "lines" / node;
    const pid_t pid = start_line("wow-lab line " + node, {lower, device}, {upper, node}, *line,
                                 settings.string() + ".settings");
    write_text(settings, std::to_string(pid) + "\n");
  } else {
    batches.cables += "link add " + device + kCableIndex + " netns " +
                      std::to_string(pid_of(node)) + " type veth peer name " + node + " netns " +
                      std::to_string(pid_of(router)) + "\n";
  }
  std::size_t mtu = mtu_within(site);
  if (line && line->mtu != 0) mtu = mtu_of(line);
  const std::string set_mtu = " mtu " + std::to_string(mtu);
  batches.nodes[node] += "link set dev " + device + set_mtu + "\n";
  batches.nodes[router] +=
      "link set dev " + node + set_mtu + " master " + bridge_of(site) + " up\n";
  if (line) write_text(interface_mtu_of(node), std::to_string(mtu) + "\n");
}

void Laboratory::make_router(const Site& site, Batches& batches) {
  lay_cable(site.name, "wan", site.uplink, site.line, batches);
  const Prefix upper = topology_.prefix_of(site.uplink);
  std::string& batch = batches.nodes[site.name];
  std::string lower = bridge("lan", site.wan) + "link set lan mtu " +
                      std::to_string(mtu_of(site.line)) + "\nlink set wan up\n";
  if (site.ipv4) {
    lower += "addr add " + site.wan.text() + bits(upper) + " dev wan\naddr add " +
             site.lan.at(1).text() + bits(site.lan) + " dev lan\nroute add default via " +
             upper.at(1).text() + "\n";
  }
  std::string& net = batches.nodes[kNet];
  if (site.ipv4 && !site.nat)
    net += "route add " + site.lan.text() + " via " + site.wan.text() + "\n";
  if (site.ipv6) {
    const Prefix outside = *Prefix::parse(kInternetPrefix6);
    const std::string wan6 = ipv6_like(outside, site.wan);
    lower += "addr add " + wan6 + bits(outside) + " dev wan nodad\naddr add " +
             ipv6_like(*site.ipv6, site.lan.at(1)) + bits(*site.ipv6) +
             " dev lan nodad\nroute add ::/0 via " +
             ipv6_like(outside, Prefix::parse(kInternetPrefix)->at(1)) + "\n";
    net += "route add " + site.ipv6->text() + " via " + wan6 + "\n";
  }
  batch = lower + batch;  // the bridge is there before hosts are put on it
}

void Laboratory::connect_host(const Host& host, Batches& batches) {
  if (host.site.empty()) return;
  lay_cable(host.name, "eth0", host.site, host.line, batches);
  const Prefix prefix = topology_.prefix_of(host.site);
  const Site* const site = host.site == kInternet ? nullptr : &topology_.sites.at(host.site);
  std::string& batch = batches.nodes[host.name];
  batch += "link set eth0 up\n";
  if (site ? site->ipv4 : host.ipv4)
    batch += "addr add " + host.ip.text() + bits(prefix) + " dev eth0\nroute add default via " +
             prefix.at(1).text() + "\n";
  std::optional<Prefix> prefix6;
  if (site) prefix6 = site->ipv6;
  if (!site && host.ipv6) prefix6 = Prefix::parse(kInternetPrefix6);
  if (prefix6)
    batch += "addr add " + ipv6_like(*prefix6, host.ip) + bits(*prefix6) +
             " dev eth0 nodad\nroute add ::/0 via " + ipv6_like(*prefix6, prefix.at(1)) + "\n";
}

void Laboratory::load_rules(const Site& site) const {
  const Namespaces network = network_of(site.name);
  run_program({"nft", "-f", "-"}, nft_rules(site), &network);
}

// ---------------------------------------------------------------- changing

void Laboratory::plug(const std::string& name, const std::string& site, const IpAddress& ip) {
  Host& moved = host(name);
  if (!moved.site.empty()) throw LabError(name + " is plugged in: `wow lab unplug " + name + "`");
  if (site != kInternet && !topology_.sites.contains(site))
    throw LabError("there is no site \"" + site + "\"");
  // As if it came anew, so that the same is checked.
  Topology others = topology_, one;
  others.hosts.erase(name);
  Host host = moved;
  host.site = site;
  host.ip = ip;
  one.hosts[name] = host;
  auto all = others.with(one);
  if (!all) throw LabError(all.error().message);
  topology_ = std::move(*all);
  Batches batches;
  connect_host(topology_.hosts.at(name), batches);
  run(batches);
  save();
}

void Laboratory::unplug(const std::string& name) {
  Host& gone = host(name);
  if (gone.site.empty()) throw LabError(name + " is not plugged in");
  const Namespaces network = network_of(name);
  run_program({"ip", "link", "set", "eth0", "down"}, {}, &network);
  if (gone.line)
    end_line(name);
  else
    run_program({"ip", "link", "del", "eth0"}, {}, &network);
  gone.site.clear();
  gone.ip = {};
  save();
}

const std::string& Laboratory::upper_end(const std::string& node) const {
  if (const auto site = topology_.sites.find(node); site != topology_.sites.end())
    return site->second.uplink;
  const auto host = topology_.hosts.find(node);
  if (host == topology_.hosts.end()) throw LabError("there is no host or site \"" + node + "\"");
  if (host->second.site.empty()) throw LabError(node + " is not plugged in");
  return host->second.site;
}

void Laboratory::set_port(const std::string& node, int state) const {
  const Namespaces network = network_of(router_of(upper_end(node)));
  run_program({"bridge", "link", "set", "dev", node, "state", std::to_string(state)}, {}, &network);
}

void Laboratory::cut(const std::string& node) { set_port(node, kDisabled); }
void Laboratory::heal(const std::string& node) { set_port(node, kForwarding); }

namespace {

// The next site with an address has another MAC, and need not say so before it is spoken to.
void forget_neighbours(const Namespaces& network) {
  for (int tries = 0; tries < 5; ++tries) {
    try {
      return run_program({"ip", "neigh", "flush", "all"}, {}, &network);
    } catch (const LabError&) {
      // An entry ended by itself meanwhile.
    }
  }
}

void kill_and_wait(pid_t pid) {
  const Fd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!process) return;  // it is gone already
  kill(pid, SIGKILL);
  pollfd wait{process.get(), POLLIN, 0};
  poll(&wait, 1, kDeathMilliseconds);
}

}  // namespace

void Laboratory::end_line(const std::string& node) const {
  const fs::path file = kLabFolder / "lines" / node;
  kill_and_wait(static_cast<pid_t>(std::stol(read_text(file))));
  fs::remove(file);
  fs::remove(file.string() + ".settings");
  fs::remove(interface_mtu_of(node));
}

void Laboratory::end_node(const std::string& node) const {
  kill_and_wait(pid_of(node));
  fs::remove(kLabFolder / "nodes" / node);
}

void Laboratory::power_off(const std::string& name) {
  // The cable first: a host that is dead says nothing more.
  if (!host(name).site.empty()) unplug(name);
  end_node(name);
  fs::remove_all(kLabFolder / "hosts" / name);
  topology_.hosts.erase(name);
  save();
}

void Laboratory::remove_site(const std::string& name) {
  const auto found = topology_.sites.find(name);
  if (found == topology_.sites.end()) throw LabError("there is no site \"" + name + "\"");
  for (const auto& [other, host] : topology_.hosts)
    if (host.site == name)
      throw LabError("host " + other + " is in site " + name + ": remove it first");
  for (const auto& [other, site] : topology_.sites)
    if (site.uplink == name)
      throw LabError("site " + other + " is below " + name + ": remove it first");
  if (found->second.line) end_line(name);
  const Namespaces upper = network_of(router_of(found->second.uplink));
  if (!found->second.line) run_program({"ip", "link", "del", "dev", name}, {}, &upper);
  // Routes by way of a site that is gone would be in the way of the next with its addresses.
  if (!found->second.nat && found->second.ipv4)
    run_program({"ip", "route", "del", found->second.lan.text()}, {}, &upper);
  if (found->second.ipv6)
    run_program({"ip", "-6", "route", "del", found->second.ipv6->text()}, {}, &upper);
  forget_neighbours(upper);
  end_node(name);
  topology_.sites.erase(found);
  save();
}

void Laboratory::change(const std::string& node, const json::object& fields) {
  const auto site = topology_.sites.find(node);
  const bool is_site = site != topology_.sites.end();
  // The file's own words and checks: what it is now, with the changes, is read as a file.
  json::object whole = topology_.to_json();
  json::object& part = whole[is_site ? "sites" : "hosts"].as_object();
  if (!part.contains(node)) throw LabError("there is no host or site \"" + node + "\"");
  for (const auto& field : fields) {
    const std::string key(field.key());
    for (const char* fixed : {"uplink", "wan", "lan", "ipv4", "ipv6", "site", "ip", "count"})
      if (key == fixed)
        throw LabError("\"" + key + "\" cannot be changed while it runs: say it in the file");
    if (field.value().is_null())
      part[node].as_object().erase(key);
    else
      part[node].as_object()[key] = field.value();
  }
  auto parsed = Topology::parse(json::serialize(whole));
  if (!parsed) {
    const std::string& said = parsed.error().message;
    throw LabError(said.rfind("line 1: ", 0) == 0 ? said.substr(8) : said);
  }
  const auto line_now = is_site ? site->second.line : topology_.hosts.at(node).line;
  const auto line = is_site ? parsed->sites.at(node).line : parsed->hosts.at(node).line;
  if (line && !line_now)
    throw LabError(node + " has a plain cable: give it a \"delay_ms\" in the file, 0 will do");
  if (line && line->mtu > kMtuUsual && line->mtu > std::stoul(read_text(interface_mtu_of(node))))
    throw LabError(node +
                   "'s interfaces take less than that: say \"mtu\" in the file, and less here");
  topology_ = std::move(*parsed);
  if (line && line != line_now)
    change_line((kLabFolder / "lines" / node).string() + ".settings", *line);
  if (is_site) {
    const Site& changed = topology_.sites.at(node);
    set_router_sysctls(network_of(node), changed.nat ? changed.nat->timeout : std::nullopt);
    load_rules(changed);
  }
  save();
}

void Laboratory::reset_router(const std::string& site) {
  if (!topology_.sites.contains(site)) throw LabError("there is no site \"" + site + "\"");
  const Namespaces network = network_of(site);
  load_rules(topology_.sites.at(site));
  flush_conntrack(network);
}

json::object Laboratory::status() const {
  json::object out = topology_.to_json();
  json::object lines;
  for (const auto& entry : fs::directory_iterator(kLabFolder / "lines")) {
    if (entry.path().extension() != ".settings") continue;
    const LineCounts counts = read_line_counts(entry.path());
    lines[entry.path().stem().string()] = {{"passed", counts.passed},
                                           {"lost", counts.lost},
                                           {"too_large", counts.too_large},
                                           {"queue_full", counts.queue_full}};
  }
  out["lines"] = std::move(lines);
  return out;
}

// ---------------------------------------------------------------- commands in nodes

namespace {

std::vector<std::string> clean_environment() {
  const auto get = [](const char* name) { return std::getenv(name); };
  std::vector<std::string> out = {
      "HOME=/root",
      "USER=root",
      "LOGNAME=root",
      "SHELL=/bin/bash",
      "LANG=C.UTF-8",
      std::string("TERM=") + (get("TERM") ? get("TERM") : "dumb"),
      "PATH=" + (kLabFolder / "bin").string() +
          ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};
  for (const char* name : {"ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"})
    if (get(name)) out.push_back(std::string(name) + "=" + get(name));
  return out;
}

}  // namespace

int exec_in_node(const fs::path& root, const std::string& node,
                 const std::vector<std::string>& command) {
  const fs::path folder = root / kLabFolder.relative_path();
  const std::string pid = read_text(folder / "nodes" / node);
  if (pid.empty()) throw LabError("there is no host or site \"" + node + "\" in this laboratory");
  Namespaces(root / "proc", static_cast<pid_t>(std::stol(pid)), {"ipc", "uts", "net", "pid", "mnt"})
      .enter();
  if (chdir(fs::exists(kLabFolder / "hosts" / node) ? "/root" : "/") != 0) return 1;
  hold_signals();
  const pid_t child = fork_bound([&] { return exec_command(command, clean_environment()); });
  return stand_for(child, kGraceSeconds);
}

}  // namespace wow::lab
