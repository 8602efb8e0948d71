#include "tunnel/identity/tls_key_exchange.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include <cassert>

#include "tunnel/identity/certificate.h"
#include "tunnel/identity/openssl.h"

namespace wow {
namespace {

constexpr std::string_view kExporterLabel = "EXPORTER-wow";

Bytes take_pending(BIO* bio) {
  Bytes out(BIO_ctrl_pending(bio));
  if (!out.empty())
    must(BIO_read(bio, out.data(), static_cast<int>(out.size())) == static_cast<int>(out.size()));
  return out;
}

}  // namespace

void begin_random_anew(ByteView fresh) {
  RAND_add(fresh.data(), static_cast<int>(fresh.size()), static_cast<double>(fresh.size()));
}

TlsContext make_tls_context(const PrivateKey& key, ByteView chain) {
  TlsContext context(SSL_CTX_new(TLS_method()), SSL_CTX_free);
  SSL_CTX* c = context.get();
  must(c && SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) == 1 &&
       SSL_CTX_set_max_proto_version(c, TLS1_3_VERSION) == 1);
  // Only what flights need: they must fit a datagram, and the responder must send nothing after the
  // initiator's last.
  SSL_CTX_clear_options(c, SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
  SSL_CTX_set_options(
      c, SSL_OP_NO_TICKET | SSL_OP_NO_ENCRYPT_THEN_MAC | SSL_OP_NO_EXTENDED_MASTER_SECRET);
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(c, SSL_MODE_NO_AUTO_CHAIN | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_max_cert_list(c, static_cast<long>(kFlightBytesMax));
  must(SSL_CTX_set_num_tickets(c, 0) == 1 && SSL_CTX_set1_groups_list(c, "X25519") == 1 &&
       SSL_CTX_set1_sigalgs_list(c, "ed25519") == 1 &&
       SSL_CTX_set_ciphersuites(c, "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") == 1);

  const auto parts = unpack_chain(chain);
  assert(parts && !parts->empty());
  const OwnedCertificate end = parse_certificate(parts->front());
  must(end && SSL_CTX_use_certificate(c, end.get()) == 1 &&
       SSL_CTX_use_PrivateKey(c, key.handle()) == 1);
  for (std::size_t i = 1; i < parts->size(); ++i) {
    const OwnedCertificate ca = parse_certificate((*parts)[i]);
    must(ca && SSL_CTX_add1_chain_cert(c, ca.get()) == 1);
  }
  SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_cert_verify_callback(c, &TlsKeyExchange::on_certificates, nullptr);
  return context;
}

TlsKeyExchange::TlsKeyExchange(const TlsContext& context, Role role, Judge judge)
    : role_(role), judge_(std::move(judge)), ssl_(SSL_new(context.get())) {
  SSL* ssl = ssl_.get();
  must(ssl != nullptr);
  BIO* in = BIO_new(BIO_s_mem());
  BIO* out = BIO_new(BIO_s_mem());
  must(in && out);
  SSL_set_bio(ssl, in, out);
  SSL_set_app_data(ssl, this);
  if (role == Role::kInitiator)
    SSL_set_connect_state(ssl);
  else
    SSL_set_accept_state(ssl);
}

TlsKeyExchange::~TlsKeyExchange() = default;

void TlsKeyExchange::FreeSsl::operator()(SSL* ssl) const { SSL_free(ssl); }

KeyExchange::Step TlsKeyExchange::start() {
  assert(role_ == Role::kInitiator && flights_seen_ == 0);
  return advance();
}

KeyExchange::Step TlsKeyExchange::on_flight(ByteView flight) {
  if (!ssl_ || done_) return fail("a flight came after the key exchange had ended");
  if (flight.empty() || flight.size() > kFlightBytesMax)
    return fail("a flight of " + std::to_string(flight.size()) + " bytes is none of ours");
  must(BIO_write(SSL_get_rbio(ssl_.get()), flight.data(), static_cast<int>(flight.size())) ==
       static_cast<int>(flight.size()));
  ++flights_seen_;
  return advance();
}

// Flight by flight: the initiator must be done after the first that it sees, the responder after
// its second. Anything else (a HelloRetryRequest, half a flight, records to spare) is no exchange
// of ours.
KeyExchange::Step TlsKeyExchange::advance() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result != 1 && SSL_get_error(ssl_.get(), result) != SSL_ERROR_WANT_READ) {
    const char* reason = ERR_reason_error_string(ERR_peek_error());
    ERR_clear_error();
    if (!refusal_.empty()) return fail(refusal_);
    return fail(std::string("TLS refused the peer's flight: ") + (reason ? reason : "no reason"));
  }
  Bytes send = take_pending(SSL_get_wbio(ssl_.get()));
  const bool last = flights_seen_ == (role_ == Role::kInitiator ? 1 : 2);
  const bool done = result == 1;
  const bool all_read =
      BIO_ctrl_pending(SSL_get_rbio(ssl_.get())) == 0 && !SSL_has_pending(ssl_.get());
  const bool speaks = role_ == Role::kInitiator || !last;
  if (done != last || !all_read || send.empty() == speaks || (done && !peer_))
    return fail("the peer's flight was cut short or has something left over");
  done_ = done;
  return {done ? State::kDone : State::kContinue, std::move(send), {}};
}

// The alert that OpenSSL has written is not sent: it would tell a stranger something, and nobody
// may act on it.
KeyExchange::Step TlsKeyExchange::fail(std::string why) {
  ssl_.reset();
  done_ = false;
  return {State::kFailed, {}, std::move(why)};
}

int TlsKeyExchange::on_certificates(X509_STORE_CTX* store, void*) {
  SSL* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* self = static_cast<TlsKeyExchange*>(SSL_get_app_data(ssl));
  std::vector<Bytes> certificates;
  const STACK_OF(X509)* shown = X509_STORE_CTX_get0_untrusted(store);
  for (int i = 0; i < sk_X509_num(shown); ++i)
    certificates.push_back(der_of(sk_X509_value(shown, i)));
  auto verdict = self->judge_(pack_chain(certificates));
  if (verdict) {
    self->peer_ = std::move(*verdict);
    return 1;
  }
  self->refusal_ = verdict.error().message;
  X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
  return 0;
}

const PeerIdentity& TlsKeyExchange::peer() const {
  assert(done_);
  return *peer_;
}

Bytes TlsKeyExchange::export_keys(ByteView context, std::size_t bytes) const {
  assert(done_);
  Bytes out(bytes);
  must(SSL_export_keying_material(ssl_.get(), out.data(), out.size(), kExporterLabel.data(),
                                  kExporterLabel.size(), context.data(), context.size(), 1) == 1);
  return out;
}

}  // namespace wow
