// The `wow` program: commands from tools/cli; the daemon behind `wow up` and `wow router` from
// tools/daemon; the simulator of tools/sim and the laboratory of tools/lab.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <csignal>
#include <iostream>

#include "tools/cli/commands.h"
#include "tools/cli/config.h"
#include "tools/daemon/privileges.h"
#include "tools/lab/lab_command.h"
#include "tools/sim/sim_command.h"

namespace {

constexpr const char* kVersion = "0.1.0";

// "wow help X Y" is "wow X Y --help", and so is a command alone that needs another behind it.
std::vector<std::string> arguments_of(int argc, char** argv) {
  std::vector<std::string> out(argv + 1, argv + argc);
  if (!out.empty() && out.front() == "help") {
    out.erase(out.begin());
    out.push_back("--help");
  }
  constexpr std::array kGroups = {"pool", "invite", "image", "dht", "lab"};
  const bool is_group =
      out.size() == 1 && std::find(kGroups.begin(), kGroups.end(), out.front()) != kGroups.end();
  if (out.empty() || is_group) out.push_back("--help");
  // CLI11 takes them last first.
  return {out.rbegin(), out.rend()};
}

// What was typed as a command, if anything was.
std::string typed_command(int argc, char** argv) {
  const int at = argc > 1 && std::string(argv[1]) == "help" ? 2 : 1;
  return argc > at && argv[at][0] != '-' ? argv[at] : "";
}

// `wow help` for the command that a mistake was made in.
std::string help_for(const CLI::App& app) {
  std::string out = "wow help";
  for (auto chosen = app.get_subcommands(); !chosen.empty();
       chosen = chosen.front()->get_subcommands())
    out += " " + chosen.front()->get_name();
  return out;
}

void check_command(const CLI::App& app, const std::string& typed) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  if (std::find(names.begin(), names.end(), typed) != names.end()) return;
  const std::string meant = wow::nearest_word(typed, names);
  throw wow::CommandError(
      "there is no command \"" + typed + "\"" +
      (meant.empty() ? ": `wow help` lists them" : "; did you mean `wow " + meant + "`?"));
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  wow::forbid_core_dumps();  // commands hold keys, too
  CLI::App app(
      "wow makes machines at many sites, behind NATs and firewalls, one pool with one Ethernet.\n"
      "`wow help COMMAND` explains a command.",
      "wow");
  app.set_version_flag("--version", std::string("wow ") + kVersion);
  app.require_subcommand(1);
  app.fallthrough();
  wow::CommandContext context;
  app.add_option("-p,--pool", context.pool, "Which pool, if this machine is in several");
  wow::add_pool_commands(app, context);
  wow::add_member_commands(app, context);
  wow::add_daemon_commands(app, context);
  wow::add_query_commands(app, context);
  wow::add_hosts_commands(app, context);
  wow::add_image_commands(app, context);
  wow::add_doctor_command(app, context);
  wow::add_sim_command(app);
  wow::add_lab_command(app);
  // Only now, for commands would inherit it.
  app.footer(
      "First steps:\n"
      "  wow pool create lab --subnet 10.128.0.0/16                          once, anywhere\n"
      "  wow invite create lab --bootstrap ADDRESS:4433 > lab.invite         a secret file that "
      "admits machines\n"
      "  wow join lab.invite && wow router lab --listen 4433                 on a machine with a "
      "public address\n"
      "  wow join lab.invite && wow up lab                                   on every machine, as "
      "root");
  try {
    if (const std::string typed = typed_command(argc, argv); !typed.empty())
      check_command(app, typed);
    app.parse(arguments_of(argc, argv));
    return 0;
  } catch (const CLI::RuntimeError& error) {
    return error.get_exit_code();
  } catch (const CLI::Success& done) {
    return app.exit(done);
  } catch (const CLI::ParseError& error) {
    std::cerr << "wow: " << error.what() << "; see `" << help_for(app) << "`\n";
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "wow: " << error.what() << "\n";
    return 1;
  }
}
