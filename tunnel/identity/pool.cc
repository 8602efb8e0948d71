#include "tunnel/identity/pool.h"

#include <algorithm>

#include "tunnel/identity/armor.h"
#include "tunnel/identity/certificate.h"

namespace wow {

Result<PoolRoot> PoolRoot::create(const PoolOptions& options, WallTime now) {
  PoolRoot out(PrivateKey::generate());
  out.certificate_ = make_root_certificate("wow pool " + options.name, out.key_, now);
  out.pool_key_ = random_secret(kPoolKeyBytes);
  const auto first = [&](pb::Settings& settings) {
    settings.set_name(options.name);
    settings.set_subnet(options.subnet);
    settings.set_mtu(options.mtu);
    settings.set_lease_seconds(options.lease_seconds);
    settings.set_dht_shards(options.dht_shards);
  };
  // Checked before anything is signed; the certificate above is dropped with `out`.
  if (auto made = out.revise(first, now); !made) return made.error();
  return out;
}

SecretText PoolRoot::to_text() const {
  SecretText text("# The root of wow pool ");
  text += settings_.name();
  text +=
      ".\n# Whoever has this file owns the pool; without it no invite can be made or closed.\n"
      "# Back it up, keep it secret, keep it offline if you can.\n";
  append_block(text, "PRIVATE KEY", key_.pkcs8());
  append_block(text, "CERTIFICATE", certificate_);
  append_block(text, "WOW SETTINGS", signed_settings_);
  append_block(text, "WOW POOL KEY", pool_key_);
  for (const Bytes& invite : issued_) append_block(text, "CERTIFICATE", invite);
  return text;
}

Result<PoolRoot> PoolRoot::parse(std::string_view text) {
  const auto bad = [](const std::string& what) {
    return Error{ErrorCode::kInvalidArgument, "the pool's root file cannot be used: " + what};
  };
  const auto blocks = read_blocks(text);
  if (!blocks) return bad(blocks.error().message);
  auto key = PrivateKey::parse(find_block(*blocks, "PRIVATE KEY"));
  if (!key) return bad("it holds no Ed25519 private key");
  PoolRoot out(*key);
  const OwnedCertificate root = parse_root_certificate(find_block(*blocks, "CERTIFICATE"));
  if (!root || public_key_of(root.get()) != out.key_.public_key())
    return bad("its certificate is missing or does not belong to its key");
  out.certificate_ = der_of(root.get());
  out.signed_settings_ = to_bytes(find_block(*blocks, "WOW SETTINGS"));
  auto settings = verify_settings(out.signed_settings_, out.key_.public_key());
  if (!settings) return bad(settings.error().message);
  out.settings_ = std::move(*settings);
  out.pool_key_ = to_secret(find_block(*blocks, "WOW POOL KEY"));
  if (out.pool_key_.size() != kPoolKeyBytes) return bad("its pool key is missing or damaged");
  for (std::size_t n = 1;; ++n) {
    const ByteView der = find_block(*blocks, "CERTIFICATE", n);
    if (der.empty()) return out;
    out.issued_.push_back(to_bytes(der));
  }
}

std::string PoolRoot::root_fingerprint() const { return fingerprint(certificate_); }

std::vector<pb::Rights> PoolRoot::issued() const {
  std::vector<pb::Rights> out;
  for (const Bytes& der : issued_) {
    const OwnedCertificate invite = parse_certificate(der);
    auto rights = invite ? rights_of(invite.get()) : std::nullopt;
    if (rights) out.push_back(std::move(*rights));
  }
  return out;
}

Result<void> PoolRoot::revise(const std::function<void(pb::Settings&)>& edit, WallTime now) {
  pb::Settings next = settings_;
  edit(next);
  next.set_number(settings_.number() + 1);
  // Never earlier than what was signed before: certificates and dates are judged by it.
  next.set_signed_at(std::max<std::int64_t>(now.time_since_epoch().count(), settings_.signed_at()));
  if (auto checked = check_settings(next); !checked) return checked;
  signed_settings_ = sign_settings(next, key_);
  settings_ = std::move(next);
  return {};
}

Result<void> PoolRoot::close_invite(ByteView invite_id, const std::vector<Address>& kept,
                                    WallTime now) {
  const auto edit = [&](pb::Settings& settings) {
    auto& list = *settings.mutable_closed_invites();
    list.erase(std::remove_if(list.begin(), list.end(),
                              [&](const auto& c) { return c.invite_id() == text_of(invite_id); }),
               list.end());
    pb::ClosedInvite* closed = settings.add_closed_invites();
    closed->set_invite_id(to_string(invite_id));
    for (const Address& node : kept) closed->add_members_kept(to_string(node.bytes()));
  };
  return revise(edit, now);
}

Result<void> PoolRoot::revoke_invite(ByteView invite_id, WallTime now) {
  return revise([&](pb::Settings& s) { s.add_revoked_invites(to_string(invite_id)); }, now);
}

Result<void> PoolRoot::revoke_node(const Address& node, WallTime now) {
  return revise([&](pb::Settings& s) { s.add_revoked_nodes(to_string(node.bytes())); }, now);
}

Result<void> PoolRoot::set_reservations(const std::vector<pb::Reservation>& reservations,
                                        WallTime now) {
  const auto edit = [&](pb::Settings& settings) {
    *settings.mutable_reservations() = {reservations.begin(), reservations.end()};
  };
  return revise(edit, now);
}

Result<void> PoolRoot::set_mtu(std::uint32_t bytes, WallTime now) {
  return revise([&](pb::Settings& settings) { settings.set_mtu(bytes); }, now);
}

Result<void> PoolRoot::set_founder(const Address& node, WallTime now) {
  const auto edit = [&](pb::Settings& settings) {
    settings.set_founder(node.is_zero() ? std::string() : to_string(node.bytes()));
  };
  return revise(edit, now);
}

}  // namespace wow
