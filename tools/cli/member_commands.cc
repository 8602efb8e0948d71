// join and leave: becoming a member of a pool, and not being one any more.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>

#include "base/asio/files.h"
#include "base/endpoint.h"
#include "dht/asio/build_date.h"
#include "dht/asio/machine.h"
#include "dht/asio/node_host.h"
#include "tools/cli/commands.h"
#include "tools/cli/control_client.h"
#include "tools/cli/former.h"
#include "tools/cli/found_invite.h"
#include "tools/daemon/privileges.h"
#include "tunnel/identity/armor.h"
#include "tunnel/identity/member.h"

namespace wow {
namespace {

namespace fs = std::filesystem;

struct JoinArguments {
  std::string invite;
  std::string pool;  // that it must be to; empty: any
  std::string name;
  std::string ip;
  std::string directory;
  bool erase_invite = false;
  bool stay = false;  // who is a member already stays one, whatever became of the invite
};

Invite found_invite() {
  const FoundInvite found = value_or_throw(find_invite());
  auto invite = Invite::parse(text_of(found.text));
  if (!invite) throw CommandError(found.where + ": " + invite.error().message);
  std::cerr << "The invite is from " << found.where << ".\n";
  return std::move(*invite);
}

std::optional<Membership> load_membership(const fs::path& directory) {
  const auto file = read_file(directory / kMemberFile);
  if (!file && file.error().code == ErrorCode::kNotFound) return std::nullopt;
  return value_or_throw(Membership::parse(text_of(value_or_throw(file))));
}

// The daemon works as user wow: what it must read and write is its own.
void hand_to_daemon_user(const fs::path& path) {
  if (geteuid() != 0) return;
  const auto user = find_user(kDaemonUser);
  if (user && lchown(path.c_str(), user->uid, user->gid) != 0) {
    throw CommandError("cannot give " + path.string() + " to user " + kDaemonUser);
  }
}

// --name and --ip are wishes for each start: they go to the pool's configuration, unless it has
// them already.
void remember_wishes(const CommandContext& context, const std::string& pool,
                     const JoinArguments& arguments) {
  if (arguments.name.empty() && arguments.ip.empty()) return;
  const fs::path path = context.paths.config_file(pool);
  const auto before = read_file(path);
  std::string text =
      before ? to_string(*before) : "# Options of `wow up " + pool + "`: keys are its flags.\n";
  const auto set = [&](const std::string& key, const std::string& value) {
    if (value.empty()) return;
    std::string kept;
    std::size_t at = 0;
    while (at < text.size()) {
      const std::size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
      const std::string line = text.substr(at, end - at);
      if (line.rfind(key + " ", 0) != 0 && line.rfind(key + "=", 0) != 0) kept += line;
      at = end;
    }
    if (!kept.empty() && kept.back() != '\n') kept += '\n';
    text = kept + key + " = \"" + value + "\"\n";
  };
  set("name", arguments.name);
  set("ip", arguments.ip);
  value_or_throw(make_directory(context.paths.config, false));
  value_or_throw(write_file(path, view_of(text), 0644));
}

void store_membership(const fs::path& directory, const Membership& member) {
  value_or_throw(make_directory(directory, true));
  const SecretText text = member.to_text();
  value_or_throw(write_file(directory / kMemberFile, view_of(text)));
  value_or_throw(remember_machine(directory));
}

// This machine is not that which joined: a clone, or the same in new hardware. If the pool sees
// nobody else with the key it may stay what it was. It asks as a member with a key of its own, so
// that the other is not disturbed.
bool is_clone(const fs::path& directory, const Membership& existing, const Membership& newcomer) {
  if (pool_called_it_copied(directory)) return true;
  const fs::path asking = directory / "asking";
  std::error_code error;
  fs::remove_all(asking, error);
  store_membership(asking, newcomer);
  std::cerr << "This machine is not the one that joined: looking for that in the pool.\n";
  const Former former = look_for(existing.address(), asking);
  fs::remove_all(asking, error);
  if (former == Former::kGone) {
    std::cerr << "Nobody else has its key: it stays node " << existing.address().hex() << ".\n";
    return false;
  }
  std::cerr << (former == Former::kElsewhere ? "It is there and keeps its key"
                                             : "Nobody answers, so it may be there")
            << ": this machine joins anew.\n";
  return true;
}

std::string join_as(const CommandContext& context, const JoinArguments& arguments) {
  if (!arguments.name.empty() && !is_valid_name(arguments.name)) {
    throw CommandError("--name \"" + arguments.name +
                       "\" cannot be a host name: a-z, 0-9 and - only, at most 63");
  }
  const bool handed = arguments.invite == kHandedInvite;
  if (handed && arguments.erase_invite)
    throw CommandError("--erase-invite needs a file: what was handed to this machine stays");
  const Invite invite = handed ? found_invite() : load_secret_invite(arguments.invite);
  const std::string pool = invite.settings().name();
  if (!arguments.pool.empty() && arguments.pool != pool)
    throw CommandError("the invite is to pool " + pool + ", not " + arguments.pool);
  if (!arguments.ip.empty()) {
    const auto ip = IpAddress::parse(arguments.ip);
    const auto subnet = Prefix::parse(invite.settings().subnet());
    if (!ip || !subnet || !subnet->contains(*ip)) {
      throw CommandError("--ip " + arguments.ip + " is not inside the pool's subnet " +
                         invite.settings().subnet());
    }
  }
  const fs::path directory = arguments.directory.empty() ? context.paths.member_directory(pool)
                                                         : fs::path(arguments.directory);
  auto existing = load_membership(directory);
  const auto now =
      std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
  std::optional<Membership> newcomer;
  if (existing && is_copied(directory)) {
    newcomer = value_or_throw(join(invite, now, build_date()));
    if (is_clone(directory, *existing, *newcomer)) {
      // It is a node of its own before it speaks.
      std::error_code error;
      fs::remove_all(directory, error);
      existing.reset();
    } else {
      value_or_throw(remember_machine(directory));
      newcomer.reset();
    }
  }
  auto joined = newcomer ? Result<Membership>(std::move(*newcomer))
                         : join(invite, now, build_date(), existing ? &*existing : nullptr);
  if (!joined && arguments.stay && existing && joined.error().code != ErrorCode::kAlreadyExists) {
    std::cerr << "A member of pool " << pool
              << " already, and so it stays: " << joined.error().message << ".\n";
    return pool;
  }
  const Membership member = value_or_throw(std::move(joined));

  store_membership(directory, member);
  // A folder of somebody's own is no business of the daemon's.
  if (arguments.directory.empty()) {
    hand_to_daemon_user(directory);
    hand_to_daemon_user(directory / kMemberFile);
    hand_to_daemon_user(directory / kMachineFile);
    remember_wishes(context, pool, arguments);
  }
  if (arguments.erase_invite) unlink(arguments.invite.c_str());
  std::cerr << (existing ? "Joined pool " + pool + " again, as node "
                         : "Joined pool " + pool + " as node ")
            << member.address().hex() << ".\n";
  return pool;
}

void leave(const CommandContext& context, const std::string& pool) {
  if (daemon_listens(context.paths.socket(pool))) {
    // The lease and the name go back to the pool first; a pool that cannot be reached must not keep
    // us in it.
    try {
      ask(context, pool, "release");
    } catch (const CommandError& error) {
      std::cerr << "The address was not given back (" << error.what()
                << "); its lease will run out.\n";
    }
    value_or_throw(stop_daemon(context.paths.socket(pool), pool));
  }
  const fs::path directory = context.paths.member_directory(pool);
  if (!fs::exists(directory / kMemberFile))
    throw CommandError("this machine is no member of pool " + pool);
  std::error_code error;
  fs::remove_all(directory, error);
  if (error) throw CommandError("cannot remove " + directory.string() + ": " + error.message());
  fs::remove(context.paths.config_file(pool), error);
  std::cout << "This machine has left pool " << pool << ": its key and its address are gone.\n";
}

}  // namespace

Invite load_secret_invite(const std::string& file) {
  struct stat info {};
  if (stat(file.c_str(), &info) == 0 && S_ISREG(info.st_mode) && (info.st_mode & 077) != 0) {
    throw CommandError(
        file + " can be read by others, and whoever reads it can join the pool: `chmod 600 " +
        file + "` first, and make a new invite if somebody may have");
  }
  const Bytes text = value_or_throw(read_file(file, kArmorBytesMax));
  auto invite = Invite::parse(text_of(text));
  if (!invite) throw CommandError(file + ": " + invite.error().message);
  return std::move(*invite);
}

std::string join_pool(const CommandContext& context, const std::string& invite,
                      const std::string& wanted) {
  if (invite == kHandedInvite) {
    // The drive may be taken away once it has served.
    const auto pools = context.paths.pools();
    const bool stays = wanted.empty() ? pools.size() == 1 : std::ranges::count(pools, wanted) == 1;
    const auto found = stays ? find_invite() : FoundInvite();
    if (!found && found.error().code == ErrorCode::kNotFound) {
      const std::string& pool = wanted.empty() ? pools.front() : wanted;
      std::cerr << "No invite is handed to this machine any more: it stays a member of pool "
                << pool << ".\n";
      return pool;
    }
  }
  JoinArguments arguments;
  arguments.invite = invite;
  arguments.pool = wanted;
  arguments.stay = true;
  return join_as(context, arguments);
}

void add_member_commands(CLI::App& app, CommandContext& context) {
  auto arguments = std::make_shared<JoinArguments>();
  CLI::App* join = app.add_subcommand("join", "Make this machine a member of a pool by an invite");
  join->add_option("INVITE", arguments->invite,
                   "The invite file (mode 0600); auto: the one that was handed to this "
                   "virtual machine by its firmware or a drive")
      ->required();
  join->add_option("--name", arguments->name, "Host name in the pool; default: this machine's");
  join->add_option("--ip", arguments->ip, "Virtual address; default: any free one");
  join->add_option("--directory", arguments->directory,
                   "Keep the membership there (programs of your own)");
  join->add_flag("--erase-invite", arguments->erase_invite, "Remove the invite file afterwards");
  join->callback([&context, arguments] {
    const std::string pool = join_as(context, *arguments);
    if (!arguments->directory.empty()) return;
    std::cerr << "Next: wow up " << pool << "      or, without a virtual interface: wow router "
              << pool << "\n";
  });

  auto pool = std::make_shared<std::string>();
  CLI::App* leave_command =
      app.add_subcommand("leave", "Give the address back and forget the pool");
  leave_command->add_option("POOL", *pool, "Name of the pool");
  leave_command->callback([&context, pool] {
    leave(context, value_or_throw(context.paths.choose_pool(pool->empty() ? context.pool : *pool)));
  });
}

}  // namespace wow
