// A member's credentials: its certificates, the pool's root and the settings it holds now. The
// daemon makes one from the member file and hands it to the sessions. Control thread only.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "tunnel/credentials.h"
#include "tunnel/identity/certificate.h"
#include "tunnel/identity/member.h"
#include "tunnel/identity/tls_key_exchange.h"

namespace wow {

class TlsCredentials final : public Credentials {
 public:
  // Chains that were verified and are not verified again: one per peer, beyond any node's number of
  // peers.
  static constexpr std::size_t kVerifiedChainsMax = 1024;

  // `clock` gives the calendar and must live as long; `build_date`: when the program was built.
  // kUntrusted if our own certificate does not lead to the pool's root. That the settings shut us
  // out is no error here: see self().
  static Result<std::unique_ptr<TlsCredentials>> make(const Membership& membership,
                                                      const Clock& clock, WallTime build_date);

  const Address& address() const override { return self_.address; }
  ByteView pool_key() const override { return pool_key_; }
  ByteView public_key() const override { return key_.public_key(); }
  ByteView chain() const override { return chain_; }
  Bytes sign(ByteView message) const override { return key_.sign(message); }

  std::optional<Address> signer(ByteView public_key, ByteView message,
                                ByteView signature) const override;
  // kUntrusted or kExpired; revoked and closed-out members are refused, too.
  Result<PeerIdentity> verify_chain(ByteView chain) const override;
  std::optional<Bytes> chain_public_key(ByteView chain) const override;

  // Exchanges must not outlive these credentials.
  std::unique_ptr<KeyExchange> initiate(const Address& expected) const override;
  std::unique_ptr<KeyExchange> answer() const override;

  bool welcome(const PeerIdentity& peer) const override;
  std::uint64_t settings_number() const override { return settings_.number(); }
  ByteView signed_settings() const override { return signed_settings_; }
  bool adopt_settings(ByteView signed_settings) override;

  const pb::Settings& settings() const { return settings_; }
  // Who we are to others. welcome(self()) tells whether the pool still wants us.
  const PeerIdentity& self() const { return self_; }
  // "AB:CD:...", SHA-256 of the root certificate: which pool this is, to compare by eye.
  std::string root_fingerprint() const { return fingerprint(der_of(root_.get())); }
  // The time that certificates are judged at.
  WallTime judged_now() const { return judged_time(clock_.wall(), build_date_, settings_); }

 private:
  TlsCredentials(const Membership& membership, const Clock& clock, WallTime build_date);
  Result<VerifiedChain> verified(ByteView chain) const;

  const Clock& clock_;
  const WallTime build_date_;
  const PrivateKey key_;
  const Bytes chain_;
  const Secret pool_key_;
  const OwnedCertificate root_;
  const Bytes root_public_key_;
  const TlsContext tls_;
  PeerIdentity self_;
  pb::Settings settings_;
  Bytes signed_settings_;
  mutable std::map<Bytes, VerifiedChain> verified_;  // by SHA-256 of the chain
};

}  // namespace wow
