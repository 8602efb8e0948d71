// Credentials without the arithmetic: three flights of the sizes that TLS has, bound to each other,
// to both names and to the pool, at the cost of a few hashes. It proves nothing to an attacker (who
// knows a public key can sign), so only tests and the simulator use it. Deterministic.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>

#include "tunnel/credentials.h"

namespace wow {

struct FakeIdentityOptions {
  std::string pool = "pool";
  // Another value after a restart, so that its key exchanges do not repeat.
  std::uint64_t incarnation = 0;
  // Shows the certificate of this seed instead of its own, as an impostor would.
  std::uint64_t certificate_of = 0;
  // Added to each flight, as post-quantum groups and long chains do; the same on all nodes.
  std::size_t flight_padding = 0;
};

class FakeCredentials final : public Credentials {
 public:
  // Key and address follow from `seed` (> 0).
  explicit FakeCredentials(std::uint64_t seed, FakeIdentityOptions options = {});

  const Address& address() const override { return address_; }
  ByteView pool_key() const override { return pool_key_; }
  ByteView public_key() const override { return public_key_; }
  ByteView chain() const override { return chain_; }
  Bytes sign(ByteView message) const override;
  std::optional<Address> signer(ByteView public_key, ByteView message,
                                ByteView signature) const override;
  Result<PeerIdentity> verify_chain(ByteView chain) const override;
  std::optional<Bytes> chain_public_key(ByteView chain) const override;
  std::unique_ptr<KeyExchange> initiate(const Address& expected) const override;
  std::unique_ptr<KeyExchange> answer() const override;
  bool welcome(const PeerIdentity& peer) const override { return !revoked_.contains(peer.address); }
  std::uint64_t settings_number() const override { return settings_number_; }
  ByteView signed_settings() const override { return settings_; }
  bool adopt_settings(ByteView signed_settings) override;

  // Settings as adopt_settings() takes them.
  static Bytes make_settings(std::uint64_t number, const std::set<Address>& revoked = {});
  static Address address_of(std::uint64_t seed);
  // Key exchanges begun and not yet destroyed, on all nodes: none may outlive its handshake.
  static int exchanges_alive();
  // The most of this node's at one time, so far.
  int most_exchanges() const { return most_exchanges_; }

 private:
  class Exchange;
  Bytes fresh_nonce() const;

  FakeIdentityOptions options_;
  Bytes public_key_;
  Bytes pool_key_;
  Bytes chain_;
  Address address_;
  std::uint64_t settings_number_ = 1;
  Bytes settings_;
  std::set<Address> revoked_;
  mutable std::uint64_t nonces_ = 0;
  mutable int exchanges_ = 0, most_exchanges_ = 0;
};

}  // namespace wow
