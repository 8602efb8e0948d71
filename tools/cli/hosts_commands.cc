// What programs on the pool want to be told: hosts (lists of hosts), env (settings of MPI).
#include <iostream>

#include "tools/cli/commands.h"
#include "tools/cli/fields.h"
#include "tools/cli/host_lists.h"

namespace wow {

namespace json = boost::json;

namespace {

constexpr int kCpusMax = 4096;

struct HostsArguments {
  std::string pool;
  std::string format = "hosts";
  std::string match = "*";
  int cpus = 1;
};

std::string pool_of(const CommandContext& context, const std::string& pool) {
  return value_or_throw(context.paths.choose_pool(pool.empty() ? context.pool : pool));
}

void hosts(const CommandContext& context, const HostsArguments& arguments) {
  const HostListOptions options{pool_of(context, arguments.pool), arguments.cpus};
  const json::object answer = ask(context, options.pool, "leases");
  std::vector<PoolHost> all;
  for (const json::value& value : answer.at("leases").as_array()) {
    const json::object& row = value.as_object();
    all.push_back({text(row, "name"), text(row, "ip"), text(row, "ip6")});
  }
  const auto chosen = chosen_hosts(std::move(all), arguments.match);
  if (chosen.empty())
    throw CommandError("pool " + options.pool + " has no host called \"" + arguments.match +
                       "\": `wow leases` lists them");
  if (!context.json) {
    std::cout << host_list(arguments.format, chosen, options);
    return;
  }
  json::array rows;
  for (const PoolHost& host : chosen)
    rows.push_back(json::object{
        {"name", host.name}, {"ip", host.ip}, {"ip6", host.ip6}, {"cpus", options.cpus}});
  print_json({{"pool", options.pool}, {"hosts", std::move(rows)}});
}

void env(const CommandContext& context, const std::string& pool) {
  const json::object answer = ask(context, pool_of(context, pool), "status");
  const std::string interface = text(answer, "interface");
  if (interface.empty())
    throw CommandError("a router has no virtual interface for programs: use a host");
  json::object variables;
  for (const Variable& variable : mpi_environment(interface)) {
    if (context.json) {
      variables[variable.name] = variable.value;
    } else {
      std::cout << "export " << variable.name << "=" << variable.value << "\n";
    }
  }
  if (context.json) print_json(variables);
}

}  // namespace

void add_hosts_commands(CLI::App& app, CommandContext& context) {
  auto arguments = std::make_shared<HostsArguments>();
  CLI::App* command =
      app.add_subcommand("hosts", "Print the pool's hosts as the file that a scheduler wants");
  command->add_option("POOL", arguments->pool, "Name of the pool");
  command->add_option("--format", arguments->format, "Whose file")
      ->check(CLI::IsMember(host_formats()))
      ->capture_default_str();
  command->add_option("--match", arguments->match, "Only hosts whose name matches this pattern")
      ->capture_default_str();
  command->add_option("--cpus", arguments->cpus, "CPUs of each host, for pbs, slurm, mpi and mpich")
      ->check(CLI::Range(1, kCpusMax))
      ->capture_default_str();
  command->add_flag("--json", context.json, "Answer in JSON");
  command->callback([&context, arguments] { hosts(context, *arguments); });

  auto pool = std::make_shared<std::string>();
  command = app.add_subcommand(
      "env", "Print settings that lead MPI through the pool: eval \"$(wow env)\"");
  command->add_option("POOL", *pool, "Name of the pool");
  command->add_flag("--json", context.json, "Answer in JSON");
  command->callback([&context, pool] { env(context, *pool); });
}

}  // namespace wow
