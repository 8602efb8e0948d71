// The commands of `wow`. Each function adds some to the program; a command that fails throws
// CommandError with one sentence for the user, and has changed nothing.
#pragma once

#include <CLI/CLI.hpp>
#include <boost/json/object.hpp>
#include <stdexcept>
#include <string>

#include "base/error.h"
#include "tools/cli/paths.h"
#include "tunnel/identity/invite.h"

namespace wow {

class CommandError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The value, or its error thrown for the user.
template <typename T>
T value_or_throw(Result<T> result) {
  if (!result) throw CommandError(result.error().message);
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

struct CommandContext {
  Paths paths = Paths::of_this_user();
  std::string pool;   // -p
  bool json = false;  // --json
};

// pool create | show | publish; invite create | show | close; revoke
void add_pool_commands(CLI::App& app, CommandContext& context);
// join, leave
void add_member_commands(CLI::App& app, CommandContext& context);
// up, router, down
void add_daemon_commands(CLI::App& app, CommandContext& context);
// status, peers, leases, ping, and those of dht
void add_query_commands(CLI::App& app, CommandContext& context);
// image config | guest
void add_image_commands(CLI::App& app, CommandContext& context);
// hosts, env
void add_hosts_commands(CLI::App& app, CommandContext& context);
// dht get | put | create | renew | rm | watch | stat
void add_dht_commands(CLI::App& app, CommandContext& context);

// doctor
void add_doctor_command(CLI::App& app, CommandContext& context);

// The pool named by an argument, by -p, or the only one; then its daemon's answer.
boost::json::object ask(const CommandContext& context, const std::string& pool,
                        const std::string& command, const boost::json::object& arguments = {});

// An invite in a file that nobody else can read.
Invite load_secret_invite(const std::string& file);

// Instead of an invite file: whatever was handed to this virtual machine.
inline constexpr const char* kHandedInvite = "auto";

// Makes this machine a member by an invite (wow up --invite, at every boot) and returns the pool's
// name, which is `wanted` unless that is empty. A member stays one when the invite is no longer
// good, or no longer handed to it.
std::string join_pool(const CommandContext& context, const std::string& invite,
                      const std::string& wanted = "");

}  // namespace wow
