// Commands that need the root file (pool, invite, revoke), and `invite show`, which needs only the
// invite.
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <iostream>

#include "base/asio/files.h"
#include "base/endpoint.h"
#include "tools/cli/commands.h"
#include "tools/cli/control_client.h"
#include "tools/cli/table.h"
#include "tunnel/identity/armor.h"
#include "tunnel/identity/invite.h"

namespace wow {

namespace json = boost::json;

namespace {

WallTime wall_now() {
  return std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
}

PoolRoot load_root(const CommandContext& context, const std::string& pool) {
  const auto path = context.paths.root_file(pool);
  const auto file = read_file(path);
  if (!file) {
    throw CommandError("the root key of pool " + pool + " is not on this machine (" +
                       path.string() + "): run this where the pool was made");
  }
  auto root = PoolRoot::parse(text_of(*file));
  if (!root) throw CommandError(path.string() + ": " + root.error().message);
  return std::move(*root);
}

void save_root(const CommandContext& context, const PoolRoot& root) {
  const SecretText text = root.to_text();
  value_or_throw(write_file(context.paths.root_file(root.settings().name()), view_of(text)));
}

// Hands new settings to the daemon on this machine, if there is one, which spreads them.
void publish(const CommandContext& context, const PoolRoot& root) {
  const std::string pool = root.settings().name();
  const auto told = ask_daemon(context.paths.socket(pool), pool, "settings",
                               {{"signed_settings", to_hex(root.signed_settings())}});
  if (told) {
    std::cout << "Settings number " << root.settings().number()
              << " are spreading over the pool.\n";
  } else if (told.error().code != ErrorCode::kNotFound) {
    throw CommandError("the settings are signed, but not spread: " + told.error().message +
                       "; then `wow pool publish " + pool + "`");
  } else {
    std::cout << "No daemon of this pool runs here. Bring the new settings to any member:\n"
              << "  wow pool settings " << pool << " > " << pool << ".settings      # here\n"
              << "  wow pool adopt " << pool << ".settings             # there\n";
  }
}

// 90d, 12h, 30m, or a date 2027-01-31.
std::optional<WallTime> parse_join_by(const std::string& text) {
  if (text.empty() || text == "never") return std::nullopt;
  std::tm date{};
  if (const char* end = strptime(text.c_str(), "%Y-%m-%d", &date); end && *end == 0) {
    return WallTime(std::chrono::seconds(timegm(&date)));
  }
  char unit = 0, more = 0;
  long count = 0;
  if (std::sscanf(text.c_str(), "%6ld%c%c", &count, &unit, &more) == 2 && count > 0) {
    const long seconds = unit == 'd' ? 86400 : unit == 'h' ? 3600 : unit == 'm' ? 60 : 0;
    if (seconds != 0) return wall_now() + std::chrono::seconds(count * seconds);
  }
  throw CommandError("--join-by takes 90d, 12h, 30m, a date such as 2027-01-31, or never, not \"" +
                     text + "\"");
}

void create_pool(const CommandContext& context, const PoolOptions& options) {
  const auto path = context.paths.root_file(options.name);
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) {
    throw CommandError("there is a pool " + options.name + " already: its root key is " +
                       path.string());
  }
  const PoolRoot root = value_or_throw(PoolRoot::create(options, wall_now()));
  value_or_throw(make_directory(context.paths.config, false));
  save_root(context, root);
  std::cout
      << "Pool " << options.name << ", subnet " << options.subnet << ".\n"
      << "Its root key is in " << path.string() << ": back this up, and keep it secret.\n"
      << "Who has it can admit and expel machines; nobody can without it. Members do not need it.\n"
      << "Next: wow invite create " << options.name << " --bootstrap ADDRESS:PORT > "
      << options.name << ".invite\n";
}

void show_pool(const CommandContext& context, const std::string& pool) {
  const PoolRoot root = load_root(context, pool);
  const pb::Settings& settings = root.settings();
  if (context.json) {
    json::array invites;
    for (const pb::Rights& rights : root.issued()) {
      invites.push_back(
          json::object{{"label", rights.label()}, {"id", to_hex(view_of(rights.invite_id()))}});
    }
    std::cout << json::serialize(json::object{{"pool", settings.name()},
                                              {"subnet", settings.subnet()},
                                              {"mtu", settings.mtu()},
                                              {"settings", settings.number()},
                                              {"fingerprint", root.root_fingerprint()},
                                              {"closed_invites", settings.closed_invites_size()},
                                              {"revoked_nodes", settings.revoked_nodes_size()},
                                              {"invites", std::move(invites)}})
              << "\n";
    return;
  }
  std::cout << "pool         " << settings.name() << "\nsubnet       " << settings.subnet()
            << "\nmtu          " << settings.mtu() << "\nsettings     number " << settings.number()
            << "\nroot         " << root.root_fingerprint() << "\n";
  Table table({"INVITE", "ID", "STATE"});
  for (const pb::Rights& rights : root.issued()) {
    bool closed = false, revoked = false;
    for (const auto& entry : settings.closed_invites())
      closed |= entry.invite_id() == rights.invite_id();
    for (const auto& id : settings.revoked_invites()) revoked |= id == rights.invite_id();
    table.add({rights.label(), to_hex(view_of(rights.invite_id())),
               revoked  ? "revoked"
               : closed ? "closed"
                        : "open"});
  }
  if (table.size() > 0) std::cout << "\n" << table.text(colour_wanted());
}

struct InviteArguments {
  std::string pool;
  InviteOptions options;
  std::string join_by = "90d";
};

void create_invite(const CommandContext& context, InviteArguments arguments) {
  PoolRoot root = load_root(context, value_or_throw(context.paths.choose_pool(arguments.pool)));
  arguments.options.join_by = parse_join_by(arguments.join_by);
  for (const std::string& text : arguments.options.bootstraps) {
    if (!is_bootstrap(text))
      throw CommandError(
          "--bootstrap takes ADDRESS:PORT or NAME:PORT such as 198.51.100.7:4433, not \"" + text +
          "\"");
  }
  if (arguments.options.label.empty()) {
    arguments.options.label = "invite-" + std::to_string(root.issued().size() + 1);
  }
  const Invite invite = value_or_throw(Invite::create(root, arguments.options));
  struct stat out {};
  if (isatty(STDOUT_FILENO)) {
    throw CommandError("an invite is a secret file: send it to one, as in `wow invite create " +
                       root.settings().name() + " > " + root.settings().name() + ".invite`");
  }
  // A file made by the shell's > is readable by all: what admits machines must not be.
  if (fstat(STDOUT_FILENO, &out) == 0 && S_ISREG(out.st_mode)) fchmod(STDOUT_FILENO, 0600);
  save_root(context, root);
  std::cout << invite.to_text() << std::flush;
  const InviteFacts facts = invite.explain();
  std::cerr << "Invite \"" << facts.label << "\" to pool " << facts.pool
            << ", good for joining until "
            << (facts.join_by ? date_text(*facts.join_by) : "it is closed")
            << ". Whoever has the file can join.\n";
  if (facts.bootstraps.empty()) {
    std::cerr << "It names no bootstrap: machines find the pool on their own LAN alone, or need "
                 "`--bootstrap ADDRESS:PORT`.\n";
  }
}

Invite load_invite(const std::string& file) {
  const Bytes text = value_or_throw(read_file(file, kArmorBytesMax));
  auto invite = Invite::parse(text_of(text));
  if (!invite) throw CommandError(file + ": " + invite.error().message);
  return std::move(*invite);
}

std::string joined_with(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ", ") + word;
  return out.empty() ? "none" : out;
}

