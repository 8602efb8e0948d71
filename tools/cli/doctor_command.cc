// doctor: what this machine's network allows, asked of the pool's members if it is in one (or has
// an invite), and in plain words.
#include <iostream>

#include "base/asio/files.h"
#include "dht/asio/build_date.h"
#include "tools/cli/commands.h"
#include "tools/cli/config.h"
#include "tools/cli/control_client.h"
#include "tools/cli/fields.h"
#include "tools/cli/table.h"
#include "tools/doctor/doctor.h"
#include "tunnel/identity/invite.h"
#include "tunnel/identity/member.h"

namespace wow {
namespace {

namespace json = boost::json;

struct DoctorArguments {
  std::string pool, invite, proxy = "auto";
  std::vector<std::string> bootstraps;
};

void take_invite(const std::string& file, Patient& patient) {
  const Bytes text = value_or_throw(read_file(file));
  const Invite invite = value_or_throw(Invite::parse(text_of(text)));
  patient.pool_key = to_bytes(invite.pool_key());
  patient.bootstraps = invite.bootstraps();
}

// A member's key lies where only its daemon and root may read.
void take_membership(const CommandContext& context, const std::string& named, Patient& patient) {
  const auto pool = context.paths.choose_pool(named.empty() ? context.pool : named);
  if (!pool) {
    if (!named.empty() || !context.pool.empty()) throw CommandError(pool.error().message);
    patient.why_no_pool = "no membership to ask with: " + pool.error().message;
    return;
  }
  const auto file = read_file(context.paths.member_file(*pool));
  if (!file) {
    patient.why_no_pool = "the membership in pool " + *pool + " cannot be read: use sudo";
    return;
  }
  const Membership member = value_or_throw(Membership::parse(text_of(*file)));
  patient.pool_key = to_bytes(member.pool_key);
  patient.bootstraps = member.bootstraps;
}

// A daemon that runs knows more members, and has the port mapped already.
void ask_running(const CommandContext& context, const std::string& named, Patient& patient) {
  const auto pool = context.paths.choose_pool(named.empty() ? context.pool : named);
  if (!pool) return;
  const auto socket = context.paths.socket(*pool);
  if (!daemon_listens(socket)) return;
  if (const auto status = ask_daemon(socket, *pool, "status")) {
    patient.port_mapping = text(*status, "port_mapping");
    if (!patient.port_mapping.empty() && patient.port_mapping != "off")
      patient.port = static_cast<std::uint16_t>(number(*status, "port"));
  }
  const auto peers = ask_daemon(socket, *pool, "peers", {{"names", false}});
  const auto* rows = peers ? peers->if_contains("peers") : nullptr;
  if (!rows || !rows->is_array()) return;
  for (const json::value& row : rows->get_array()) {
    const std::string path = row.is_object() ? text(row.get_object(), "path") : "";
    const auto endpoint = Endpoint::parse(path.substr(path.rfind(' ') + 1));
    if (endpoint && !endpoint->ip.is_private()) patient.members.push_back(*endpoint);
  }
}

// As `wow up` would: by flag, else by the pool's file, else by the environment.
void take_proxy(const CommandContext& context, const DoctorArguments& arguments, Patient& patient) {
  std::string word = arguments.proxy;
  const auto pool =
      context.paths.choose_pool(arguments.pool.empty() ? context.pool : arguments.pool);
  if (word == "auto" && pool) {
    const auto said = value_or_throw(config_word(context.paths.config_file(*pool), "proxy"));
    if (!said.empty()) word = said;
  }
  patient.proxy_is_off = word == "off";
  if (patient.proxy_is_off) return;
  patient.proxy = word == "auto" ? proxy_from_environment(&patient.proxy_trouble)
                                 : value_or_throw(Proxy::parse(word));
}

const char* mark_of(Finding::State state) {
  switch (state) {
    case Finding::State::kGood:
      return "ok ";
    case Finding::State::kLimited:
      return "!  ";
    case Finding::State::kBad:
      return "!! ";
    case Finding::State::kUnknown:
      break;
  }
  return "?  ";
}

void show(const Diagnosis& diagnosis) {
  for (const Finding& finding : diagnosis.findings) {
    std::cout << mark_of(finding.state) << bold(finding.subject) << ": " << finding.words << "\n";
    if (!finding.advice.empty()) std::cout << "   -> " << finding.advice << "\n";
  }
  std::cout << "\n" << diagnosis.verdict << "\n";
}

void doctor(const CommandContext& context, const DoctorArguments& arguments) {
  Patient patient;
  patient.build_date = build_date();
  if (!arguments.invite.empty()) {
    take_invite(arguments.invite, patient);
  } else {
    take_membership(context, arguments.pool, patient);
    ask_running(context, arguments.pool, patient);
  }
  take_proxy(context, arguments, patient);
  for (const std::string& text : arguments.bootstraps) {
    if (!is_bootstrap(text))
      throw CommandError("--bootstrap takes ADDRESS:PORT or NAME:PORT, not \"" + text + "\"");
    patient.bootstraps.push_back(text);
  }
  if (!context.json) std::cout << "Looking at this machine's network: about ten seconds.\n";
  const Diagnosis diagnosis = examine(patient);
  if (context.json) return print_json(diagnosis_json(diagnosis));
  show(diagnosis);
}

}  // namespace

void add_doctor_command(CLI::App& app, CommandContext& context) {
  auto arguments = std::make_shared<DoctorArguments>();
  CLI::App* command = app.add_subcommand(
      "doctor", "Say what this machine's network allows, and what to do about it");
  command->add_option("POOL", arguments->pool, "Name of the pool whose members are asked");
  command->add_option("--invite", arguments->invite,
                      "Before joining: ask the members that this invite names");
  command
      ->add_option("--bootstrap", arguments->bootstraps,
                   "ADDRESS:PORT or NAME:PORT to ask, too; may be repeated")
      ->allow_extra_args(false);
  command
      ->add_option("--proxy", arguments->proxy,
                   "http://[USER:PASSWORD@]HOST:PORT or socks5://... to try; auto: what the pool's "
                   "configuration, https_proxy or all_proxy say; off: none")
      ->capture_default_str();
  command->add_flag("--json", context.json, "Answer in JSON");
  command->callback([&context, arguments] { doctor(context, *arguments); });
}

}  // namespace wow
