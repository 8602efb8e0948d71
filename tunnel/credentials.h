// What a node is and how it proves it; the seam behind which certificates live (tunnel/identity)
// and which the simulator replaces. Control thread only.
#pragma once

#include <memory>
#include <optional>

#include "base/error.h"
#include "tunnel/key_exchange.h"

namespace wow {

class Credentials {
 public:
  virtual ~Credentials() = default;

  virtual const Address& address() const = 0;
  // 32 bytes that every member has; handshakes are sealed under them.
  virtual ByteView pool_key() const = 0;
  // Raw Ed25519 public key, 32 bytes; its hash is address().
  virtual ByteView public_key() const = 0;
  // Our certificates (end, invite CA), DER, each behind its 2-byte length.
  virtual ByteView chain() const = 0;
  // Ed25519, 64 bytes.
  virtual Bytes sign(ByteView message) const = 0;

  // The address of the key if it made this signature, else nothing. Says nothing about membership.
  virtual std::optional<Address> signer(ByteView public_key, ByteView message,
                                        ByteView signature) const = 0;
  // Whom a chain proves, judged against the pool's root, its settings (revocations, closed invites)
  // and the time.
  virtual Result<PeerIdentity> verify_chain(ByteView chain) const = 0;
  // The raw public key of a verified chain's end certificate.
  virtual std::optional<Bytes> chain_public_key(ByteView chain) const = 0;

  // Dials `expected`, or any member if it is zero: the exchange fails if the certificate is
  // another's.
  virtual std::unique_ptr<KeyExchange> initiate(const Address& expected) const = 0;
  virtual std::unique_ptr<KeyExchange> answer() const = 0;

  // Whether this member is still welcome under the settings now held.
  virtual bool welcome(const PeerIdentity& peer) const = 0;
  // The root-signed settings: the number held, their bytes (pb::SignedSettings), and taking newer
  // ones. adopt() returns whether they were valid and newer; the owner then stores them and drops
  // whoever is not welcome any more.
  virtual std::uint64_t settings_number() const = 0;
  virtual ByteView signed_settings() const = 0;
  virtual bool adopt_settings(ByteView signed_settings) = 0;
};

}  // namespace wow