void show_invite(const CommandContext& context, const std::string& file) {
  const InviteFacts facts = load_invite(file).explain();
  const std::string until = facts.join_by ? date_text(*facts.join_by) : "";
  if (context.json) {
    json::array bootstraps(facts.bootstraps.begin(), facts.bootstraps.end());
    std::cout << json::serialize(json::object{{"pool", facts.pool},
                                              {"subnet", facts.subnet},
                                              {"mtu", facts.mtu},
                                              {"label", facts.label},
                                              {"id", facts.id},
                                              {"bridge", facts.bridge},
                                              {"join_by", until},
                                              {"closed", facts.closed},
                                              {"bootstraps", std::move(bootstraps)},
                                              {"fingerprint", facts.root_fingerprint}})
              << "\n";
    return;
  }
  std::cout
      << "pool         " << facts.pool << "\nsubnet       " << facts.subnet << "\nmtu          "
      << facts.mtu << "\ninvite       " << facts.label << " (" << facts.id << ")"
      << (facts.closed ? ", closed" : "") << "\njoin by      "
      << (until.empty() ? "no limit" : until) << "\nbootstraps   " << joined_with(facts.bootstraps)
      << "\ngroups       " << joined_with(facts.groups) << "\nroutes       "
      << joined_with(facts.routes) << "\nbridge       " << (facts.bridge ? "yes" : "no")
      << "\nroot         " << facts.root_fingerprint
      << "\nIt also holds a private key, which is not shown: whoever has the file can join.\n";
}

