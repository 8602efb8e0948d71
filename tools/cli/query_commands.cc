// Commands that ask the daemon and show its answer: status, peers, leases, ping.
#include <cmath>
#include <cstdio>
#include <iostream>
#include <thread>

#include "dht/asio/machine.h"
#include "tools/cli/commands.h"
#include "tools/cli/control_client.h"
#include "tools/cli/fields.h"
#include "tools/cli/table.h"

namespace wow {

namespace json = boost::json;

json::object ask(const CommandContext& context, const std::string& pool, const std::string& command,
                 const json::object& arguments) {
  auto answer = ask_daemon(context.paths.socket(pool), pool, command, arguments);
  if (!answer && !daemon_listens(context.paths.socket(pool)) &&
      is_copied(context.paths.member_directory(pool))) {
    throw CommandError("no daemon runs for pool " + pool +
                       ": this machine is a copy of another that has its key; `wow up --invite "
                       "INVITE` makes it a node of its own");
  }
  return value_or_throw(std::move(answer));
}

namespace {

std::string or_dash(const std::string& s) { return s.empty() ? "-" : s; }
std::string count(std::size_t n, const char* thing) {
  return std::to_string(n) + " " + thing + (n == 1 ? "" : "s");
}

void show_status(const json::object& s) {
  const auto line = [](const char* name, const std::string& value) {
    std::printf("%-12s %s\n", name, value.c_str());
  };
  line("pool", bold(text(s, "pool")) + " (" + text(s, "subnet") + ", settings number " +
                   std::to_string(static_cast<long>(number(s, "settings"))) + ")");
  line("node", text(s, "address") + (s.at("router").as_bool() ? ", router" : ""));
  if (s.if_contains("copy_seen_ago")) {
    line("", bold("another machine began to use this node's key " +
                  human_duration(number(s, "copy_seen_ago")) + " ago, and was told to stop"));
  }
  if (!s.at("router").as_bool()) {
    if (const json::value* lease = s.if_contains("lease"); lease && lease->is_object()) {
      const json::object& held = lease->as_object();
      line("address", bold(text(held, "ip")) + " on " + text(s, "interface") + ", lease for " +
                          human_duration(number(held, "expires_in")));
      line("", text(held, "ip6"));
      line("name", bold(text(held, "name") + "." + text(s, "pool") + ".internal"));
    } else {
      line("address", "none yet: " + text(s, "lease_state"));
    }
  }
  if (const json::value* bridge = s.if_contains("bridge")) {
    const json::object& b = bridge->as_object();
    line("bridge", text(b, "interface") + ", " +
                       count(static_cast<std::size_t>(number(b, "guests")), "guest") +
                       ", other bridges of the pool: " +
                       std::to_string(static_cast<long>(number(b, "others"))) +
                       (b.at("blocked").as_bool() ? "; BLOCKED: one of them is on this LAN" : ""));
  }
  line("ring", text(s, "ring_state") + ", " +
                   count(static_cast<std::size_t>(number(s, "edges")), "edge") + ", about " +
                   count(static_cast<std::size_t>(number(s, "size_estimate")), "node"));
  const json::object& dht = s.at("dht").as_object();
  const std::size_t replicas = dht.at("members").as_array().size();
  line("store", replicas == 0 ? "not found yet"
                              : "epoch " + std::to_string(static_cast<long>(number(dht, "epoch"))) +
                                    ", " + count(replicas, "replica") +
                                    (dht.at("member").as_bool() ? ", one here" : ""));
  if (number(dht, "lineages_lost") > 0) {
    line("",
         bold("begun anew " + human_duration(number(dht, "lineage_lost_ago")) +
              " ago: what was stored before is gone, addresses and names were asked for again"));
  }
  const double kept_open = number(s, "nat_kept_open_each_s");
  line("network", "UDP port " + std::to_string(static_cast<long>(number(s, "port"))) +
                      ", NAT mapping " + text(s, "nat_mapping") +
                      (kept_open > 0 ? ", forgets silent flows soon: a packet each " +
                                           human_duration(kept_open)
                                     : ""));
  line("port mapping", text(s, "port_mapping"));
  line("up for", human_duration(number(s, "up_for")));
  std::string drops;
  for (const auto& [name, value] : s.at("counters").as_object()) {
    const double n = value.is_uint64() ? static_cast<double>(value.get_uint64())
                                       : static_cast<double>(value.to_number<long>());
    if (std::string_view(name).substr(0, 5) == "drop_" && n > 0) {
      drops += (drops.empty() ? "" : ", ") + std::string(name).substr(5) + " " +
               std::to_string(static_cast<long>(n));
    }
  }
  line("dropped", drops.empty() ? "nothing" : drops);
}

std::string percent(double part) { return std::to_string(std::lround(part * 100)) + " %"; }

// Who is not reached by direct UDP, and why.
void show_detours(const json::array& peers) {
  Table table({"NOT DIRECT", "FOR", "WHY"});
  for (const json::value& value : peers) {
    const json::object& row = value.as_object();
    const std::string name = text(row, "name");
    if (!row.at("why_not_better").is_string()) continue;
    table.add({name.empty() ? text(row, "address").substr(0, 8) : name,
               human_duration(number(row, "path_for")), text(row, "why_not_better")});
  }
  if (table.size() > 0) std::cout << "\n" << table.text(colour_wanted());
}

void show_peers(const json::object& answer) {
  Table table(
      {"NAME", "IP", "NODE", "EDGE", "PATH", "ROUND TRIP", "LOSS", "MTU", "SINCE", "IN", "OUT"});
  for (const json::value& value : answer.at("peers").as_array()) {
    const json::object& row = value.as_object();
    std::string roles;
    for (const json::value& role : row.at("roles").as_array()) {
      roles += (roles.empty() ? "" : ",") + std::string(role.as_string());
    }
    const double rtt = number(row, "round_trip");
    const json::value& mtu = row.at("mtu");
    table.add({or_dash(text(row, "name")), or_dash(text(row, "ip")),
               text(row, "address").substr(0, 8), or_dash(roles), text(row, "path"),
               rtt > 0 ? human_duration(rtt) : "-", percent(number(row, "loss")),
               mtu.is_null() ? "-" : std::to_string(mtu.to_number<long>()),
               human_duration(number(row, "path_for")), human_bytes(number(row, "bytes_in")),
               human_bytes(number(row, "bytes_out"))});
  }
  if (table.size() == 0) {
    std::cout << "No peers yet: " << text(answer, "ring_state") << ".\n";
  } else {
    std::cout << table.text(colour_wanted());
  }
  show_detours(answer.at("peers").as_array());
}

void show_leases(const json::object& answer) {
  Table table({"IP", "NAME", "NODE", "TIME LEFT"});
  for (const json::value& value : answer.at("leases").as_array()) {
    const json::object& row = value.as_object();
    table.add({text(row, "ip"), or_dash(text(row, "name")), text(row, "node").substr(0, 8),
               human_duration(number(row, "ttl_left"))});
  }
  std::cout << table.text(colour_wanted());
}

struct PingArguments {
  std::string host;
  int count = 4;
};

// One echo after another, a second apart, as ping(8) does.
void ping(const CommandContext& context, const PingArguments& arguments) {
  const std::string pool = value_or_throw(context.paths.choose_pool(context.pool));
  const json::object row = ask(context, pool, "resolve", {{"host", arguments.host}});
  if (!context.json)
    std::cout << text(row, "name") << " (" << text(row, "ip") << ", node "
              << text(row, "node").substr(0, 8) << ")\n";
  json::array results;
  int answered = 0;
  for (int i = 0; i < arguments.count; ++i) {
    if (i > 0) std::this_thread::sleep_for(std::chrono::seconds(1));
    const auto reply =
        ask_daemon(context.paths.socket(pool), pool, "echo", {{"node", text(row, "node")}});
    answered += reply.has_value();
    if (context.json) {
      results.push_back(reply ? json::value(number(*reply, "round_trip")) : json::value(nullptr));
    } else if (reply) {
      std::cout << "answer " << i + 1 << ": " << human_duration(number(*reply, "round_trip"))
                << ", " << text(*reply, "path") << std::endl;
    } else {
      std::cout << "answer " << i + 1 << ": none (" << reply.error().message << ")" << std::endl;
    }
  }
  if (context.json) {
    print_json({{"host", row}, {"round_trips", std::move(results)}, {"answered", answered}});
  } else {
    std::cout << answered << " of " << arguments.count << " answered\n";
  }
  if (answered == 0) throw CommandError(arguments.host + " does not answer");
}

// The daemon asks hop by hop, and answers when it has all.
void trace(const CommandContext& context, const std::string& host) {
  const std::string pool = value_or_throw(context.paths.choose_pool(context.pool));
  const json::object row = ask(context, pool, "resolve", {{"host", host}});
  json::object answer = ask(context, pool, "trace", {{"node", text(row, "node")}});
  const bool arrived = answer.at("arrived").as_bool();
  if (context.json) {
    answer["host"] = row;
    print_json(answer);
  } else {
    std::cout << text(row, "name") << " (" << text(row, "ip") << ", node "
              << text(row, "node").substr(0, 8) << "), "
              << (text(answer, "way") == "ring" ? "along the ring" : text(answer, "way")) << "\n";
    // Along the ring each hop is asked for itself; a second relay is as far as the first says.
    const std::string not_measured = text(answer, "way") == "ring" ? "no answer" : "-";
    Table table({"HOP", "NAME", "NODE", "ROUND TRIP", "WHY THERE"});
    std::size_t hop = 0;
    for (const json::value& value : answer.at("hops").as_array()) {
      const json::object& step = value.as_object();
      const auto told = [&](const char* key) {
        const json::value* found = step.if_contains(key);
        return found && found->is_string() ? std::string(found->as_string()) : std::string("-");
      };
      const json::value& rtt = step.at("round_trip");
      table.add({std::to_string(++hop), told("name"), told("address").substr(0, 8),
                 rtt.is_null() ? not_measured : human_duration(rtt.to_number<double>()),
                 told("why")});
    }
    std::cout << table.text(colour_wanted());
  }
  if (!arrived) throw CommandError("the way to " + host + " is lost there");
}

// A command without arguments of its own: POOL may be given, the answer goes to `show`.
void add_simple(CLI::App& app, CommandContext& context, const char* name, const char* help,
                void (*show)(const json::object&)) {
  auto pool = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand(name, help);
  command->add_option("POOL", *pool, "Name of the pool");
  command->add_flag("--json", context.json, "Answer in JSON");
  command->callback([&context, pool, name = std::string(name), show] {
    const auto chosen =
        value_or_throw(context.paths.choose_pool(pool->empty() ? context.pool : *pool));
    const json::object answer = ask(context, chosen, name);
    if (context.json) {
      print_json(answer);
    } else {
      show(answer);
    }
  });
}

}  // namespace

void add_query_commands(CLI::App& app, CommandContext& context) {
  add_simple(app, context, "status", "Show this node: address, name, ring, what was dropped",
             show_status);
  add_simple(app, context, "peers", "Show who is linked to us, how, and how fast", show_peers);
  add_simple(app, context, "leases", "Show all addresses and names of the pool", show_leases);

  auto pinged = std::make_shared<PingArguments>();
  CLI::App* command =
      app.add_subcommand("ping", "Measure the round trip to a host through the overlay");
  command->add_option("HOST", pinged->host, "Name or virtual address")->required();
  command->add_option("-c,--count", pinged->count, "How many")->check(CLI::Range(1, 1000));
  command->add_flag("--json", context.json, "Answer in JSON");
  command->callback([&context, pinged] { ping(context, *pinged); });

  auto traced = std::make_shared<std::string>();
  command = app.add_subcommand(
      "trace", "Show the way to a host: each hop, its round trip, and why it goes there");
  command->add_option("HOST", *traced, "Name or virtual address")->required();
  command->add_flag("--json", context.json, "Answer in JSON");
  command->callback([&context, traced] { trace(context, *traced); });
  add_dht_commands(app, context);
}

}  // namespace wow
