// X.509 certificates of a pool (RFC 5280, Ed25519 as in RFC 8410): making the three kinds, and
// judging a chain. root CA (path length 1) -> invite CA (path length 0, carries the rights) -> end
// certificate of a node. Any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "proto/identity.pb.h"
#include "tunnel/identity/ed25519.h"
#include "tunnel/identity/openssl.h"
#include "tunnel/peer_identity.h"

namespace wow {

inline constexpr std::size_t kCertificateBytesMax = 4096;
// How far a new root's notBefore lies back, so that machines with slow clocks take part at once.
inline constexpr auto kBackdated = std::chrono::hours(48);
// RFC 5280, 4.1.2.5: 99991231235959Z, "no well-defined expiration date".
inline constexpr WallTime kNoExpiry{std::chrono::seconds(253402300799)};

struct Issuer {
  const X509* certificate;
  const PrivateKey& key;
};

// DER. The name is in certificates only for people; at most 64 characters are kept (RFC 5280,
// ub-common-name).
Bytes make_root_certificate(const std::string& common_name, const PrivateKey& key, WallTime now);
Bytes make_invite_certificate(const Issuer& root, ByteView public_key, const pb::Rights& rights);
// `expiry` is for tests; members' certificates last as long as the pool.
Bytes make_end_certificate(const Issuer& invite, ByteView public_key, WallTime expiry = kNoExpiry);

// Nothing unless `der` is one whole certificate of at most kCertificateBytesMax.
OwnedCertificate parse_certificate(ByteView der);
Bytes der_of(const X509* certificate);
// The 32 raw bytes, or nothing if the key is not Ed25519.
std::optional<Bytes> public_key_of(const X509* certificate);
// A self-signed CA certificate with an Ed25519 key that made the signature; else null.
OwnedCertificate parse_root_certificate(ByteView der);
// SHA-256 as people compare it, "AB:CD:...", like `openssl x509 -fingerprint -sha256`.
std::string fingerprint(ByteView der);

// What an invite's CA grants. Nothing if the extension is missing, doubled or holds a value out of
// bounds.
std::optional<pb::Rights> rights_of(const X509* invite_certificate);
// kInvalidArgument, naming the field.
Result<void> check_rights(const pb::Rights& rights);

// [length 2, DER] of each certificate, end first, the root left out.
Bytes pack_chain(const std::vector<Bytes>& certificates);
std::optional<std::vector<ByteView>> unpack_chain(ByteView chain);

struct VerifiedChain {
  PeerIdentity identity;
  Bytes public_key;  // of the end certificate, 32 bytes
  WallTime
      valid_until;  // the earliest notAfter; at that second it has expired (as OpenSSL sees it)
};
// Whether `chain` is exactly end and invite certificate, leads to `root`, and is valid at `when`.
// The identity's rights come from the invite, whatever the end certificate claims. Says nothing of
// revocation. Errors: kUntrusted, kExpired.
Result<VerifiedChain> verify_chain(ByteView chain, const X509* root, WallTime when);
// The same for an invite alone.
Result<pb::Rights> verify_invite_certificate(const X509* invite, const X509* root, WallTime when);

}  // namespace wow
