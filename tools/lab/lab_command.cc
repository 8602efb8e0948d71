#include "tools/lab/lab_command.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <thread>

#include "base/asio/files.h"
#include "tools/cli/commands.h"
#include "tools/cli/fields.h"
#include "tools/cli/table.h"
#include "tools/lab/grid.h"
#include "tools/lab/linux/grid_run.h"
#include "tools/lab/linux/keeper.h"
#include "tools/lab/linux/laboratory.h"
#include "tools/lab/linux/web_proxy.h"
#include "tools/lab/topology.h"

namespace wow {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using namespace lab;

constexpr const char* kUsualName = "lab";
constexpr int kCannotRunHere = 77;  // exit status; test scripts skip on it

struct Arguments {
  std::string lab;  // --lab
  std::string file, node, site, ip;
  std::vector<std::string> settings;
  std::string kinds, against, svg;
  std::size_t cells = 0;
  double watch_s = 4;
  std::uint16_t port = 3128;  // of a proxy
  std::string login;
  bool json = false, list = false;
};

std::string quoted(const std::string& text) { return "`" + text + "`"; }

Topology read_topology(const std::string& file) {
  std::string text;
  if (file == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    const auto bytes = read_file(file, kTopologyBytesMax);
    if (!bytes) throw CommandError(bytes.error().message);
    text = to_string(*bytes);
  }
  auto topology = Topology::parse(text);
  // Checked before anything is started: names, places and addresses, too.
  const std::string where = file == "-" ? "the topology" : file;
  if (!topology) throw CommandError(where + ", " + topology.error().message);
  return std::move(*topology);
}

void check_alone(const Topology& topology, const std::string& file) {
  if (const auto whole = Topology().with(topology); !whole)
    throw CommandError(file + ": " + whole.error().message);
}

// A failure inside has said why on stderr.
void end_with(int status) {
  if (status != 0) throw CLI::RuntimeError(status);
}

// The laboratory that a command is about.
Keeper found(const Arguments& a) {
  if (a.lab.empty())
    if (auto around = Keeper::around_us()) return std::move(*around);
  if (geteuid() != 0) throw CommandError("this needs root: run it with sudo");
  auto keeper = Keeper::find(a.lab);
  if (!keeper)
    throw CommandError(a.lab.empty() ? "no laboratory is up: start one with `wow lab up FILE`"
                                     : "no laboratory " + a.lab + " is up: start it with " +
                                           quoted("wow lab up FILE --lab " + a.lab));
  return std::move(*keeper);
}

void inside(const Arguments& a, const std::function<void(Laboratory&)>& act) {
  end_with(found(a).run_inside([&] {
    Laboratory laboratory;
    act(laboratory);
    return 0;
  }));
}

// This program is in every host's PATH.
void install_program(const Keeper& keeper) {
  const fs::path target = keeper.path(kLabFolder / "bin/wow");
  fs::copy_file("/proc/self/exe", target, fs::copy_options::overwrite_existing);
  chmod(target.c_str(), 0755);
}

// A full table drops packets, which looks like bad lines. Only the first network namespace shows
// how large it is.
void warn_of_neighbours(std::size_t needed) {
  std::ifstream file("/proc/sys/net/ipv4/neigh/default/gc_thresh3");
  std::size_t most = 0;
  if (!(file >> most) || needed <= most) return;
  std::cerr
      << "Note: the kernel keeps " << most << " neighbours for all network namespaces, and "
      << needed
      << " are needed if everybody talks to everybody here; packets will be lost. More, until "
         "the next start, by: sysctl -w net.ipv4.neigh.default.gc_thresh{1=8192,2=16384,3="
      << std::max<std::size_t>(32768, needed) << "}\n";
}

int build(const Keeper& keeper, const Topology& topology) {
  warn_of_neighbours(topology.neighbours());
  install_program(keeper);
  return keeper.run_inside([&] {
    Laboratory().add(topology);
    return 0;
  });
}

void up(const Arguments& a) {
  const std::string name = a.lab.empty() ? kUsualName : a.lab;
  if (!is_valid_name(name)) throw CommandError("--lab takes a name of a-z, 0-9 and -");
  const Topology topology = read_topology(a.file);
  check_alone(topology, a.file);
  check_laboratory_can_run();
  if (Keeper::find(name))
    throw CommandError("a laboratory " + name + " is up already: " + quoted("wow lab down") +
                       " ends it, " + quoted("--lab OTHER") + " starts another beside it");
  Keeper keeper = Keeper::start(name);
  end_with(build(keeper, topology));
  keeper.detach();
  std::cout
      << "Up: " << topology.sites.size() << " sites, " << topology.hosts.size()
      << " hosts. `wow lab status` shows them, `wow lab exec HOST` enters one, `wow lab down` "
         "ends it.\n";
}

void down(const Arguments& a) {
  const Keeper keeper = found(a);
  if (keeper.pid() == 0)
    throw CommandError("this runs inside the laboratory, which ends with its command");
  keeper.end();
}

void check() {
  check_laboratory_can_run();
  const auto probe = Topology::parse(R"({"hosts": {"probe": {}}})");
  Keeper keeper = Keeper::start("check");
  const int status = keeper.run_inside([&] {
    Laboratory().add(*probe);
    return 0;
  });
  if (status != 0)
    throw CannotRunHere(
        "this kernel or container does not allow a laboratory (see above): run it on the machine "
        "itself, or in a container with --privileged");
}

void run(const Arguments& a, const std::vector<std::string>& command) {
  if (command.empty()) throw CommandError("say what to run: `wow lab run COMMAND...`");
  Topology topology;
  if (!a.file.empty()) {
    topology = read_topology(a.file);
    check_alone(topology, a.file);
  }
  check_laboratory_can_run();
  const std::string name =
      a.lab.empty() ? "run-" + std::to_string(getpid()) : a.lab;  // several may run at once
  if (Keeper::find(name))
    throw CommandError("a laboratory " + name + " is up already: give this one another --lab");
  Keeper keeper = Keeper::start(name);
  keeper.announce();
  int status = build(keeper, topology);
  if (status == 0) status = keeper.run_command(command);
  keeper.end();
  end_with(status);
}

void exec(const Arguments& a, std::vector<std::string> command) {
  const Keeper keeper = found(a);
  if (command.empty()) command = {"bash"};
  end_with(exec_in_node(keeper.path("/"), a.node, command));
}

std::string short_number(double value) {
  char out[32];
  std::snprintf(out, sizeof out, "%g", value);
  return out;
}

std::string line_text(const json::object& row) {
  if (!row.contains("delay_ms")) return "";
  std::string out = short_number(number(row, "delay_ms")) + " ms";
  if (const double jitter = number(row, "jitter_ms"); jitter > 0)
    out += " +-" + short_number(jitter);
  if (const double loss = number(row, "loss_percent"); loss > 0)
    out += ", loses " + short_number(loss) + " %";
  if (const double rate = number(row, "rate_mbit"); rate > 0)
    out += ", " + short_number(rate) + " Mbit/s";
  if (const double mtu = number(row, "mtu"); mtu > 0) out += ", MTU " + short_number(mtu);
  return out;
}

std::string services_text(const json::value& list) {
  std::string out;
  for (const json::value& one : list.as_array())
    out += (out.empty() ? "" : ", ") + std::string(one.as_string());
  return out.empty() ? "nothing" : out;
}

std::string site_text(const json::object& site) {
  std::string out;
  if (const json::value* nat = site.if_contains("nat")) {
    out = "NAT " + text(nat->as_object(), "kind");
    if (nat->as_object().at("hairpin").as_bool()) out += ", hairpin";
    if (nat->as_object().contains("timeout_s"))
      out += ", forgets after " + whole_number(nat->as_object(), "timeout_s") + " s";
  } else {
    out = site.at("firewall").as_bool() ? "firewall" : "open";
  }
  if (const json::value* only = site.if_contains("allow_out"))
    out += "; out only " + services_text(*only);
  if (const json::value* in = site.if_contains("allow_in")) out += "; in " + services_text(*in);
  return out;
}

void print_status(const Topology& topology, const json::object& status) {
  Table sites({"SITE", "KIND", "OUTSIDE", "INSIDE", "BELOW", "LINE"});
  for (const std::string& name : topology.sites_downwards()) {
    const json::object& row = status.at("sites").at(name).as_object();
    std::string lan = text(row, "lan");
    if (row.contains("ipv6")) lan += " " + text(row, "ipv6");
    sites.add({name, site_text(row), text(row, "wan"), lan, text(row, "uplink"), line_text(row)});
  }
  Table hosts({"HOST", "SITE", "ADDRESS", "LINE"});
  for (const auto& member : status.at("hosts").as_object()) {
    const json::object& row = member.value().as_object();
    const std::string site = text(row, "site");
    hosts.add({std::string(member.key()), site.empty() ? "(unplugged)" : site, text(row, "ip"),
               line_text(row)});
  }
  if (sites.size() > 0) std::cout << sites.text(colour_wanted()) << "\n";
  std::cout << hosts.text(colour_wanted());
}

void status(const Arguments& a) {
  const Keeper keeper = found(a);
  end_with(keeper.run_inside([&] {
    const Laboratory laboratory;
    json::object answer = laboratory.status();
    answer["lab"] = keeper.name();
    if (a.json)
      print_json(answer);
    else
      print_status(laboratory.topology(), answer);
    return 0;
  }));
}

// KEY=VALUE words to a JSON object; a value is JSON if it can be, else a text, and empty: no more.
json::object settings_of(const std::vector<std::string>& words) {
  json::object out;
  for (const std::string& word : words) {
    const auto equals = word.find('=');
    if (equals == std::string::npos || equals == 0)
      throw CommandError("settings are KEY=VALUE, such as delay_ms=40, not \"" + word + "\"");
    const std::string value = word.substr(equals + 1);
    boost::system::error_code error;
    json::value parsed = json::parse(value, error);
    if (value.empty())
      parsed = nullptr;
    else if (error)
      parsed = json::string(value);
    out[word.substr(0, equals)] = std::move(parsed);
  }
  return out;
}

IpAddress address_of(const std::string& text) {
  if (text.empty()) return {};
  const auto ip = IpAddress::parse(text);
  if (!ip || !ip->is_v4())
    throw CommandError("an address is like 198.51.100.30, not \"" + text + "\"");
  return *ip;
}

void list_kinds() {
  for (const std::string& name : nat_kind_names())
    std::cout << name << std::string(18 - name.size(), ' ') << NatKind::parse(name)->words()
              << "\n";
}

void write_file_or_throw(const std::string& file, const std::string& text) {
  const auto written = write_file(file, view_of(text), 0644);
  if (!written) throw CommandError(written.error().message);
}

constexpr std::size_t kPairsPerWord = 50;  // without a terminal

void grid(const Arguments& a) {
  const auto kinds = parse_grid_kinds(a.kinds);
  if (!kinds) throw CommandError(kinds.error().message);
  if (a.list) {
    for (const GridKind& kind : *kinds)
      std::cout << kind.name << std::string(22 - kind.name.size(), ' ') << kind.about << "\n";
    return;
  }
  const auto other = a.against.empty() ? kinds : parse_grid_kinds(a.against);
  if (!other) throw CommandError(other.error().message);
  if (!a.against.empty() && (other->size() != 1 || other->front().shared))
    throw CommandError("--against takes one kind, which is not shared, such as eim-apdf");
  const auto pairs = a.against.empty() ? grid_pairs(*kinds) : grid_pairs(*kinds, other->front());
  check_laboratory_can_run();
  const std::size_t cells =
      a.cells != 0 ? a.cells : std::max(2U, std::thread::hardware_concurrency());
  // A cell has 200, and from half of its limit on the kernel drops what was not used for 5 s.
  constexpr std::size_t kNeighboursPerCell = 512;
  warn_of_neighbours(cells * kNeighboursPerCell);
  GridCellOptions options;
  options.watch = std::chrono::milliseconds(static_cast<long>(a.watch_s * 1000));
  std::size_t done = 0;
  const bool is_terminal = isatty(STDERR_FILENO);
  const auto rows = run_grid(pairs, cells, options, build, [&](const GridRow& row) {
    ++done;
    if (is_terminal)
      std::cerr << "\r\033[K" << done << " of " << pairs.size() << ": " << row.from << " to "
                << row.to << " " << row.path << std::flush;
    else if (done % kPairsPerWord == 0)
      std::cerr << done << " of " << pairs.size() << " pairs\n";
  });
  if (is_terminal) std::cerr << "\r\033[K";
  if (!a.svg.empty()) write_file_or_throw(a.svg, grid_svg(rows));
  if (a.json) {
    json::array list;
    for (const GridRow& row : rows) list.push_back(row.to_json());
    print_json({{"delay_ms", kGridDelayMs}, {"pairs", std::move(list)}});
  } else {
    std::cout << grid_table(rows, colour_wanted()) << "\n" << grid_summary(rows) << "\n";
  }
}

using Shared = std::shared_ptr<Arguments>;

// Says "cannot run here" by its exit status, too.
template <typename Action>
void guarded(const Action& action) {
  try {
    action();
  } catch (const CannotRunHere& error) {
    std::cerr << "wow: " << error.what() << "\n";
    throw CLI::RuntimeError(kCannotRunHere);
  }
}

// The words behind a command's own, whatever they begin with.
CLI::App* with_command(CLI::App* command) {
  command->fallthrough(false);
  command->prefix_command();
  return command;
}

void add_life_commands(CLI::App& lab, const Shared& a) {
  CLI::App* up_command = lab.add_subcommand(
      "up", "Make the laboratory that a topology file describes; docs/lab.md explains the file");
  up_command->add_option("FILE", a->file, "The topology; - is standard input")->required();
  up_command->callback([a] { guarded([&] { up(*a); }); });

  lab.add_subcommand("down", "End a laboratory: nothing of it is left")->callback([a] {
    down(*a);
  });

  CLI::App* status_command = lab.add_subcommand("status", "Show what is there");
  status_command->add_flag("--json", a->json, "Answer in JSON");
  status_command->callback([a] { status(*a); });

  CLI::App* exec_command =
      with_command(lab.add_subcommand("exec", "Run a command in a host or a site's router"));
  exec_command->add_option("HOST", a->node, "Which; then the command, or nothing for a shell")
      ->required();
  exec_command->callback([a, exec_command] { exec(*a, exec_command->remaining()); });

  CLI::App* run_command = with_command(lab.add_subcommand(
      "run", "Run a command beside a laboratory that is made for it and ends with it"));
  run_command->add_option("--topology", a->file, "What is there from the start; else nothing");
  run_command->callback([a, run_command] { guarded([&] { run(*a, run_command->remaining()); }); });

  CLI::App* grid_command = lab.add_subcommand(
      "grid",
      "Try every kind of network against every other with a pool of its own: who talks to whom, "
      "by what path, after what time");
  grid_command->add_option("--kinds", a->kinds, "Which, separated by commas; else all");
  grid_command->add_option("--against", a->against, "Each sends to this kind alone");
  grid_command->add_flag("--list", a->list, "Only list the kinds");
  grid_command->add_option("--svg", a->svg, "A file for a heat map");
  grid_command->add_option("--cells", a->cells, "Pairs measured at once; else one a core")
      ->check(CLI::Range(1, 32));
  grid_command->add_option("--watch", a->watch_s, "Seconds that a direct path is waited for")
      ->check(CLI::Range(0.5, 600.0))
      ->capture_default_str();
  grid_command->add_flag("--json", a->json, "Answer in JSON");
  grid_command->callback([a] { guarded([&] { grid(*a); }); });

  lab.add_subcommand("check", "Say whether a laboratory can run here; exit status 77 if not")
      ->callback([] { guarded(check); });
  CLI::App* proxy_command =
      lab.add_subcommand("proxy", "Be an HTTP proxy that lets through to port 443 only");
  proxy_command->add_option("--port", a->port, "Where it serves")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
  proxy_command->add_option("--login", a->login, "USER:PASSWORD that it wants; else none");
  proxy_command->callback([a] { run_web_proxy(a->port, a->login); });

  lab.add_subcommand("kinds", "List the kinds of NAT")->callback(list_kinds);
}

void add_change_commands(CLI::App& lab, const Shared& a) {
  CLI::App* add = lab.add_subcommand("add", "Add the sites and hosts of another file");
  add->add_option("FILE", a->file, "The topology; - is standard input")->required();
  add->callback([a] {
    const Topology more = read_topology(a->file);
    inside(*a, [&](Laboratory& l) { l.add(more); });
  });

  CLI::App* plug = lab.add_subcommand("plug", "Plug an unplugged host in");
  CLI::App* move = lab.add_subcommand("move", "Unplug a host and plug it in elsewhere");
  for (CLI::App* command : {plug, move}) {
    command->add_option("HOST", a->node, "Which")->required();
    command->add_option("SITE", a->site, "A site, or internet")->required();
    command->add_option("ADDRESS", a->ip, "Its address there; else any that is free");
    command->callback([a, command, move] {
      const IpAddress ip = address_of(a->ip);
      inside(*a, [&](Laboratory& l) {
        if (command == move) l.unplug(a->node);
        l.plug(a->node, a->site, ip);
      });
    });
  }

  const auto on_node = [&](const char* name, const char* what, const char* help,
                           void (Laboratory::*act)(const std::string&)) {
    CLI::App* command = lab.add_subcommand(name, help);
    command->add_option(what, a->node, "Which")->required();
    command->callback([a, act] { inside(*a, [&](Laboratory& l) { (l.*act)(a->node); }); });
  };
  on_node("unplug", "HOST", "Pull a host's cable", &Laboratory::unplug);
  on_node("cut", "NODE", "Let nothing pass a host's or site's cable, in silence", &Laboratory::cut);
  on_node("heal", "NODE", "Undo cut", &Laboratory::heal);
  on_node("kill", "HOST",
          "Let a host's power fail: all its processes are killed, and it is no more",
          &Laboratory::power_off);
  on_node("remove", "SITE", "Remove a site in which nothing is left", &Laboratory::remove_site);
  on_node("reset", "SITE", "Let a router forget its mappings, as by a restart",
          &Laboratory::reset_router);

  CLI::App* set = lab.add_subcommand(
      "set", "Change a site's NAT, firewall or line, or a host's line: nat=apdm-apdf delay_ms=40");
  set->add_option("NODE", a->node, "A site or host")->required();
  set->add_option("KEY=VALUE", a->settings, "As in the topology file; an empty value takes it away")
      ->required();
  set->callback([a] {
    const json::object settings = settings_of(a->settings);
    inside(*a, [&](Laboratory& l) { l.change(a->node, settings); });
  });
}

}  // namespace

void add_lab_command(CLI::App& app) {
  CLI::App* lab = app.add_subcommand(
      "lab",
      "Make a network like yours on this machine: sites behind NATs and firewalls, slow lines.\n"
      "All of it is in namespaces of the kernel; the machine's own network is not touched.");
  lab->require_subcommand(1);
  const auto a = std::make_shared<Arguments>();
  add_life_commands(*lab, a);
  add_change_commands(*lab, a);
  for (CLI::App* command : lab->get_subcommands({}))
    if (const std::string name = command->get_name();
        name != "kinds" && name != "check" && name != "grid" && name != "proxy")
      command->add_option("--lab", a->lab, "Which laboratory, if several are up");
  lab->footer(
      "Example, as root:\n"
      "  wow lab up tools/lab/examples/two-homes.json && wow lab exec home1 ping -c 3 "
      "198.51.100.7\n"
      "  wow lab set home nat=apdm-apdf delay_ms=40\n"
      "  wow lab down");
}

}  // namespace wow