struct CloseArguments {
  std::string pool;
  std::string invite;  // label, id or file
  std::vector<std::string> keep;
  bool keep_none = false;
};

Bytes find_invite_id(const PoolRoot& root, const std::string& wanted) {
  std::error_code ignored;
  if (std::filesystem::is_regular_file(wanted, ignored))
    return to_bytes(view_of(load_invite(wanted).rights().invite_id()));
  std::vector<Bytes> labelled;
  for (const pb::Rights& rights : root.issued()) {
    const Bytes id = to_bytes(view_of(rights.invite_id()));
    if (to_hex(id) == wanted) return id;
    if (rights.label() == wanted) labelled.push_back(id);
  }
  if (labelled.size() == 1) return labelled.front();
  if (!labelled.empty()) {
    throw CommandError(std::to_string(labelled.size()) + " invites are labelled \"" + wanted +
                       "\": name one by its id, as `wow pool show " + root.settings().name() +
                       "` lists them");
  }
  throw CommandError("pool " + root.settings().name() + " has no invite \"" + wanted +
                     "\": `wow pool show " + root.settings().name() + "` lists them");
}

// Who joined by this invite, as the pool's directory says.
std::vector<Address> members_by(const CommandContext& context, const std::string& pool,
                                ByteView invite_id) {
  json::object answer;
  try {
    answer = ask(context, pool, "members");
  } catch (const CommandError& error) {
    throw CommandError(std::string(error.what()) +
                       "\nThe running pool knows who came by this invite. Or say who stays: --keep "
                       "ADDRESS, or --keep-none");
  }
  std::vector<Address> out;
  for (const json::value& member : answer.at("members").as_array()) {
    const json::object& row = member.as_object();
    if (row.at("invite").as_string() != to_hex(invite_id)) continue;
    if (const auto address = Address::from_hex(row.at("address").as_string()))
      out.push_back(*address);
  }
  return out;
}

void close_invite(const CommandContext& context, const CloseArguments& arguments) {
  const std::string pool = value_or_throw(context.paths.choose_pool(arguments.pool));
  PoolRoot root = load_root(context, pool);
  const Bytes id = find_invite_id(root, arguments.invite);
  std::vector<Address> kept;
  for (const std::string& text : arguments.keep) {
    const auto address = Address::from_hex(text);
    if (!address)
      throw CommandError("--keep takes a node's address of 40 digits (`wow peers --json`), not \"" +
                         text + "\"");
    kept.push_back(*address);
  }
  if (arguments.keep.empty() && !arguments.keep_none) kept = members_by(context, pool, id);
  value_or_throw(root.close_invite(id, kept, wall_now()));
  save_root(context, root);
  std::cout << "Invite " << arguments.invite << " is closed: nobody joins by it any more; "
            << kept.size() << " member" << (kept.size() == 1 ? "" : "s") << " who did stay"
            << (kept.size() == 1 ? "s" : "") << ".\n";
  publish(context, root);
}

void revoke_node(const CommandContext& context, const std::string& pool_argument,
                 const std::string& node) {
  const std::string pool = value_or_throw(context.paths.choose_pool(pool_argument));
  PoolRoot root = load_root(context, pool);
  auto address = Address::from_hex(node);
  if (!address) {
    const auto row = ask(context, pool, "resolve", {{"host", node}});
    address = Address::from_hex(row.at("node").as_string());
  }
  if (!address)
    throw CommandError("\"" + node +
                       "\" is neither a node's address (40 digits) nor a name of the pool");
  value_or_throw(root.revoke_node(*address, wall_now()));
  save_root(context, root);
  std::cout << "Node " << address->hex() << " is revoked.\n";
  publish(context, root);
}

void adopt_settings(const CommandContext& context, const std::string& pool_argument,
                    const std::string& file) {
  const std::string pool = value_or_throw(context.paths.choose_pool(pool_argument));
  std::string hex = to_string(value_or_throw(read_file(file)));
  while (!hex.empty() && std::isspace(static_cast<unsigned char>(hex.back()))) hex.pop_back();
  if (!from_hex(hex))
    throw CommandError(file + " holds no settings: make it with `wow pool settings`");
  ask(context, pool, "settings", {{"signed_settings", hex}});
  std::cout << "The settings are spreading over the pool.\n";
}

}  // namespace

