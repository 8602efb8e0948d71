#include "tunnel/identity/member.h"

#include <algorithm>
#include <sstream>

#include "tunnel/identity/armor.h"
#include "tunnel/identity/certificate.h"

namespace wow {
namespace {

// At what time members' own files are checked: any within every certificate's validity, as expiry
// is no damage.
WallTime signing_time(const pb::Settings& settings) {
  return judged_time(WallTime{}, WallTime{}, settings);
}

Result<void> check_joinable(const Invite& invite, const pb::Settings& settings, WallTime when) {
  const pb::Rights& rights = invite.rights();
  const WallTime join_by{std::chrono::seconds(rights.join_by())};
  if (rights.join_by() != 0 && when > join_by)
    return Error{ErrorCode::kExpired, "invite " + rights.label() + " could be used until " +
                                          date_text(join_by) + "; ask for a new one"};
  // Nobody is the zero address, so this asks whether a newcomer is welcome.
  if (!check_welcome(settings, Address(), view_of(rights.invite_id())))
    return Error{ErrorCode::kUntrusted,
                 "invite " + rights.label() + " has been closed; ask for a new one"};
  return {};
}

}  // namespace

pb::Settings Membership::settings() const {
  const OwnedCertificate root = parse_root_certificate(root_certificate);
  return verify_settings(signed_settings, *public_key_of(root.get())).value();
}

SecretText Membership::to_text() const {
  SecretText text("# A membership of wow pool ");
  text += settings().name() + ", node " + address().hex() + ".\n";
  text += "# Keep it secret: whoever has this file is this node.\n";
  append_block(text, "PRIVATE KEY", key.pkcs8());
  const auto parts = unpack_chain(chain);
  for (const ByteView der : *parts) append_block(text, "CERTIFICATE", der);
  append_block(text, "CERTIFICATE", root_certificate);
  append_block(text, "WOW SETTINGS", signed_settings);
  append_block(text, "WOW POOL KEY", pool_key);
  std::string lines;
  for (const std::string& bootstrap : bootstraps) lines += bootstrap + "\n";
  if (!lines.empty()) append_block(text, "WOW BOOTSTRAPS", view_of(lines));
  return text;
}

Result<Membership> Membership::parse(std::string_view text) {
  const auto bad = [](ErrorCode code, const std::string& what) {
    return Error{code, "the member file cannot be used: " + what + "; join again with an invite"};
  };
  const auto blocks = read_blocks(text);
  if (!blocks) return bad(ErrorCode::kInvalidArgument, blocks.error().message);
  auto key = PrivateKey::parse(find_block(*blocks, "PRIVATE KEY"));
  const OwnedCertificate root = parse_root_certificate(find_block(*blocks, "CERTIFICATE", 2));
  const ByteView pool_key = find_block(*blocks, "WOW POOL KEY");
  if (!key || !root || pool_key.size() != kPoolKeyBytes)
    return bad(ErrorCode::kInvalidArgument, "a key or certificate is missing or damaged");
  Membership out{.key = std::move(*key),
                 .chain = pack_chain({to_bytes(find_block(*blocks, "CERTIFICATE", 0)),
                                      to_bytes(find_block(*blocks, "CERTIFICATE", 1))}),
                 .root_certificate = der_of(root.get()),
                 .pool_key = to_secret(pool_key),
                 .signed_settings = to_bytes(find_block(*blocks, "WOW SETTINGS")),
                 .bootstraps = {},
                 .invite_id = {}};
  const auto settings = verify_settings(out.signed_settings, *public_key_of(root.get()));
  if (!settings) return bad(settings.error().code, settings.error().message);
  const auto verified = verify_chain(out.chain, root.get(), signing_time(*settings));
  if (!verified) return bad(verified.error().code, verified.error().message);
  if (verified->public_key != out.key.public_key())
    return bad(ErrorCode::kUntrusted, "its certificate does not belong to its key");
  out.invite_id = verified->identity.invite_id;
  std::istringstream lines(to_string(find_block(*blocks, "WOW BOOTSTRAPS")));
  for (std::string line; std::getline(lines, line);)
    if (is_bootstrap(line) && out.bootstraps.size() < kBootstrapsMax)
      out.bootstraps.push_back(line);
  return out;
}

Result<Membership> join(const Invite& invite, WallTime local, WallTime build_date,
                        const Membership* existing) {
  if (existing && existing->root_certificate != invite.root_certificate())
    return Error{ErrorCode::kAlreadyExists,
                 "this machine is a member of another pool named " + existing->settings().name() +
                     "; leave that one first, or join under another name"};
  const bool held_newer = existing && existing->settings().number() > invite.settings().number();
  const pb::Settings settings = held_newer ? existing->settings() : invite.settings();
  const WallTime when = judged_time(local, build_date, settings);
  if (auto joinable = check_joinable(invite, settings, when); !joinable) return joinable.error();
  if (existing)
    if (auto welcome = check_welcome(settings, existing->address(), {}); !welcome)
      return Error{welcome.error().code,
                   welcome.error().message + "; `wow leave " + settings.name() +
                       "` first, then join again: the machine gets a new key"};

  const PrivateKey key = existing ? existing->key : PrivateKey::generate();
  const OwnedCertificate issuer = parse_certificate(invite.invite_certificate());
  Membership out{
      .key = key,
      .chain = pack_chain({make_end_certificate({issuer.get(), invite.key()}, key.public_key()),
                           invite.invite_certificate()}),
      .root_certificate = invite.root_certificate(),
      .pool_key = to_secret(invite.pool_key()),
      .signed_settings = held_newer ? existing->signed_settings : invite.signed_settings(),
      .bootstraps = invite.bootstraps(),
      .invite_id = to_bytes(invite.rights().invite_id())};
  if (existing)
    for (const std::string& bootstrap : existing->bootstraps)
      if (out.bootstraps.size() < kBootstrapsMax &&
          std::ranges::find(out.bootstraps, bootstrap) == out.bootstraps.end())
        out.bootstraps.push_back(bootstrap);

  const OwnedCertificate root = parse_root_certificate(out.root_certificate);
  if (auto verified = verify_chain(out.chain, root.get(), when); !verified) return verified.error();
  return out;
}

}  // namespace wow
