#include "tunnel/identity/tls_credentials.h"

namespace wow {

Result<std::unique_ptr<TlsCredentials>> TlsCredentials::make(const Membership& membership,
                                                             const Clock& clock,
                                                             WallTime build_date) {
  std::unique_ptr<TlsCredentials> out(new TlsCredentials(membership, clock, build_date));
  auto self = out->verified(membership.chain);
  if (!self) return self.error();
  out->self_ = std::move(self->identity);
  return out;
}

TlsCredentials::TlsCredentials(const Membership& membership, const Clock& clock,
                               WallTime build_date)
    : clock_(clock),
      build_date_(build_date),
      key_(membership.key),
      chain_(membership.chain),
      pool_key_(membership.pool_key),
      root_(parse_root_certificate(membership.root_certificate)),
      root_public_key_(*public_key_of(root_.get())),
      tls_(make_tls_context(key_, chain_)),
      settings_(membership.settings()),
      signed_settings_(membership.signed_settings) {}

std::optional<Address> TlsCredentials::signer(ByteView public_key, ByteView message,
                                              ByteView signature) const {
  if (!verify_signature(public_key, message, signature)) return std::nullopt;
  return address_of_public_key(public_key);
}

Result<VerifiedChain> TlsCredentials::verified(ByteView chain) const {
  const WallTime now = judged_now();
  Bytes hash = sha256(chain);
  if (const auto known = verified_.find(hash);
      known != verified_.end() && now < known->second.valid_until)
    return known->second;
  auto fresh = wow::verify_chain(chain, root_.get(), now);
  if (!fresh) return fresh;
  // Any entry will do: hashes are in no order that a peer can choose cheaply.
  if (verified_.size() >= kVerifiedChainsMax) verified_.erase(verified_.begin());
  verified_.insert_or_assign(std::move(hash), *fresh);
  return fresh;
}

Result<PeerIdentity> TlsCredentials::verify_chain(ByteView chain) const {
  auto known = verified(chain);
  if (!known) return known.error();
  const PeerIdentity& who = known->identity;
  if (auto checked = check_welcome(settings_, who.address, who.invite_id); !checked)
    return checked.error();
  return std::move(known->identity);
}

std::optional<Bytes> TlsCredentials::chain_public_key(ByteView chain) const {
  auto known = verified(chain);
  return known ? std::optional(std::move(known->public_key)) : std::nullopt;
}

std::unique_ptr<KeyExchange> TlsCredentials::initiate(const Address& expected) const {
  const auto judge = [this, expected](ByteView chain) -> Result<PeerIdentity> {
    auto peer = verify_chain(chain);
    if (peer && !expected.is_zero() && peer->address != expected)
      return Error{ErrorCode::kUntrusted, "dialled node " + expected.short_hex() + ", but node " +
                                              peer->address.short_hex() + " answered"};
    return peer;
  };
  return std::make_unique<TlsKeyExchange>(tls_, TlsKeyExchange::Role::kInitiator, judge);
}

std::unique_ptr<KeyExchange> TlsCredentials::answer() const {
  return std::make_unique<TlsKeyExchange>(tls_, TlsKeyExchange::Role::kResponder,
                                          [this](ByteView chain) { return verify_chain(chain); });
}

bool TlsCredentials::welcome(const PeerIdentity& peer) const {
  return bool(check_welcome(settings_, peer.address, peer.invite_id));
}

bool TlsCredentials::adopt_settings(ByteView signed_settings) {
  auto next = verify_settings(signed_settings, root_public_key_);
  if (!next || next->number() <= settings_.number() || next->name() != settings_.name())
    return false;
  settings_ = std::move(*next);
  signed_settings_ = to_bytes(signed_settings);
  verified_.clear();
  return true;
}

}  // namespace wow
