// The commands of the replicated store.
#include <cstdio>
#include <thread>

#include "tools/cli/commands.h"
#include "tools/cli/control_client.h"
#include "tools/cli/fields.h"
#include "tools/cli/key_watch.h"
#include "tools/cli/table.h"

namespace wow {

namespace json = boost::json;

namespace {

struct DhtArguments {
  std::string key;
  std::string value;
  long ttl_seconds = 3600;
  double interval_seconds = 1;
};

void use_store(const CommandContext& context, const std::string& op,
               const DhtArguments& arguments) {
  const std::string pool = value_or_throw(context.paths.choose_pool(context.pool));
  const json::object record = ask(context, pool, op == "get" ? "dht-get" : "dht",
                                  {{"op", op},
                                   {"key", arguments.key},
                                   {"value", arguments.value},
                                   {"ttl", arguments.ttl_seconds}});
  if (context.json) return print_json(record);
  if (op == "get") {
    std::cout << text(record, "value") << "\n";
    std::cerr << "owner " << text(record, "owner").substr(0, 8) << ", version "
              << whole_number(record, "version") << ", for "
              << human_duration(number(record, "ttl") - number(record, "age")) << "\n";
  } else if (op == "rm") {
    std::cout << arguments.key << " removed\n";
  } else {
    std::cout << arguments.key << " stored for " << human_duration(number(record, "ttl")) << "\n";
  }
}

// Until it is interrupted, or the daemon ends.
void watch(const CommandContext& context, const DhtArguments& arguments) {
  const std::string pool = value_or_throw(context.paths.choose_pool(context.pool));
  KeyWatch watch(arguments.key);
  for (;; std::this_thread::sleep_for(std::chrono::duration<double>(arguments.interval_seconds))) {
    const auto answer =
        ask_daemon(context.paths.socket(pool), pool, "dht-read", {{"key", arguments.key}});
    if (!answer && answer.error().code != ErrorCode::kUnavailable) {
      throw CommandError(answer.error().message);
    }
    const auto now = std::chrono::system_clock::now();
    const auto event = watch.update(answer, now);
    if (!event) continue;
    if (context.json) {
      print_json(*event);
    } else {
      std::cout << watch_line(*event, now) << std::endl;
    }
  }
}

// "1a2b3c4d (node7)"
std::string node_text(const json::object& answer, const std::string& address) {
  const std::string name = text(answer.at("names").as_object(), address.c_str());
  return address.substr(0, 8) + (name.empty() ? "" : " (" + name + ")");
}

void line(const char* name, const std::string& value) {
  std::printf("%-10s %s\n", name, value.c_str());
}

void show_group(const json::object& answer) {
  if (number(answer, "epoch") == 0) return line("group", "none is known");
  line("group", "epoch " + whole_number(answer, "epoch") + " of lineage " +
                    whole_number(answer, "lineage") + ", founded by " +
                    node_text(answer, text(answer, "founder")));
  std::string members;
  for (const json::value& member : answer.at("members").as_array()) {
    members += (members.empty() ? "" : ", ") + node_text(answer, std::string(member.as_string()));
  }
  line("replicas", members);
}

void show_key(const json::object& answer) {
  line("key", text(answer, "key"));
  line("shard", whole_number(answer, "shard"));
  show_group(answer);
  if (!answer.at("available").as_bool()) return line("held by", "unknown");
  line("answered", node_text(answer, text(answer, "coordinator")));
  if (!answer.at("holder").is_object()) return line("held by", "nobody");
  const json::object& record = answer.at("holder").as_object();
  line("held by", node_text(answer, text(record, "owner")) + ", version " +
                      whole_number(record, "version") + ", for " +
                      human_duration(number(record, "ttl") - number(record, "age")));
  line("value", text(record, "value"));
}

void show_store(const json::object& answer) {
  const auto count = [&](const char* key) { return whole_number(answer, key); };
  line("shards", count("shards") + ": " + count("groups_known") + " known, " +
                     count("groups_held") + " kept here, " + count("groups_serving") + " served, " +
                     count("groups_unavailable") + " unavailable");
  line("records", count("records") + " kept here");
  show_group(answer);
  line("lineages", number(answer, "lineages_lost") == 0
                       ? "none lost"
                       : count("lineages_lost") + " lost, the last " +
                             human_duration(number(answer, "lineage_lost_ago")) + " ago");
}

void stat(const CommandContext& context, const DhtArguments& arguments) {
  const std::string pool = value_or_throw(context.paths.choose_pool(context.pool));
  const bool is_one = !arguments.key.empty();
  json::object request;
  if (is_one) request["key"] = arguments.key;
  const json::object answer = ask(context, pool, "dht-stat", request);
  if (context.json) {
    print_json(answer);
  } else if (is_one) {
    show_key(answer);
  } else {
    show_store(answer);
  }
  if (is_one && !answer.at("available").as_bool()) {
    throw CommandError("no majority of the store's group answered in time for \"" + arguments.key +
                       "\": try again");
  }
}

}  // namespace

void add_dht_commands(CLI::App& app, CommandContext& context) {
  CLI::App* group =
      app.add_subcommand("dht", "Use the pool's replicated store")->require_subcommand(1);
  auto arguments = std::make_shared<DhtArguments>();
  const auto add = [&](const char* name, const char* help, bool with_key) {
    CLI::App* command = group->add_subcommand(name, help);
    if (with_key) command->add_option("KEY", arguments->key, "At most 255 bytes")->required();
    command->add_flag("--json", context.json, "Answer in JSON");
    return command;
  };
  const auto add_use = [&](const std::string& op, const char* help, bool value, bool ttl) {
    CLI::App* command = add(op.c_str(), help, true);
    if (value) command->add_option("VALUE", arguments->value, "At most 1 KiB")->required();
    if (ttl) {
      command->add_option("--ttl", arguments->ttl_seconds, "Time to live, seconds")
          ->check(CLI::PositiveNumber);
    }
    command->callback([&context, arguments, op] { use_store(context, op, *arguments); });
  };
  add_use("get", "Print a value", false, false);
  add_use("put", "Store a value, or replace one of our own", true, true);
  add_use("create", "Store a value only if nobody has the key", true, true);
  add_use("renew", "Prolong a value of our own", false, true);
  add_use("rm", "Remove a value of our own", false, false);
  CLI::App* watched = add("watch", "Print a line for each change of a key until Ctrl-C", true);
  watched->add_option("--interval", arguments->interval_seconds, "Seconds between two looks")
      ->check(CLI::Range(0.1, 3600.0));
  watched->callback([&context, arguments] { watch(context, *arguments); });
  CLI::App* stated =
      add("stat", "Show who keeps a key and who holds it, or the store as a whole", false);
  stated->add_option("KEY", arguments->key, "At most 255 bytes; none: the whole store");
  stated->callback([&context, arguments] { stat(context, *arguments); });
}

}  // namespace wow