void add_pool_commands(CLI::App& app, CommandContext& context) {
  CLI::App* pool =
      app.add_subcommand("pool", "Make a pool and look after its root key")->require_subcommand(1);

  auto options = std::make_shared<PoolOptions>();
  CLI::App* create =
      pool->add_subcommand("create", "Make a pool: root key, certificate, first settings");
  create->add_option("NAME", options->name, "Name of the pool: a-z, 0-9 and -")->required();
  create->add_option("--subnet", options->subnet, "Virtual IPv4 network of the pool")->required();
  create->add_option("--mtu", options->mtu, "MTU of the virtual interfaces, bytes")
      ->capture_default_str();
  create->add_option("--lease-seconds", options->lease_seconds, "Life of a lease; 0: 7 days");
  create->add_option(
      "--shards", options->dht_shards,
      "Parts of the store, each with its own replicas: a power of two up to 256, for "
      "pools of thousands; 0: 1");
  create->callback([&context, options] { create_pool(context, *options); });

  auto name = std::make_shared<std::string>();
  const auto root_command = [&](const char* verb, const char* help, auto action) {
    CLI::App* command = pool->add_subcommand(verb, help);
    command->add_option("POOL", *name, "Name of the pool");
    command->callback([&context, name, action] {
      action(context,
             value_or_throw(context.paths.choose_pool(name->empty() ? context.pool : *name)));
    });
    return command;
  };
  root_command("show", "Show a pool and its invites (needs the root file)", show_pool)
      ->add_flag("--json", context.json, "Answer in JSON");
  root_command("publish", "Hand the settings to the daemon on this machine again",
               [](const CommandContext& c, const std::string& p) { publish(c, load_root(c, p)); });
  root_command("settings", "Print the signed settings, to carry them to a member",
               [](const CommandContext& c, const std::string& p) {
                 std::cout << to_hex(load_root(c, p).signed_settings()) << "\n";
               });
  auto settings_file = std::make_shared<std::string>();
  CLI::App* adopt = pool->add_subcommand(
      "adopt", "Give signed settings from a file to the daemon on this machine");
  adopt->add_option("FILE", *settings_file, "What `wow pool settings` printed")->required();
  adopt->callback(
      [&context, settings_file] { adopt_settings(context, context.pool, *settings_file); });

  CLI::App* invite =
      app.add_subcommand("invite", "Make, explain and close invites")->require_subcommand(1);
  auto made = std::make_shared<InviteArguments>();
  CLI::App* create_one =
      invite->add_subcommand("create", "Make an invite: a file that admits machines");
  create_one->add_option("POOL", made->pool, "Name of the pool");
  create_one
      ->add_option("--bootstrap", made->options.bootstraps,
                   "Where members start: ADDRESS:PORT or NAME:PORT; may be repeated")
      ->allow_extra_args(false);
  create_one->add_option("--join-by", made->join_by, "90d, 12h, a date, or never")
      ->capture_default_str();
  create_one->add_option("--label", made->options.label, "What you call it");
  create_one->add_option("--group", made->options.groups, "Group of its members; may be repeated")
      ->allow_extra_args(false);
  create_one
      ->add_option(
          "--route", made->options.routes,
          "Prefix outside the pool of which guests of its members may have addresses; may be "
          "repeated")
      ->allow_extra_args(false);
  create_one->add_flag("--bridge", made->options.bridge,
                       "Its members may put a whole LAN behind one node");
  create_one->callback([&context, made] {
    if (made->pool.empty()) made->pool = context.pool;
    create_invite(context, *made);
  });

  auto shown = std::make_shared<std::string>();
  CLI::App* show = invite->add_subcommand("show", "Explain an invite without printing its key");
  show->add_option("FILE", *shown, "The invite")->required();
  show->add_flag("--json", context.json, "Answer in JSON");
  show->callback([&context, shown] { show_invite(context, *shown); });

  auto closed = std::make_shared<CloseArguments>();
  CLI::App* close =
      invite->add_subcommand("close", "Let nobody join by an invite any more; its members stay");
  close->add_option("INVITE", closed->invite, "Its label, id or file")->required();
  close
      ->add_option("--keep", closed->keep,
                   "Address of a member that stays (instead of all); may be repeated")
      ->allow_extra_args(false);
  close->add_flag("--keep-none", closed->keep_none, "Nobody who came by it stays");
  close->callback([&context, closed] {
    closed->pool = context.pool;
    close_invite(context, *closed);
  });

  auto revoked = std::make_shared<std::string>();
  CLI::App* revoke =
      app.add_subcommand("revoke", "Expel one node from a pool (needs the root file)");
  revoke->add_option("NODE", *revoked, "Its address, or its name while the pool runs")->required();
  revoke->callback([&context, revoked] { revoke_node(context, context.pool, *revoked); });
}

}  // namespace wow
