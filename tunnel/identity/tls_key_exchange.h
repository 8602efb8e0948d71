// One key exchange by OpenSSL's TLS 1.3 (RFC 8446) through memory buffers: X25519, Ed25519
// certificates on both sides, no tickets, no early data. It only turns flights into flights; who is
// let in, the judge decides. Control thread only.
#pragma once

#include <openssl/types.h>

#include <functional>
#include <memory>
#include <optional>

#include "base/error.h"
#include "tunnel/identity/ed25519.h"
#include "tunnel/key_exchange.h"

namespace wow {

// More than any honest flight: two certificates of kCertificateBytesMax and what surrounds them.
inline constexpr std::size_t kFlightBytesMax = 10'000;

// OpenSSL's generators keep their state in memory, and so in that of a clone of this machine: they
// begin anew, from the kernel's randomness and `fresh`.
void begin_random_anew(ByteView fresh);

using TlsContext = std::shared_ptr<SSL_CTX>;
// What all exchanges of a node share: its certificates, end first, and the one way in which TLS is
// spoken.
TlsContext make_tls_context(const PrivateKey& key, ByteView chain);

class TlsKeyExchange final : public KeyExchange {
 public:
  enum class Role { kInitiator, kResponder };
  // Whether the peer that shows this chain is the one wanted, and welcome. Called once, inside
  // on_flight().
  using Judge = std::function<Result<PeerIdentity>(ByteView chain)>;

  TlsKeyExchange(const TlsContext& context, Role role, Judge judge);
  ~TlsKeyExchange() override;

  Step start() override;
  Step on_flight(ByteView flight) override;
  const PeerIdentity& peer() const override;
  Bytes export_keys(ByteView context, std::size_t bytes) const override;

 private:
  friend TlsContext make_tls_context(const PrivateKey&, ByteView);
  static int on_certificates(X509_STORE_CTX* store, void*);
  Step advance();
  Step fail(std::string why);

  struct FreeSsl {
    void operator()(SSL* ssl) const;
  };
  const Role role_;
  const Judge judge_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
  int flights_seen_ = 0;
  bool done_ = false;
  std::optional<PeerIdentity> peer_;
  std::string refusal_;
};

}  // namespace wow
